"""What the scorers of form read in a text: its beginning, and how many words, sentences, paragraphs, bullets."""

import regex

#: Characters of a reply that are read; a longer one is judged by its beginning, so that no reply is costly.
_READ = 200_000

#: Possessive and behind a lookbehind, so that a reply of full stops alone is read once and not once from each.
_SENTENCE_END = regex.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s|$)|[。！？]+|\n\s*\n")
_WORDLIKE = regex.compile(r"[\p{L}\p{N}]")
_BLANK_LINES = regex.compile(r"\n[^\S\n]*\n")
_BULLET = regex.compile(r"(?m)^[^\S\n]*(?:[*+•-]|\d{1,4}[.)])[^\S\n]+\S")


def head(text: str) -> str:
    """The part of a text that is read: its first 200,000 characters."""
    return text[:_READ]


def sentences(text: str) -> int:
    """Sentences: what ends in a full stop, question or exclamation mark before white space, or at an empty line."""
    return sum(1 for part in _SENTENCE_END.split(text) if _WORDLIKE.search(part))


def paragraphs(text: str) -> int:
    """Paragraphs: pieces of text between empty lines."""
    return sum(1 for part in _BLANK_LINES.split(text) if part.strip())


def bullets(text: str) -> int:
    """Bullet points: lines that begin with -, *, + or •, or with a number and a full stop or bracket."""
    return sum(1 for _ in _BULLET.finditer(text))
