"""A model2vec model in a folder of this machine, from the optional extra `similarity`."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from probes.errors import ScorerError
from probes.vector import numbers

if TYPE_CHECKING:
    from model2vec import StaticModel

_MISSING = "similarity with `local` needs the library model2vec: pip install 'plumbline[similarity]'"


class LocalModel:
    """Loaded when it is first needed; it never asks a network, not even for a folder that is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model: StaticModel | None = None
        self._lock = threading.Lock()

    def embed(self, text: str) -> list[float]:
        """The vector of a text, read whole; zeros where the model knows nothing of it.

        It takes a moment and may be called in any thread.

        Raises:
            ScorerError: The library or the model is not there, or cannot be used.
        """
        with self._lock:  # while it encodes, the model changes where its tokenizer cuts
            if self._model is None:
                self._model = self._load()
            encoded = self._model.encode([text], max_length=None)[0]
        try:
            return numbers(encoded.tolist())
        except ValueError as error:
            raise ScorerError(f"the model in {self._folder} is broken: {error}") from None

    def _load(self) -> "StaticModel":
        try:
            from model2vec import StaticModel
        except ImportError:
            raise ScorerError(_MISSING) from None
        if not self._folder.is_dir():  # the library would look for it on a hub
            raise ScorerError(f"there is no folder {self._folder}; put a model2vec model there")
        try:
            return StaticModel.from_pretrained(self._folder)
        except Exception as error:  # three libraries read its files, each with errors of its own
            what = f"the folder {self._folder} holds no model2vec model ({type(error).__name__})"
            raise ScorerError(
                f"{what}; it needs model.safetensors, tokenizer.json and config.json"
            ) from error
