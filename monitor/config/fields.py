"""The small types that config keys are made of."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, WithJsonSchema

from monitor.config.problem import Wrong

_NAME = r"^[a-z][a-z0-9-]{0,62}$"
_LABEL = r"^[a-z][a-z0-9_]{0,62}$"
_STORE = r"^(sqlite(\+aiosqlite)?:///|postgresql(\+asyncpg)?://)."

#: What `plumbline_endpoint_info` and alerts already say of an endpoint under these names.
_RESERVED_LABELS = frozenset(
    {"endpoint", "kind", "provider", "region", "model", "source", "measure", "severity"}
)

_FIVE_FIELDS = 'write five fields (minute, hour, day, month, day of the week), like "0 */6 * * *"'
_CRON_FIELDS = {
    "minute": "write 0-59",
    "hour": "write 0-23",
    "day of the month": "write 1-31",
    "month": "write 1-12, or jan-dec",
    "day of the week": "write names of three letters, like mon-fri or sun",
}


def split_address(text: str) -> tuple[str, int]:
    """Splits `host:port`; an IPv6 address stands in brackets (`[::1]:8484`).

    Raises:
        Wrong: It has no host, or no port in 0..65535.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    fits = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535
    if not colon or not host or not fits or (":" in host and not bracketed):
        raise Wrong("is not an address", "write host:port, like 127.0.0.1:8484 or [::1]:8484")
    return host, int(port)


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise Wrong("is not a name", "use a-z, 0-9 and '-', a letter first, at most 63 characters")
    return text


def _label(text: str) -> str:
    if not re.fullmatch(_LABEL, text):
        raise Wrong("is not a label", "use a-z, 0-9 and '_', a letter first, at most 63 characters")
    if text in _RESERVED_LABELS:
        raise Wrong("is a label that every endpoint has already", "choose another word")
    return text


def _address(text: str) -> str:
    split_address(text)
    return text


def _store(text: str) -> str:
    if not re.match(_STORE, text):
        raise Wrong("is no store", "write sqlite:///plumbline.db or postgresql://user@host/database")
    return text


def _web_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise Wrong("is no web address", "write it like https://plumbline.example.org")
    return text.rstrip("/")


def _secret_web_url(value: SecretStr) -> SecretStr:
    return SecretStr(_web_url(value.get_secret_value()))


def _cron(text: str) -> str:
    """Checked by the library that will read it; imported late because most configs have no cron."""
    from apscheduler.triggers.cron import CronTrigger

    fields = text.split()
    if len(fields) != 5:
        raise Wrong("is no cron expression", _FIVE_FIELDS)
    if re.search(r"[0-9]", re.sub(r"/[0-9]+", "", fields[4])):
        # Classic cron counts from Sunday, the library from Monday: with a number one of two readers is wrong.
        raise Wrong("counts the days of the week", "write their names, like mon-fri or sun")
    try:
        trigger = CronTrigger.from_crontab(text, timezone="UTC")
    except ValueError:
        raise _wrong_field(fields) from None
    if trigger.get_next_fire_time(None, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise Wrong("never comes, like 30 February", "correct the day or the month")
    return text


def _wrong_field(fields: list[str]) -> Wrong:
    """Says which of the five cannot be read."""
    from apscheduler.triggers.cron import CronTrigger

    for index, (name, cure) in enumerate(_CRON_FIELDS.items()):
        alone = ["*"] * 5
        alone[index] = fields[index]
        try:
            CronTrigger.from_crontab(" ".join(alone), timezone="UTC")
        except ValueError:
            return Wrong(f"is no cron expression, for its {name} cannot be read", cure)
    return Wrong("is no cron expression", _FIVE_FIELDS)


def _text(pattern: str) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    return WithJsonSchema(schema)


#: The name of an endpoint, eval set, probe or channel: its identity, and a metric label.
Name = Annotated[str, AfterValidator(_name), _text(_NAME)]
#: The name of a label of an endpoint.
LabelName = Annotated[str, AfterValidator(_label), _text(_LABEL)]
#: `host:port`.
Address = Annotated[str, AfterValidator(_address), _text(r":[0-9]{1,5}$")]
#: The URL of the database.
StoreUrl = Annotated[str, AfterValidator(_store), _text(_STORE)]
#: An http or https URL, kept without a trailing slash.
WebUrl = Annotated[str, AfterValidator(_web_url), _text("^https?://.")]
#: The same where its path or query may hold a key.
SecretWebUrl = Annotated[SecretStr, AfterValidator(_secret_web_url)]
#: A cron expression of five fields, in UTC.
Cron = Annotated[str, AfterValidator(_cron)]
