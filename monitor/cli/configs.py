"""`plumbline config`: the config as it is understood, and its JSON Schema."""

import sys
from pathlib import Path

from monitor.cli.opening import read_config
from monitor.cli.show import as_json
from monitor.config.schema import schema
from monitor.config.show import show


def show_config(path: Path) -> None:
    """Prints the config with every default and no secret."""
    sys.stdout.write(show(read_config(path).config))


def show_schema() -> None:
    """Prints the JSON Schema."""
    as_json(schema())
