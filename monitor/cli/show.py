"""Writes results: tables and sentences for people, JSON for programs."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.hostile import one_line
from monitor.cli.options import Output
from monitor.logs import clean

#: JSON escapes what is below; DEL, which it does not, counts among the rest.
_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")

#: A pipe has no width; a table takes only what it needs of this.
_PIPE_WIDTH = 500

#: Key of a row -> (title of its column, how its value reads).
Columns = Mapping[str, tuple[str, Callable[[Any], str]]]


def console(*, errors: bool = False) -> Console:
    """Where text goes: colours only on a terminal, and never any markup from data."""
    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def say(*lines: str, errors: bool = False) -> None:
    """Writes lines as they are, control characters spelt out; a terminal may wrap them."""
    out = console(errors=errors)
    for line in lines:
        out.print(clean(line), soft_wrap=True)


def as_json(value: Any) -> None:
    """Writes a value as indented JSON, in which nothing can steer a terminal."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    sys.stdout.write(_BEYOND_ASCII.sub(_spelt, text.decode()) + "\n")


def _spelt(found: re.Match[str]) -> str:
    """Letters as they are; what cannot be printed (C1 controls, marks of direction) as JSON's escapes."""
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def listing(rows: Sequence[Mapping[str, Any]], columns: Columns, output: Output, *, nothing: str) -> None:
    """Writes rows: all of them as JSON, or the named columns as a table.

    Args:
        rows: What to list; their texts may be anybody's.
        columns: The columns of the table.
        output: Table or JSON.
        nothing: What a person reads where there are no rows.
    """
    if output is Output.JSON:
        as_json([dict(row) for row in rows])
        return
    if not rows:
        say(nothing)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title, _ in columns.values():
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key), read) for key, (_, read) in columns.items()))
    console().print(table)


def _cell(value: Any, read: Callable[[Any], str]) -> Text:
    return Text("–" if value is None else one_line(read(value), 500))


def moment(value: datetime | date) -> str:
    """A time in UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value.isoformat()


def seconds(value: float) -> str:
    """Seconds as people read them: `83 ms`, `1.2 s`."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def share(value: float) -> str:
    """A score or a share with two decimals."""
    return f"{value:.2f}"


def usd(value: float) -> str:
    """Dollars, with as many decimals as small sums need."""
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
