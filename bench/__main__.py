"""`python -m bench [NAME ...] [--json FILE] [--seed N]`: measures and prints one table."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.row import Row

#: Name on the command line -> module with `run(seed)`; in the order of printing.
BENCHES = {
    "probe-path": "bench.probe_path",
    "fidelity": "bench.fidelity",
    "reply-to-slack": "bench.reply_to_slack",
    "start-up": "bench.start_up",
}
_COLOURS = {"aim": "green", "must": "yellow", "miss": "bold red", "": ""}
_VERDICTS = {"aim": "aim met", "must": "must met", "miss": "missed", "": "-"}


def _load() -> str:
    return ", ".join(f"{each:.2f}" for each in os.getloadavg())


def _table(rows: list[Row]) -> Table:
    table = Table(pad_edge=False)
    for name in ("what", "measured", "beside it, same run", "ratio", "must", "aim", ""):
        right = name in ("measured", "ratio", "must", "aim")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    last = rows[0].bench if rows else ""
    for row in rows:
        if row.bench != last:
            table.add_section()
            last = row.bench
        beside = f"{row.shown(row.baseline)}  {row.baseline_what}" if row.baseline is not None else "-"
        table.add_row(
            row.what,
            row.shown(row.measured),
            beside,
            f"{row.ratio:.2f}x" if row.ratio is not None else "-",
            row.bar("must") or "-",
            row.bar("aim") or "-",
            f"[{_COLOURS[row.verdict]}]{_VERDICTS[row.verdict]}[/]" if row.verdict else "-",
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    parser.add_argument("--seed", type=int, default=1, help="of all chance in it (default 1)")
    given = parser.parse_args()
    if unknown := set(given.names) - BENCHES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(BENCHES)}")
    return given


def main() -> int:
    """Runs what was asked for; 0 whatever the verdicts: a busy machine is no failure."""
    given, console, began = _arguments(), Console(), time.monotonic()
    head: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": given.seed,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": _load(),
    }
    console.print(
        f"seed {given.seed}, Python {head['python']}, {head['cores']} cores, load {head['load_before']}"
    )
    rows: list[Row] = []
    for name in given.names or BENCHES:
        with console.status(f"measuring {name} …"):
            rows += importlib.import_module(BENCHES[name]).run(given.seed)
    console.print(_table(rows))
    took, after = time.monotonic() - began, _load()
    console.print(
        f"{took:.0f} s; load after: {after}. Medians; bare and ours take turns, so trust the ratios more than "
        "the values: other work on the machine moves both, and the tails (p99) most."
    )
    if given.json:
        whole = {**head, "load_after": after, "seconds": took, "rows": [row.as_json() for row in rows]}
        given.json.write_text(json.dumps(whole, indent=2) + "\n")
        console.print(f"written to {given.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
