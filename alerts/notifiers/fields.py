"""The small types that settings of notifiers are made of."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _seconds(value: Any) -> Any:
    return value[:-1] if isinstance(value, str) and re.fullmatch(r"[0-9.]+s", value) else value


#: Seconds for one notice, below the minute after which the daemon gives up; `10s` stands for 10.
Timeout = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=50)]
