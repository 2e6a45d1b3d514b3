"""What Slack refuses of a message (block-kit reference): the fake is as strict, so that tests notice."""

from typing import Any

_KINDS = frozenset({"plain_text", "mrkdwn"})


def problem(arguments: dict[str, Any], longest: int = 40_000) -> str | None:
    """The error that Slack would give for a message, if any."""
    text, blocks = arguments.get("text") or "", arguments.get("blocks")
    if not text and not blocks:
        return "no_text"
    if _width(text) > longest:
        return "msg_too_long"
    if blocks is not None and (not isinstance(blocks, list) or len(blocks) > 50):
        return "invalid_blocks"
    if not all(_block_is_fine(block) for block in blocks or ()):
        return "invalid_blocks"
    return _metadata_problem(arguments.get("metadata"))


def _block_is_fine(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "header":
        return _text_is_fine(block.get("text"), 150, frozenset({"plain_text"}))
    if kind == "section":
        fields = block.get("fields", [])
        texts = [block["text"]] if "text" in block else []
        return (
            bool(texts or fields)
            and len(fields) <= 10
            and all(_text_is_fine(each, 3000) for each in texts)
            and all(_text_is_fine(each, 2000) for each in fields)
        )
    if kind == "context":
        elements = block.get("elements", [])
        return 0 < len(elements) <= 10 and all(_text_is_fine(each, 3000) for each in elements)
    return kind == "divider"


def _text_is_fine(text: Any, longest: int, kinds: frozenset[str] = _KINDS) -> bool:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return False
    wrong = {"emoji"} if text["type"] == "mrkdwn" else {"verbatim"}
    return not wrong & text.keys() and 0 < _width(text.get("text", "")) <= longest


def _metadata_problem(metadata: Any) -> str | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        return "invalid_metadata_format"
    payload = metadata.get("event_payload")
    plain = isinstance(payload, dict) and all(isinstance(each, str | int | bool) for each in payload.values())
    return None if plain else "invalid_metadata_schema"


def _width(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
