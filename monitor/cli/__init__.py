"""The command line. This file is the entry point and stays light, so that `--help` and `run` start fast."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; always ends with SystemExit, or with the traceback of a bug.

    Args:
        arguments: Without the program's name; None takes the process's own.
    """
    from monitor.cli.commands import app

    try:
        app(args=arguments, prog_name="plumbline")
    except Exception as error:
        from monitor.cli.ending import explain
        from monitor.logs import clean

        told = explain(error)
        if told is None:
            raise
        message, code = told
        sys.stderr.write(f"{clean(message)}\n")
        sys.exit(code)
