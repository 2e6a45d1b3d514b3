"""A scorer that knows palindromes."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from probes import Case, Reply, Score


class PalindromeSettings(BaseModel):
    """The parameters of `palindrome`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ignore_case: bool = True


class Palindrome:
    """1 where the letters of the reply read the same backwards, else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = PalindromeSettings

    def __init__(self, settings: PalindromeSettings) -> None:
        self._ignore_case = settings.ignore_case

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares the letters with themselves."""
        text = reply.text.lower() if self._ignore_case else reply.text
        letters = "".join(filter(str.isalpha, text[:10_000]))
        if not letters:
            return Score(value=None, reason="no_letters")
        return Score(value=float(letters == letters[::-1]))
