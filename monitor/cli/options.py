"""The options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("plumbline.yaml")


class Output(StrEnum):
    """How a listing is written."""

    TABLE = "table"
    JSON = "json"


class SpeedBy(StrEnum):
    """How requests are told apart where their speed is shown."""

    ENDPOINT = "endpoint"
    PROBE = "probe"
    TAG = "tag"
    ROUND = "round"


ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", envvar="PLUMBLINE_CONFIG", help="The config file.")
]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs.")]
ProbeName = Annotated[str, typer.Argument(metavar="PROBE", help="Name of a probe in the config.")]
EndpointName = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="NAME", help="One of the probe's endpoints; by default all of them."),
]
OneEndpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="NAME", help="Which endpoint, where the probe has several."),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the version. Asked if absent.")
]
