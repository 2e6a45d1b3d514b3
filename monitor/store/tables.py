"""Every table, and nothing else. Rows are not domain objects: with `table=True` nothing validates.

Longer than most files because it is the one place where the schema can be read in one go.
Primary keys of `result` include `at`, so that PostgreSQL can keep it in monthly partitions.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from monitor.store.types import Json, UtcDateTime


def _at(**kwargs: Any) -> Any:
    return Field(sa_type=UtcDateTime, **kwargs)


def _json(**kwargs: Any) -> Any:
    return Field(sa_type=Json, **kwargs)


def _big(**kwargs: Any) -> Any:
    return Field(sa_type=BigInteger, **kwargs)


class MetaRow(SQLModel, table=True):
    """Facts about this store; the keys of the open/held-out split and of sessions live here and in no dump."""

    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class ReplicaRow(SQLModel, table=True):
    """One running daemon, as it last said."""

    __tablename__ = "replica"
    id: str = Field(primary_key=True)
    seen: datetime = _at()
    version: str
    config_hash: str


class EndpointRow(SQLModel, table=True):
    """What is known of an endpoint beyond its config."""

    __tablename__ = "endpoint"
    name: str = Field(primary_key=True)
    subject: str
    settings: Any = _json()
    state: str = "ok"
    state_since: datetime = _at()
    state_detail: str = ""
    served_model: str | None = None
    fingerprint: str | None = None
    last_reply: datetime | None = _at(default=None)
    closed: datetime | None = _at(default=None)


class EvalSetCaseRow(SQLModel, table=True):
    """One case in one eval set, active until `retired`. The layer says who owns it."""

    __tablename__ = "eval_set_case"
    eval_set: str = Field(primary_key=True)
    case_hash: str = Field(primary_key=True)
    layer: str
    case_id: str
    body: Any = _json()
    added: datetime = _at()
    retired: datetime | None = _at(default=None)


class EvalSetVersionRow(SQLModel, table=True):
    """An immutable version: the list of its case hashes."""

    __tablename__ = "eval_set_version"
    eval_set: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    hash: str
    parent: str | None = None
    cases: Any = _json()
    author: str
    reason: str
    created: datetime = _at()


class RoundRow(SQLModel, table=True):
    """A claimed slot. The unique slot makes it run once; one open round per probe keeps the order."""

    __tablename__ = "round"
    id: str = Field(primary_key=True)
    endpoint: str
    probe: str
    kind: str
    slot: datetime = _at()
    state: str
    outcome: str | None = None
    replica: str
    fence: int = _big()
    lease_until: datetime = _at()
    baseline: str | None = None
    panel: Any = _json()
    set_version: Any = _json()
    config_hash: str
    counts: Any = _json(default=None, nullable=True)
    wishes: Any = _json(default=None, nullable=True)
    opened: datetime = _at()
    closed: datetime | None = _at(default=None)

    __table_args__ = (
        UniqueConstraint("endpoint", "probe", "kind", "slot", name="round_slot"),
        Index(
            "round_one_open",
            "endpoint",
            "probe",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("round_by_slot", "slot"),
    )


class ResultRow(SQLModel, table=True):
    """One reply, or one failed attempt; its scores are inside."""

    __tablename__ = "result"
    at: datetime = _at(primary_key=True)
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    round_id: str
    seq: int
    endpoint: str
    source: str
    kind: str
    case_key: str
    ask_hash: str
    split: str
    outcome: str
    detail: str = ""
    started: datetime = _at()
    elapsed: float
    lag: float
    first_token: float | None = None
    between_tokens: float | None = None
    dns: float | None = None
    connect: float | None = None
    reused: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reason: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    headers: Any = _json(default=None, nullable=True)
    score: float | None = None
    scores: Any = _json()
    reply_hash: str | None = None
    cost_nano: int | None = _big(default=None, nullable=True)

    __table_args__ = (
        UniqueConstraint("at", "round_id", "seq", name="result_attempt"),
        Index("result_by_source", "endpoint", "source", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )


class ReplyTextRow(SQLModel, table=True):
    """A reply's text and tool calls as JSON, once per content, compressed (zlib)."""

    __tablename__ = "reply_text"
    hash: str = Field(primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)
    seen: datetime = _at(index=True)


