"""Between attempts and rows: what is stored of a reply, and how its text is kept once."""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from alerts.hostile import one_line, plain
from monitor.config.model import Price
from monitor.price import result_nano
from monitor.store.rounds import Claim
from probes import Reply, Result

#: Takes what must not be stored out of a text.
Hide = Callable[[str], str]

_LONGEST_LABEL = 200
_LONGEST_DETAIL = 1_000
_LONGEST_EXPLANATION = 500

_to_json = json.JSONEncoder(sort_keys=True).encode  # json.dumps would make an encoder for each reply


def _as_it_is(text: str) -> str:
    return text


def storable(value: Any, hide: Hide = _as_it_is) -> Any:
    """A text, or JSON, that both databases take: models may send NUL and half characters, PostgreSQL takes neither.

    `hide` removes what must not be stored from each text.
    """
    if isinstance(value, str):
        value = hide(value)
        if value.isascii() and "\0" not in value:
            return value
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {storable(key, hide): storable(each, hide) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each, hide) for each in value]
    return value


def label(value: str | None, limit: int = _LONGEST_LABEL) -> str | None:
    """A short printable word of an endpoint's; plugin clients may hand on whatever they were told."""
    return None if value is None else "".join(filter(str.isprintable, value[:limit])) or None


def scores_json(result: Result, hide: Hide = _as_it_is) -> dict[str, Any]:
    """Scorer -> {"value", "reason", "explanation", "evidence"}; what is empty is left out.

    Plugins may quote a reply in full, so what they say is cut and cleaned as it is stored.
    """
    return {
        name: {
            "value": score.value,
            **({"reason": score.reason} if score.reason else {}),
            **(
                {"explanation": one_line(hide(score.explanation), _LONGEST_EXPLANATION)}
                if score.explanation
                else {}
            ),
            **({"evidence": plain(storable(score.evidence, hide))} if score.evidence else {}),
        }
        for name, score in result.scores.items()
    }


def result_row(
    claim: Claim,
    result: Result,
    *,
    row_id: int,
    pick: Mapping[str, Any],
    price: Price | None,
    reply_hash: str | None,
    hide: Hide = _as_it_is,
) -> dict[str, Any]:
    """One row of `result`; `reply_hash` is the key of the reply's row, None where there is no reply."""
    reply = result.reply
    timings = reply.timings if reply else None
    usage = reply.usage if reply else None
    return {
        "at": claim.slot,
        "id": row_id,
        "round_id": claim.id,
        "seq": result.ask.seq,
        "endpoint": claim.endpoint,
        "source": claim.probe,
        "kind": claim.kind,
        "case_key": pick["key"],
        "ask_hash": result.ask.case.ask_hash,
        "split": pick["split"],
        "outcome": str(result.outcome),
        "detail": label(hide(result.detail), _LONGEST_DETAIL) or "",
        "started": result.started,
        "elapsed": timings.total if timings else result.elapsed,
        "lag": result.lag,
        "first_token": timings.first_token if timings else None,
        "between_tokens": timings.between_tokens if timings else None,
        "dns": timings.dns if timings else None,
        "connect": timings.connect if timings else None,
        "reused": timings.reused if timings else False,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "finish_reason": label(reply.finish_reason) if reply else None,
        "served_model": label(reply.served_model) if reply else None,
        "fingerprint": label(reply.fingerprint) if reply else None,
        "headers": storable(reply.headers, hide) if reply and reply.headers else None,
        "score": result.score,
        "scores": scores_json(result, hide),
        "reply_hash": reply_hash,
        "cost_nano": result_nano(price, result),
    }


def reply_row(reply: Reply, now: datetime, hide: Hide = _as_it_is) -> dict[str, Any]:
    """One row of `reply_text`: what is kept of a reply so that it can be scored again, as ASCII JSON."""
    kept = hide(_to_json({"text": reply.text, "tool_calls": reply.tool_calls})).encode()
    return {"hash": hashlib.sha256(kept).hexdigest(), "body": zlib.compress(kept, level=1), "seen": now}


def read_reply(body: bytes) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Text and tool calls of a row that `reply_row` made."""
    kept = json.loads(zlib.decompress(body))
    return kept["text"], tuple(kept["tool_calls"])
