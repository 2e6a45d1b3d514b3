"""`python -m bench.detection [--short] [--rows NAME ...] [--json FILE] [--pictures] [--seed N]`: prints the bars."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.detection import cost, endpoint, grades, pictures, scores, times, years
from bench.detection.effort import FULL, MATCHED, SHORT, Effort
from bench.detection.line import Line, shown
from bench.detection.trial import Workers

Group = Callable[[Workers, Effort, int], Iterator[Line]]

#: Name on the command line -> rows, in the order of printing.
GROUPS: Mapping[str, Group] = {
    "drops": scores.drops,
    "noise": scores.noise,
    "gains": scores.gains,
    "own": scores.own,
    "small": scores.small,
    "latency": times.slower,
    "latency-ratios": times.ratios,
    "graded": grades.drops,
    "endpoint": endpoint.rows,
    "years": years.rows,
    "cost": cost.rows,
}

_COLOURS = {"aim": "green", "must": "yellow", "near": "yellow", "MISS": "bold red", "no bar": ""}


def _table(lines: list[Line]) -> Table:
    table = Table(pad_edge=False, title=f"Bars at a matched run length of {MATCHED:,.0f} rounds")
    for name in ("case", "optimum", "ours", "unit", "must", "aim", "", "note"):
        right = name in ("optimum", "ours", "must", "aim")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for line in lines:
        table.add_row(
            line.case,
            shown(line.optimum, line.unit),
            shown(line.ours, line.unit),
            line.unit,
            str(line.bars.must) if line.bars else "-",
            str(line.bars.aim) if line.bars else "-",
            f"[{_COLOURS[line.verdict]}]{line.verdict}[/]",
            f"{line.note}; seed {line.seed}" if line.note else f"seed {line.seed}",
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="what two minutes allow; 1 where a bar is missed"
    )
    parser.add_argument("--rows", nargs="*", choices=GROUPS, metavar="NAME", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="?",
        const=Path("docs/pictures"),
        metavar="FOLDER",
        help="also draw the pictures of the docs (default docs/pictures)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of all chance in it (default 1)")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default 2")
    return parser.parse_args()


def main() -> int:
    """Measures and prints; 1 where a bar is missed beyond the simulation's error."""
    given, console, began = _arguments(), Console(width=200), time.monotonic()
    effort = SHORT if given.short else FULL
    head = f"seed {given.seed}, Python {platform.python_version()}, {os.cpu_count()} cores"
    console.print(f"{head}, {given.processes} processes, {'short' if given.short else 'full'} form")
    lines: list[Line] = []
    workers = Workers(given.processes)
    try:
        for n, (name, group) in enumerate(GROUPS.items()):
            if given.rows is None or name in given.rows:
                since = time.monotonic()
                lines += group(workers, effort, given.seed + n * 1_000_000)
                console.print(f"{name}: {time.monotonic() - since:.0f} s")
        if given.pictures:
            for picture in pictures.draw(workers, effort, given.seed + 900_000_000, given.pictures):
                console.print(f"drawn: {picture}")
    finally:
        workers.close()
    console.print(_table(lines))
    for line in lines:
        if line.river:
            console.print(f"{line.case}, river calibrated: {line.river}")
    took = time.monotonic() - began
    console.print(f"{took:.0f} s. Errors are standard errors; `near` misses a bar by less than two of them.")
    if given.json:
        whole = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": given.seed,
            "short": given.short,
            "seconds": took,
            "rows": [line.as_json() for line in lines],
        }
        given.json.write_text(json.dumps(whole, indent=2) + "\n")
    return int(any(line.verdict == "MISS" and line.unit != "us" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
