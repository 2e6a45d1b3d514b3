"""How a command ends: the exit codes that scripts hang on, and one line for every error we expect."""

from enum import IntEnum

from monitor.config.problem import ConfigInvalid
from monitor.plugins import PluginError
from monitor.store.errors import (
    SchemaOutdated,
    SchemaUnknown,
    StoreInUse,
    StoreUnavailable,
    Superseded,
)
from monitor.web.access import CannotListen, TokensMissing
from rotation import CaseFileInvalid


class Code(IntEnum):
    """Exit codes; a contract."""

    OK = 0
    FINDING = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4


class Refused(Exception):
    """A command cannot do what was asked. The message names the cure."""

    def __init__(self, message: str, code: Code = Code.FINDING) -> None:
        super().__init__(message)
        self.code = code


def explain(error: Exception) -> tuple[str, Code] | None:
    """What to say of an error and the code to end with; None for what only a bug raises."""
    match error:
        case Refused():
            return f"error: {error}", error.code
        case ConfigInvalid() | CaseFileInvalid():
            return str(error), Code.CONFIG  # one line for each problem, as editors and CI read them
        case PluginError() | SchemaOutdated() | SchemaUnknown() | TokensMissing():
            return f"error: {error}", Code.CONFIG
        case StoreUnavailable() | StoreInUse() | CannotListen():
            return f"error: {error}", Code.UNREACHABLE
        case Superseded():
            return f"error: {error}; try again", Code.FINDING
    return None
