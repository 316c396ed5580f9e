"""Encoders: text in, unit vectors out. What they share, and which one serves."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from index.cache import is_whole
from index.config import Backend, ModelSettings, Precision
from index.errors import BackendError, ModelError, StoreError
from index.models import find_model, known_model
from index.progress import SILENT, Progress
from index.prompts import Prompts, resolve_prompts
from index.text import for_model
from index.vectors import unit_rows

if TYPE_CHECKING:
    from index.records import Vectors


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides an encoder's vectors; two that differ in no more than precision and name can serve the same index.

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
    """Turns texts into unit vectors.

    A build calls ``encode_passages`` in a thread of its own, and ``count_tokens`` in the caller's meanwhile.
    """

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
        """Return the vectors of passages, shape (len(texts), dim), unit rows.

        Args:
            texts: What the model reads of each, without its prompt.
            progress: Advanced by one a text.
        """

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of queries, shape (len(texts), dim), unit rows."""


OpenEncoder: TypeAlias = Callable[[Fingerprint], Encoder]
"""Gives the encoder that made an index, when it is needed."""


def opened(encoder: Encoder | OpenEncoder | None, made_with: Fingerprint, progress: Progress) -> Encoder:
    """Return an index's encoder: as given, or opened now; one that only the index names is not fetched.

    Raises:
        ModelError: When it cannot be found or loaded.
    """
    if encoder is None:
        return open_encoder(settings_for(made_with, None, Backend.AUTO, 0), progress, may_fetch=False)
    return encoder(made_with) if callable(encoder) else encoder


class PromptedEncoder(abc.ABC):
    """What all models have in common: prompts before texts, a limit of tokens, unit rows."""

    def __init__(self, prompts: Prompts, fingerprint: Fingerprint) -> None:
        self._prompts = prompts
        self._fingerprint = fingerprint
        if min(self.passage_tokens, self.query_tokens) < 1:
            raise ModelError(
                f"{fingerprint.model}: a prompt leaves no room for text in the {fingerprint.max_tokens} tokens that "
                "the model reads. Give shorter prompts."
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
        return self._fingerprint.max_tokens - self._n_tokens([self._prompts.passage], special=True)[0]

    @property
    def query_tokens(self) -> int:
        """The most tokens of a query that are read, its prompt and the special tokens taken off."""
        return self._fingerprint.max_tokens - self._n_tokens([self._prompts.query], special=True)[0]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without prompt and special tokens."""
        return self._n_tokens([for_model(text) for text in texts], special=False) if texts else []

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Return the vectors of passages, shape (len(texts), dim), unit rows; advances by one a text."""
        return self._encode(texts, self._prompts.passage, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of queries, shape (len(texts), dim), unit rows."""
        return self._encode(texts, self._prompts.query, SILENT)

    def _encode(self, texts: Sequence[str], prompt: str, progress: Progress) -> Vectors:
        import numpy as np

        if not texts:
            return np.empty((0, self._fingerprint.dim), np.float32)
        return unit_rows(self._vectors([prompt + for_model(text) for text in texts], progress))

    @abc.abstractmethod
    def _vectors(self, texts: Sequence[str], progress: Progress) -> Any:
        """Return the vectors of texts as the model reads them, shape (len(texts), dim), in any length."""

    @abc.abstractmethod
    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        """Return the number of tokens of texts as the model reads them, uncut."""


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield the positions of texts to encode together: like lengths, longest first, padded to at most ``budget``.

    Little padding is computed in vain, and a lack of memory shows at once.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def open_encoder(settings: ModelSettings, progress: Progress = SILENT, *, may_fetch: bool = True) -> PromptedEncoder:
    """Find a model and load it with its prompts.

    Args:
        settings: Which model, what computes it, and how it is asked.
        progress: Told of its preparation, and when torch has to serve in place of OpenVINO.
        may_fetch: Whether it may come from the hub when it is not on this machine.

    Raises:
        ModelError: When it cannot be found or loaded.
        StoreError: When it cannot be written to this machine.
    """
    files = find_model(settings.name, progress, may_fetch=may_fetch)
    prompts = resolve_prompts(files.folder, settings.name, settings.query_prompt, settings.passage_prompt)
    notice = ""
    if settings.backend != Backend.TORCH:
        from index.openvino_encoder import open_openvino

        try:
            return open_openvino(files, prompts, settings, progress)
        except (BackendError, StoreError) as error:
            if settings.backend == Backend.OPENVINO:
                raise type(error)(f"{error} Or compute with torch: --backend torch.") from error
            notice = str(error)
    from index.torch_encoder import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder(files, prompts, settings)
    if notice:
        progress.note(f"{notice} torch computes instead: slower, in {encoder.fingerprint.precision}.")
    return encoder


def open_prepared(settings: ModelSettings) -> PromptedEncoder | None:
    """Load a model as ``open_encoder`` does, but only one that is ready: nothing is made, fetched or written.

    Returns:
        The encoder; None when its first use would make or fetch something.

    Raises:
        ModelError: When it cannot be loaded.
    """
    files = known_model(settings.name)
    if files is None:
        return None
    prompts = resolve_prompts(files.folder, settings.name, settings.query_prompt, settings.passage_prompt)
    if settings.backend != Backend.TORCH:
        from index.openvino_encoder import OpenVinoEncoder, exported, import_openvino, refusal

        folder = exported(files, settings)[1]
        try:
            import_openvino()
            if is_whole(folder):
                return OpenVinoEncoder(files, prompts, settings, folder, may_write=False)
            if not refusal(folder)[0]:
                return None
            raise BackendError(f"{files.name}: OpenVINO cannot compute it: {refusal(folder)[0]}.")
        except BackendError:
            if settings.backend == Backend.OPENVINO:
                raise
    from index.torch_encoder import SentenceTransformerEncoder

    return SentenceTransformerEncoder(files, prompts, settings)


def settings_for(made_with: Fingerprint, model: str | None, backend: Backend | str, threads: int) -> ModelSettings:
    """Return the settings of an encoder for an index that exists.

    Args:
        made_with: What made its vectors.
        model: That model, when it is elsewhere now.
        backend: What computes.
        threads: Threads of the model; 0 for as many as there are cores.
    """
    # torch has no int8; its fp32 is what int8 stands for.
    precision = Precision.AUTO if backend == Backend.TORCH else made_with.precision
    return ModelSettings(
        name=model or made_with.model,
        query_prompt=made_with.query_prompt,
        passage_prompt=made_with.passage_prompt,
        backend=backend,
        precision=precision,
        threads=threads,
    )