class StreamRow(SQLModel, table=True):
    """One monitored series."""

    __tablename__ = "stream"
    id: int | None = Field(default=None, primary_key=True)
    endpoint: str
    source: str
    measure: str
    slice: str = ""
    detector: str
    opened: datetime = _at()
    closed: datetime | None = _at(default=None)

    __table_args__ = (UniqueConstraint("endpoint", "source", "measure", "slice", name="stream_identity"),)


class RoundStatRow(SQLModel, table=True):
    """What one round said on one stream."""

    __tablename__ = "round_stat"
    stream_id: int = Field(primary_key=True)
    at: datetime = _at(primary_key=True)
    round_id: str = Field(primary_key=True)
    n: int
    mean: float | None = None
    variance: float | None = None
    low: float | None = None
    high: float | None = None
    sketch: Any = _json(default=None, nullable=True)
    verdict: str
    evidence: float
    threshold: float | None = None
    given: Any = _json(default=None, nullable=True)
    log_bets: Any = _json(default=None, nullable=True)

    __table_args__ = (Index("round_stat_by_time", "at"),)


class DetectorStateRow(SQLModel, table=True):
    """A stream's detector state; `seq` is the compare-and-set guard."""

    __tablename__ = "detector_state"
    stream_id: int = Field(primary_key=True)
    seq: int = _big()
    version: int
    baseline: str
    state: Any = _json()
    verdict: Any = _json()
    slot: datetime = _at()


class DetectorSnapshotRow(SQLModel, table=True):
    """State and reference of a stream as they stood before the first round of a day: where a replay starts."""

    __tablename__ = "detector_snapshot"
    stream_id: int = Field(primary_key=True)
    day: date = Field(primary_key=True)
    slot: datetime | None = _at(default=None)
    baseline: str
    body: bytes = Field(sa_type=LargeBinary)


class BaselineRow(SQLModel, table=True):
    """A version of what an endpoint's probe is compared with."""

    __tablename__ = "baseline"
    id: str = Field(primary_key=True)
    endpoint: str
    probe: str
    version: int
    state: str
    subject: str
    fits: Any = _json()
    author: str
    reason: str
    created: datetime = _at()
    accepted: datetime | None = _at(default=None)

    __table_args__ = (UniqueConstraint("endpoint", "probe", "version", name="baseline_version"),)


class CaseReferenceRow(SQLModel, table=True):
    """One case's in-control counts; valid while `basis` (what was asked, how it was scored) is unchanged."""

    __tablename__ = "case_reference"
    baseline: str = Field(primary_key=True)
    measure: str = Field(primary_key=True)
    case_key: str = Field(primary_key=True)
    basis: str
    runs: int
    total: float
    total_sq: float
    captured_runs: int = 0
    captured_total: float = 0.0


class ResidualSampleRow(SQLModel, table=True):
    """A stream's in-control residuals: little-endian float64, oldest first, at most 2,000."""

    __tablename__ = "residual_sample"
    baseline: str = Field(primary_key=True)
    measure: str = Field(primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)


class ExposureRow(SQLModel, table=True):
    """How often and when last a case was asked."""

    __tablename__ = "exposure"
    endpoint: str = Field(primary_key=True)
    probe: str = Field(primary_key=True)
    case_key: str = Field(primary_key=True)
    asked: int
    last: datetime = _at()


class LedgerRow(SQLModel, table=True):
    """Money and tokens of one endpoint on one UTC day, in integer nano-dollars."""

    __tablename__ = "ledger"
    endpoint: str = Field(primary_key=True)
    day: date = Field(primary_key=True, index=True)
    reserved_nano: int = _big(default=0)
    spent_nano: int = _big(default=0)
    requests: int = _big(default=0)
    input_tokens: int = _big(default=0)
    output_tokens: int = _big(default=0)


class GateRow(SQLModel, table=True):
    """When the next request to an endpoint may leave (all replicas share the pace)."""

    __tablename__ = "gate"
    endpoint: str = Field(primary_key=True)
    next_free: datetime = _at()


