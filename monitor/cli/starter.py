"""`plumbline init`: a first config and a first case file, which never replace what is there."""

from importlib.resources import files
from pathlib import Path

from monitor.cli.ending import Code, Refused
from monitor.cli.show import say

_TEMPLATES = {"plumbline.yaml": "template.yaml", "cases.jsonl": "template_cases.jsonl"}


def write_first_files(folder: Path) -> None:
    """Writes the files that are not there yet and says what to do next.

    Raises:
        Refused: There is a config already, or the folder cannot be written to.
    """
    if (folder / "plumbline.yaml").exists():
        raise Refused(f"{folder / 'plumbline.yaml'} is already there; nothing was written", Code.USAGE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, template in _TEMPLATES.items():
            _write_new(folder / name, files("monitor.config").joinpath(template).read_bytes())
    except OSError as error:
        raise Refused(f"cannot write to {folder}: {error.strerror}", Code.USAGE) from error
    there = f"cd {folder}\n  " if folder.resolve() != Path.cwd() else ""
    say(
        "",
        "Next: set `url` and `model` in plumbline.yaml, put your own cases into cases.jsonl, then",
        f"  {there}plumbline check-config",
        "  plumbline baseline capture quality",
        "  plumbline run",
    )


def _write_new(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        say(f"kept  {path}, which was already there")
    else:
        say(f"wrote {path}")
