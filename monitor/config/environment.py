"""`${VAR}` and `${VAR:-default}` in values, and `$$` for a dollar sign."""

import re
from collections.abc import Mapping

from monitor.config.problem import Wrong

#: A lone `$` stays what it is, so that the end of a regular expression needs no escape.
#: A value that is nothing but `$NAME` was meant as a reference; where it is meant as it stands, write `$$NAME`.
_WITHOUT_BRACES = re.compile(r"\$[A-Z][A-Z0-9_]+")
_REFERENCE = re.compile(r"\$\$|\$\{(?P<inside>[^}]*)(?P<closed>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, list[Wrong]]:
    """Fills the references of one value. As in a shell, a default also stands in for an empty variable.

    Returns:
        The text, and what was wrong with each reference that could not be filled.
    """
    if _WITHOUT_BRACES.fullmatch(text):
        cure = f"write ${{{text[1:]}}}, or ${text} for the text itself"
        return text, [Wrong("is a variable without braces", cure)]
    wrongs: list[Wrong] = []

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        inside = _INSIDE.fullmatch(match["inside"])
        if inside is None or not match["closed"]:
            wrongs.append(
                Wrong("has a ${ that is no reference", "write ${VAR} or ${VAR:-default}; $$ is a $")
            )
            return ""
        name, default = inside["name"], inside["default"]
        if environ.get(name) or (name in environ and default is None):
            return environ[name]
        if default is None:
            wrongs.append(Wrong(f"${{{name}}} is not set", f"set it, or give a default: ${{{name}:-...}}"))
            return ""
        return str(default)

    return _REFERENCE.sub(fill, text), wrongs