class PermitRow(SQLModel, table=True):
    """A round's hold on an endpoint: part of its concurrency, and money not settled yet."""

    __tablename__ = "permit"
    round_id: str = Field(primary_key=True)
    endpoint: str = Field(primary_key=True, index=True)
    concurrency: int
    day: date
    reserved_nano: int = _big(default=0)


class RuleStateRow(SQLModel, table=True):
    """Where a rule stands for one signal."""

    __tablename__ = "rule_state"
    key: str = Field(primary_key=True)
    endpoint: str = Field(index=True)
    state: Any = _json()
    updated: datetime = _at()


class IncidentRow(SQLModel, table=True):
    """What on-call deals with. The partial index forbids two open ones of one fingerprint."""

    __tablename__ = "incident"
    id: str = Field(primary_key=True)
    fingerprint: str
    endpoint: str = Field(index=True)
    severity: str
    state: str
    seq: int
    opened: datetime = _at()
    updated: datetime = _at()
    resolved: datetime | None = _at(default=None)
    body: Any = _json()

    __table_args__ = (
        Index(
            "incident_one_open",
            "fingerprint",
            unique=True,
            sqlite_where=text("state != 'resolved'"),
            postgresql_where=text("state != 'resolved'"),
        ),
    )


class TransitionRow(SQLModel, table=True):
    """One step in an incident's life."""

    __tablename__ = "transition"
    incident_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    kind: str
    at: datetime = _at()
    summary: str
    reason: str


class NotificationRow(SQLModel, table=True):
    """A message owed to a channel: a row before it is a request."""

    __tablename__ = "notification"
    id: str = Field(primary_key=True)
    incident_id: str
    seq: int
    channel: str
    kind: str
    notice: Any = _json()
    state: str = Field(index=True)
    reason: str = ""
    attempts: int = 0
    due: datetime = _at()
    fence: int = _big(default=0)
    lease_until: datetime | None = _at(default=None)
    receipt: Any = _json(default=None, nullable=True)
    created: datetime = _at()
    sent: datetime | None = _at(default=None)

    __table_args__ = (UniqueConstraint("incident_id", "seq", "channel", name="notification_transition"),)


class EventRow(SQLModel, table=True):
    """Something worth seeing beside a chart: a reload, another served model, slots missed while down."""

    __tablename__ = "event"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _at(index=True)
    kind: str
    endpoint: str | None = None
    text: str


class TokenRow(SQLModel, table=True):
    """What opens the web: only the SHA-256 of a token is kept, so that no copy of the store tells one."""

    __tablename__ = "token"
    id: str = Field(primary_key=True)
    name: str
    hash: str = Field(index=True, unique=True)
    scopes: Any = _json()
    created: datetime = _at()
    revoked: datetime | None = _at(default=None)
    last_used: datetime | None = _at(default=None)


class AuditRow(SQLModel, table=True):
    """Who did what to what, and why; kept for ever."""

    __tablename__ = "audit"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _at()
    who: str
    action: str
    object: str
    why: str = ""
    detail: Any = _json(default=None, nullable=True)


metadata = SQLModel.metadata

# Core's view of the same tables: batches through Core cost a sixteenth of ORM objects.
metas = metadata.tables["meta"]
replicas = metadata.tables["replica"]
endpoints = metadata.tables["endpoint"]
eval_set_cases = metadata.tables["eval_set_case"]
eval_set_versions = metadata.tables["eval_set_version"]
rounds = metadata.tables["round"]
results = metadata.tables["result"]
reply_texts = metadata.tables["reply_text"]
streams = metadata.tables["stream"]
round_stats = metadata.tables["round_stat"]
detector_states = metadata.tables["detector_state"]
detector_snapshots = metadata.tables["detector_snapshot"]
baselines = metadata.tables["baseline"]
case_references = metadata.tables["case_reference"]
residual_samples = metadata.tables["residual_sample"]
exposures = metadata.tables["exposure"]
ledger = metadata.tables["ledger"]
gates = metadata.tables["gate"]
permits = metadata.tables["permit"]
rule_states = metadata.tables["rule_state"]
incidents = metadata.tables["incident"]
transitions = metadata.tables["transition"]
notifications = metadata.tables["notification"]
events = metadata.tables["event"]
tokens = metadata.tables["token"]
audits = metadata.tables["audit"]
