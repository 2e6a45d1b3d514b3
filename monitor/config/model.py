"""The config as one typed value. A plugin's keys are in `settings`, validated by the plugin's own model."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from monitor.config.duration import Duration, between
from monitor.config.fields import Cron, LabelName, Name, StoreUrl
from monitor.config.problem import Wrong
from monitor.config.section import Section
from monitor.config.service import (
    Alerts,
    BaselinePolicy,
    Channel,
    FalseAlarms,
    Retention,
    RouteConfig,
    Uplink,
    Web,
)

__all__ = [
    "Alerts",
    "BaselinePolicy",
    "Channel",
    "Config",
    "Endpoint",
    "EvalSet",
    "FalseAlarms",
    "Limits",
    "Price",
    "Probe",
    "Retention",
    "RouteConfig",
    "ScorerUse",
    "Uplink",
    "Web",
]

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Limits(Section):
    """What may be asked of an endpoint, over all probes and all replicas."""

    concurrency: int = Field(8, ge=1, description="Requests in flight at the same time.")
    requests_per_minute: int | None = Field(
        None, ge=1, description="Requests in a minute; no limit if absent."
    )
    usd_per_day: float | None = Field(
        None, gt=0, description="Dollars in a UTC day; no cap if absent. Needs `price`."
    )


#: A dollar a token, and more than any machine: a price above it is a slip.
_ABSURD_USD = 1_000_000


class Price(Section):
    """What requests cost: tokens in dollars for a million, a machine in dollars for an hour."""

    per_hour: float | None = Field(
        None,
        ge=0,
        le=_ABSURD_USD,
        description="Dollars for an hour of the machine: hardware and electricity of a model that you host.",
    )
    input_per_mtok: float | None = Field(
        None,
        ge=0,
        le=_ABSURD_USD,
        validate_default=True,
        description="Dollars for a million input tokens. Needed unless there is `per_hour`.",
    )
    output_per_mtok: float | None = Field(
        None,
        ge=0,
        le=_ABSURD_USD,
        validate_default=True,
        description="Dollars for a million output tokens. Needed unless there is `per_hour`.",
    )
    cached_per_mtok: float | None = Field(
        None,
        ge=0,
        le=_ABSURD_USD,
        description="Dollars for a million input tokens that came from a cache; as other input if absent.",
    )
    reasoning_per_mtok: float | None = Field(
        None,
        ge=0,
        le=_ABSURD_USD,
        description="Dollars for a million output tokens that were reasoning; as other output if absent.",
    )

    @field_validator("input_per_mtok", "output_per_mtok")
    @classmethod
    def _tokens_or_hours(cls, dollars: float | None, info: ValidationInfo) -> float | None:
        if dollars is None and "per_hour" in info.data and info.data["per_hour"] is None:
            raise Wrong("is missing", f"add {info.field_name}: ...")
        return dollars


#: The keys of a client that make it another endpoint where they change.
_SUBJECT = {"model", "params", "body", "reply"}


class Endpoint(Section):
    """One deployed model behind a URL."""

    kind: str = Field(
        description="The client that speaks its protocol: openai, openai-responses, openai-embeddings, "
        "anthropic, http, scripted, or a plugin's."
    )
    was: Name | None = Field(None, description="Its old name, once: the history moves to the new one.")
    timeout: Annotated[Duration, between(_SECOND)] = Field(
        60 * _SECOND, description="Deadline of a whole attempt."
    )
    limits: Limits = Field(Limits(), description="What may be asked of it, over all probes and replicas.")
    price: Price | None = Field(
        None, validate_default=True, description="What its requests cost; without it no dollars are counted."
    )
    labels: dict[LabelName, str] = Field(
        {}, description="For routing, silences and `plumbline_endpoint_info`."
    )
    provider: str | None = Field(None, description="Who runs it.")
    region: str | None = Field(None, description="Where it runs.")
    settings: SerializeAsAny[BaseModel] = Field(description="The keys of the client.")

    @field_validator("price")
    @classmethod
    def _priced_where_capped(cls, price: Price | None, info: ValidationInfo) -> Price | None:
        limits = info.data.get("limits")
        if price is None and limits is not None and limits.usd_per_day is not None:
            cure = "add price: {input_per_mtok: ..., output_per_mtok: ...}, or price: {per_hour: ...}"
            raise Wrong("is missing, so limits.usd_per_day cannot be kept", cure)
        return price

    @property
    def subject(self) -> str:
        """What the baseline is about, as JSON: another kind, model or params is another endpoint."""
        asked = self.settings.model_dump(mode="json", include=_SUBJECT)
        return json.dumps({"kind": self.kind, **asked}, sort_keys=True)


class ScorerUse(Section):
    """A scorer with its parameters, written as `exact` or as `{pattern: {pattern: "..."}}`."""

    kind: str = Field(description="The scorer's name.")
    params: dict[str, Any] = Field({}, description="The scorer's own parameters, as written.")

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"kind": written}
        if not isinstance(written, dict) or len(written) != 1:
            raise Wrong("is no scorer", "write its name, or {name: {parameter: value}}")
        [(kind, params)] = written.items()
        if not isinstance(params, dict | None):
            raise Wrong("has no names for its parameters", f"write {{{kind}: {{parameter: value}}}}")
        return {"kind": kind, "params": {} if params is None else params}


class EvalSet(Section):
    """A named collection of cases; this file owns its file layer."""

    cases: Path = Field(description="JSON Lines file of cases, relative to the config file's folder.")
    scorers: tuple[ScorerUse, ...] = Field((), description="Scorers of the cases that name none themselves.")
    was: Name | None = Field(None, description="Its old name, once: the history moves to the new one.")


def _form(endpoint: Any) -> str:
    if isinstance(endpoint, dict):
        return "labels"
    return "names" if isinstance(endpoint, list | tuple) else "name"


#: A name, several names, or labels; errors speak of the form that was written.
EndpointChoice = Annotated[
    Annotated[str, Tag("name")]
    | Annotated[tuple[str, ...], Tag("names")]
    | Annotated[dict[str, str], Tag("labels")],
    Discriminator(_form),
]


class Probe(Section):
    """Which cases are asked of which endpoints, and when."""

    endpoint: EndpointChoice = Field(
        description="An endpoint's name, a list of names, or the labels that endpoints must carry."
    )
    eval_sets: tuple[str, ...] = Field(min_length=1, description="The eval sets whose cases it may ask.")
    every: Annotated[Duration, between(_SECOND, 31 * _DAY)] | None = Field(
        None,
        description="Time between rounds, 1s to 31d. Either this or `cron`.",
    )
    cron: Cron | None = Field(
        None,
        validate_default=True,
        description="Five fields in UTC, days of the week by name. Either this or `every`.",
    )
    cases_per_round: int = Field(20, ge=1, description="Cases asked in one round.")
    jitter: Duration = Field(
        timedelta(0),
        description="The first request waits a random time up to this; less than half of `every`.",
    )
    reasks: bool = Field(
        True,
        description="Whether a case whose reply was unlikely is asked twice more in the next round: about 7 % more "
        "calls, and changes are seen sooner.",
    )
    bursts: bool = Field(
        True,
        description="Whether a round after suspicion asks twice as many cases more: a real change is told "
        "sooner.",
    )
    was: Name | None = Field(None, description="Its old name, once: the history moves to the new one.")

    @field_validator("endpoint")
    @classmethod
    def _names_something(cls, endpoint: Any) -> Any:
        if not endpoint:
            raise Wrong("names no endpoint", "write a name, [a, b], or {label: value}")
        return endpoint

    @field_validator("cron")
    @classmethod
    def _one_schedule(cls, cron: str | None, info: ValidationInfo) -> str | None:
        if "every" in info.data and (cron is None) == (info.data["every"] is None):
            what = "is missing, and so is every" if cron is None else "is given beside every"
            raise Wrong(what, "write exactly one of the two, like every: 15m", beside="every")
        return cron

    @field_validator("jitter")
    @classmethod
    def _within_the_slot(cls, jitter: timedelta, info: ValidationInfo) -> timedelta:
        every = info.data.get("every")
        if every is not None and jitter and jitter >= every / 2:
            raise Wrong("is not less than half of every", "shorten it")
        return jitter

    def endpoints_of(self, config: "Config") -> tuple[str, ...]:
        """The names of the endpoints it watches, each once, in the order of the file."""
        wanted = (self.endpoint,) if isinstance(self.endpoint, str) else self.endpoint
        if isinstance(wanted, dict):
            return tuple(
                name
                for name, endpoint in config.endpoints.items()
                if wanted.items() <= endpoint.labels.items()
            )
        return tuple(name for name in config.endpoints if name in wanted)


class Config(Section):
    """The whole file."""

    store: StoreUrl = Field(
        "sqlite:///plumbline.db",
        repr=False,  # it may hold a password
        description="The database: sqlite:///file, or postgresql://user@host/database for several replicas.",
    )
    web: Web = Field(Web(), description="The one port: pages, API, metrics and health.")
    false_alarms: FalseAlarms = Field(FalseAlarms(), description="One budget over everything that alarms.")
    endpoints: dict[Name, Endpoint] = Field({}, description="The deployed models, by name.")
    eval_sets: dict[Name, EvalSet] = Field({}, description="The collections of cases, by name.")
    probes: dict[Name, Probe] = Field({}, description="What is asked of which endpoint, and when.")
    alerts: Alerts = Field(Alerts(), description="Who hears of what.")
    retention: Retention = Field(Retention(), description="How long is kept what takes room.")
    baseline: BaselinePolicy = Field(BaselinePolicy(), description="How baselines come to be.")
    uplink: Uplink = Field(Uplink(), description="How our own network is checked.")
