"""The sections that say how the daemon itself works: its port, budget, messages and memory."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SerializeAsAny, field_validator, model_validator

from alerts.signal import Severity
from monitor.config.duration import Duration, between
from monitor.config.fields import Address, Name, SecretWebUrl, WebUrl, split_address
from monitor.config.problem import Wrong
from monitor.config.section import Section

_DAY = timedelta(days=1)
_Days = Annotated[Duration, between(_DAY)]


class Tls(Section):
    """The certificate that the port shows. Renewed files are picked up by a reload."""

    cert: Path = Field(
        description="PEM file of the certificate and those that lead to its authority, relative to the "
        "config file's folder."
    )
    key: Path = Field(description="PEM file of its private key, without a passphrase.")


class Web(Section):
    """The one port: pages, API, metrics and health."""

    listen: Address = Field("127.0.0.1:8484", description="Address and port to listen on.")
    external_url: WebUrl | None = Field(
        None, description="Where people reach the pages; links in messages start with it."
    )
    metrics: Literal["token", "open"] = Field(
        "token",
        description="Whether /metrics asks for a token with scope read, or is open to all who reach it.",
    )
    tls: Tls | None = Field(
        None, description="Certificate and key: the port then speaks https, from TLS 1.2 on."
    )
    session: Annotated[Duration, between(timedelta(minutes=1), 30 * _DAY)] = Field(
        timedelta(hours=12), description="How long a person stays logged in, 1m to 30d."
    )

    @property
    def scheme(self) -> str:
        """How the port is asked: http, or https where there is a certificate."""
        return "http" if self.tls is None else "https"

    @property
    def host(self) -> str:
        """The host of `listen`, without brackets."""
        return split_address(self.listen)[0]

    @property
    def port(self) -> int:
        """The port of `listen`; 0 lets the system choose."""
        return split_address(self.listen)[1]


class FalseAlarms(Section):
    """One budget over everything that alarms; thresholds follow from it."""

    at_most: float = Field(1.0, gt=0, description="False alarms that are accepted on average.")
    per: _Days = Field(30 * _DAY, description="In how long.")


class Channel(Section):
    """Where messages go."""

    kind: str = Field(description="The notifier that sends: slack, webhook, apprise, log, or a plugin's.")
    settings: SerializeAsAny[BaseModel] = Field(description="The keys of the notifier.")


class RouteConfig(Section):
    """Which incidents go to which channel."""

    match: dict[str, str] = Field({}, description="Labels that an incident must carry; all of them.")
    channel: str = Field(description="The channel that is told.")
    mention: str | None = Field(None, description='Who is called by name, like "@oncall".')

    @field_validator("match")
    @classmethod
    def _may_match(cls, match: dict[str, str]) -> dict[str, str]:
        if match.get("severity", "info") not in tuple(Severity):
            raise Wrong("names no severity", f"write {', '.join(Severity)}")
        return match


class Heartbeat(Section):
    """Where we say that we live, so that somebody else hears of it when we do not."""

    url: SecretWebUrl = Field(
        description="Asked on every beat; `/start` and `/fail` are added at the start and when a check fails."
    )
    every: Annotated[Duration, between(timedelta(seconds=1), _DAY)] = Field(
        timedelta(seconds=60), description="Time between beats."
    )


class Alerts(Section):
    """Who hears of what."""

    channels: dict[Name, Channel] = Field({}, description="Where messages go; without any, to the log.")
    default_channel: str | None = Field(
        None, description="The channel of what no route matches; may be left out where there is one channel."
    )
    routes: tuple[RouteConfig, ...] = Field((), description="Tried in order; the first that matches decides.")
    heartbeat: Heartbeat | None = Field(
        None, description="Where we say that we live, so that our silence is noticed."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_channel_is_the_default(cls, written: Any) -> Any:
        if not isinstance(written, dict) or written.get("default_channel") is not None:
            return written
        channels = written.get("channels")
        if not isinstance(channels, dict) or len(channels) != 1:
            return written
        return {**written, "default_channel": next(iter(channels))}


class Retention(Section):
    """How long is kept what takes room. Incidents and the audit trail are kept."""

    replies: _Days = Field(30 * _DAY, description="The texts of replies.")
    results: _Days = Field(90 * _DAY, description="One row for every reply, with its scores.")
    round_stats: _Days = Field(400 * _DAY, description="One row for every round and stream.")


class BaselinePolicy(Section):
    """How baselines come to be."""

    auto_accept: bool = Field(
        False, description="Accept every captured baseline without a person; for demos, it may be a bad one."
    )
    capture: bool = Field(
        True,
        description="Capture a baseline where there is none. If false, only `plumbline baseline capture` does; "
        "until then ADWIN watches, which sees only large changes.",
    )
    runs: int = Field(3, ge=1, le=100, description="How often a capture asks each case; it counts from 3 on.")


class Uplink(Section):
    """How we tell our own network's failure from an endpoint's."""

    targets: tuple[Address, ...] = Field(
        (),
        description="Addresses outside; if none accepts a connection, our own network is down. "
        "Without any, only another endpoint's replies prove it.",
    )
