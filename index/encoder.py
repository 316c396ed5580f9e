"""Encoders: text in, unit vectors out. The one home of sentence-transformers and torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from index.config import ModelSettings
from index.errors import ModelError
from index.models import ModelFiles, find_model
from index.progress import SILENT, Progress
from index.prompts import Prompts, resolve_prompts
from index.text import for_model
from index.vectors import unit_rows

if TYPE_CHECKING:
    from index.records import Vectors


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides an encoder's vectors; two encoders with equal ones can serve the same index.

    Attributes:
        model: The model's name.
        weights_hash: sha256 over its weights and tokenizer.
        query_prompt: Put before every query.
        passage_prompt: Put before every passage.
        pooling: How token vectors become one.
        max_tokens: The most tokens the model reads, prompt and special tokens included.
        dim: Length of a vector.
        precision: Number format of the computation.
    """

    model: str = ""
    weights_hash: str = ""
    query_prompt: str = ""
    passage_prompt: str = ""
    pooling: str = ""
    max_tokens: int = 0
    dim: int = 0
    precision: str = "fp32"


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the vectors."""

    @property
    def passage_tokens(self) -> int:
        """The most tokens of a passage that are read, its prompt and the special tokens taken off."""

    @property
    def query_tokens(self) -> int:
        """The most tokens of a query that are read, its prompt and the special tokens taken off."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without prompt and special tokens."""

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Return the vectors of passages, shape (len(texts), dim), unit rows; advances by one a text."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of queries, shape (len(texts), dim), unit rows."""


class SentenceTransformerEncoder:
    """Any sentence-transformers model, on the CPU in float32."""

    def __init__(self, files: ModelFiles, prompts: Prompts, settings: ModelSettings) -> None:
        self._prompts = prompts
        self._batch_size = settings.batch_size
        self._model = _load(files, settings)
        self._tokenizer = self._model.tokenizer
        limit = self._model.max_seq_length or getattr(self._tokenizer, "model_max_length", 512)
        self._max_tokens = int(min(limit, 8192))  # tokenizers without a limit name a huge number
        self._fingerprint = Fingerprint(
            model=files.name,
            weights_hash=files.weights_hash,
            query_prompt=prompts.query,
            passage_prompt=prompts.passage,
            pooling=_pooling(self._model),
            max_tokens=self._max_tokens,
            dim=int(self._raw(["."], "").shape[1]),
        )
        if min(self.passage_tokens, self.query_tokens) < 1:
            raise ModelError(
                f"{files.name}: a prompt leaves no room for text in the {self._max_tokens} tokens that the model "
                "reads. Give shorter prompts."
            )

    @property
    def prompts(self) -> Prompts:
        """The prompts in use and who says so."""
        return self._prompts

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the vectors."""
        return self._fingerprint

    @property
    def passage_tokens(self) -> int:
        """The most tokens of a passage that are read, its prompt and the special tokens taken off."""
        return self._max_tokens - self._n_tokens([self._prompts.passage], special=True)[0]

    @property
    def query_tokens(self) -> int:
        """The most tokens of a query that are read, its prompt and the special tokens taken off."""
        return self._max_tokens - self._n_tokens([self._prompts.query], special=True)[0]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without prompt and special tokens."""
        if not texts:
            return []
        return self._n_tokens([for_model(text) for text in texts], special=False)

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Return the vectors of passages, shape (len(texts), dim), unit rows; advances by one a text."""
        return self._encode(texts, self._prompts.passage, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of queries, shape (len(texts), dim), unit rows."""
        return self._encode(texts, self._prompts.query, SILENT)

    def _encode(self, texts: Sequence[str], prompt: str, progress: Progress) -> Vectors:
        import numpy as np

        rows = np.empty((len(texts), self._fingerprint.dim), np.float32)
        # Like lengths together, longest first: little padding, and a lack of memory shows at once.
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for at in range(0, len(order), self._batch_size):
            batch = order[at : at + self._batch_size]
            rows[batch] = self._raw([texts[i] for i in batch], prompt)
            progress.advance(len(batch))
        return unit_rows(rows)

    def _raw(self, texts: Sequence[str], prompt: str) -> Any:
        return self._model.encode(
            [prompt + for_model(text) for text in texts],
            prompt="",  # ours is already there; the model's default one must not be added
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
        )

    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        if not callable(self._tokenizer):  # a static model has a tokenizer of the library tokenizers itself
            return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=special)]
        with _quiet():
            encoded = self._tokenizer(list(texts), add_special_tokens=special, truncation=False)
        return [len(ids) for ids in encoded["input_ids"]]


def open_encoder(
    settings: ModelSettings, progress: Progress = SILENT, *, may_fetch: bool = True
) -> SentenceTransformerEncoder:
    """Find a model and load it with its prompts.

    Args:
        settings: Which model, and how it is asked.
        progress: Told of its preparation.
        may_fetch: Whether it may come from the hub when it is not on this machine.

    Raises:
        ModelError: When it cannot be found or loaded.
    """
    files = find_model(settings.name, progress, may_fetch=may_fetch)
    prompts = resolve_prompts(files.folder, settings.name, settings.query_prompt, settings.passage_prompt)
    return SentenceTransformerEncoder(files, prompts, settings)


def _load(files: ModelFiles, settings: ModelSettings) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with _quiet():
            return SentenceTransformer(
                str(files.folder), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
            )
    except Exception as error:  # whatever the loader makes of files that are not what they should be
        if "trust_remote_code" in str(error):
            raise ModelError(f"{files.name}: needs code of its own, which is not run. Name another model.") from error
        raise ModelError(
            f"{files.name}: cannot be loaded as a sentence-transformers model ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}). Check its files in {files.folder}."
        ) from error


def _pooling(model: Any) -> str:
    for module in model:
        modes = getattr(module, "pooling_mode", None)  # since version 6 of the library; a method before
        if modes is not None:
            return modes if isinstance(modes, str) else "+".join(modes)
        mode = getattr(module, "get_pooling_mode_str", None)
        if mode is not None:
            return str(mode())
    return "the model's own"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and length warnings off the user's terminal; ours say what matters."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
