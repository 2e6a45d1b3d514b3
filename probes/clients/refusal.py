"""What an endpoint's error answer means, and what of its words may be shown.

The words are hostile input: they may quote our key or our prompt (perhaps a held-out case), or hold
control characters.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from probes.errors import EndpointError, Misconfigured, RateLimited, ServerFailed

_SHOWN = 200
_READ = 10_000
#: So many characters in common with a secret or a prompt are a quotation of it.
_SECRET_RUN, _PROMPT_RUN = 12, 24
_LONGEST_WAIT = 86_400.0
_A_PERSON_MUST_ACT = {
    401: "the key was refused; check `api_key`",
    402: "the account has no credit",
    403: "the key may not use this; check `api_key` and the account's rights",
    404: "nothing is at this address, or the model is unknown; check `url` and `model`",
}
#: The statuses that error words stand for where no status of its own comes with them (inside a stream).
_STATUS_OF = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
}


def refusal(
    status: int,
    words: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    code: object = None,
) -> EndpointError:
    """The typed error for an answer with this HTTP status.

    Args:
        status: The HTTP status; 200 for an error inside an answer that began well.
        words: The endpoint's own words, already made safe by `safe_words`.
        headers: The answer's headers, for `Retry-After`.
        code: The protocol's own error code, where the body gave one.
    """
    place = f"HTTP {status}"
    if status == 200:
        place, status = "an error inside the answer", _status_in(code)
    said = f": {words}" if words else ""
    if 300 <= status < 400:
        return Misconfigured(f"{place}, it redirects; put the final address into `url`", status=status)
    cure = _A_PERSON_MUST_ACT.get(404 if code == "model_not_found" else status)
    if cure is not None:
        return Misconfigured(f"{place}, {cure}{said}", status=status)
    if status == 429:
        wait = retry_after(headers or {})
        return RateLimited(f"{place}, rate limited{said}", status=status, retry_after=wait)
    # Any other 4xx too: an endpoint that refuses what it used to accept has got worse.
    return ServerFailed(f"{place}{said}", status=status)


def _status_in(code: object) -> int:
    """The HTTP status that an error's own code names (429, "429" or "rate_limit_error"), else 500."""
    if isinstance(code, str) and code in _STATUS_OF:
        return _STATUS_OF[code]
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdecimal()) else 0
    return number if 400 <= number < 600 else 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` (RFC 9110, 10.2.3: seconds or a date) asks for, at most a day."""
    value = headers.get("Retry-After", "").strip()
    try:
        wait = float(value)
    except ValueError:
        until, server_now = _date(value), _date(headers.get("Date", ""))
        if until is None:
            return None
        wait = (until - (server_now or datetime.now(UTC))).total_seconds()
    return min(max(wait, 0.0), _LONGEST_WAIT) if math.isfinite(wait) else None


def safe_words(words: str, *, secrets: Iterable[str], prompts: Iterable[str]) -> str:
    """At most 200 printable characters of an endpoint's words; none where they quote a secret or a prompt."""
    text = "".join(filter(str.isprintable, " ".join(words[:_READ].split())))
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
        if _quotes(text, secret, _SECRET_RUN):
            return ""
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    if any(_quotes(text, " ".join(prompt.split()), _PROMPT_RUN) for prompt in prompts):
        return ""
    return text


def error_in(body: object) -> tuple[object, str] | None:
    """The code and words of an error object, in the shapes that servers use; None where there is no error."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if not error and "choices" in body:
        return None
    if isinstance(error, dict):
        return error.get("code") or error.get("type"), str(error.get("message") or "")
    if error:
        return body.get("code"), error if isinstance(error, str) else ""
    if body.get("object") == "error":  # older vLLM
        return body.get("code"), str(body.get("message") or "")
    for key in ("message", "detail"):  # gateways; FastAPI
        if isinstance(body.get(key), str):
            return body.get("code"), body[key]
    return None


def _quotes(text: str, source: str, run: int) -> bool:
    if len(source) < run:
        return bool(source) and source in text
    return any(text[at : at + run] in source for at in range(len(text) - run + 1))


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
