"""Any sentence-transformers model, computed by torch. The one home of sentence-transformers and transformers."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

from index.config import ModelSettings, Precision
from index.encoder import Fingerprint, PromptedEncoder, token_batches
from index.errors import ModelError
from index.models import ModelFiles
from index.progress import Progress
from index.prompts import Prompts


class SentenceTransformerEncoder(PromptedEncoder):
    """Any sentence-transformers model, on the CPU in float32 or bfloat16."""

    def __init__(self, files: ModelFiles, prompts: Prompts, settings: ModelSettings) -> None:
        """Load the model.

        Raises:
            ModelError: When it cannot be loaded.
        """
        self._batch_tokens = settings.batch_tokens
        precision = Precision.BF16 if settings.precision == Precision.BF16 else Precision.FP32
        self._model = load(files, settings, precision)
        self._tokenizer = self._model.tokenizer
        self._counting = _own_tokenizer(self._tokenizer)
        fingerprint = Fingerprint(
            model=files.name,
            weights_hash=files.weights_hash,
            query_prompt=prompts.query,
            passage_prompt=prompts.passage,
            pooling=pooling(self._model),
            max_tokens=max_tokens(self._model),
            dim=int(self._raw(["."]).shape[1]),
            precision=precision,
        )
        super().__init__(prompts, fingerprint)

    def _vectors(self, texts: Sequence[str], progress: Progress) -> Any:
        import numpy as np

        rows = np.empty((len(texts), self._fingerprint.dim), np.float32)
        limit = self._fingerprint.max_tokens
        lengths = [min(n, limit) for n in self._n_tokens(texts, special=True)]
        for batch in token_batches(lengths, self._batch_tokens):
            rows[batch] = self._raw([texts[i] for i in batch])
            progress.advance(len(batch))
        return rows

    def _raw(self, texts: Sequence[str]) -> Any:
        return (
            self._model.encode(
                list(texts),
                prompt="",  # ours is already there; the model's default one must not be added
                batch_size=len(texts),
                show_progress_bar=False,
                convert_to_numpy=False,
                convert_to_tensor=True,
            )
            .float()  # NumPy has no bfloat16
            .numpy()
        )

    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        if self._counting is not None:
            return [len(one) for one in self._counting.encode_batch_fast(list(texts), add_special_tokens=special)]
        with quiet():
            encoded = self._tokenizer(list(texts), add_special_tokens=special, truncation=False)
        return [len(ids) for ids in encoded["input_ids"]]


def _own_tokenizer(tokenizer: Any) -> Any:
    """Return a copy of a model's tokenizer to count with, None when it is not of the library tokenizers.

    The model's own one is told to cut and to pad whenever something is embedded, which another thread may be doing.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)  # a static model has it bare
    if not isinstance(backend, Tokenizer):
        return None
    own = copy.deepcopy(backend)
    own.no_padding()
    own.no_truncation()
    return own


def load(files: ModelFiles, settings: ModelSettings, precision: Precision = Precision.FP32) -> Any:
    """Load a model as sentence-transformers does, without a network.

    Raises:
        ModelError: When its files are not what they should be.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    if settings.threads:
        torch.set_num_threads(settings.threads)
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    try:
        with quiet():
            return SentenceTransformer(
                str(files.folder), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype}
            )
    except Exception as error:  # whatever the loader makes of files that are not what they should be
        if "trust_remote_code" in str(error):
            raise ModelError(f"{files.name}: needs code of its own, which is not run. Name another model.") from error
        raise ModelError(
            f"{files.name}: cannot be loaded as a sentence-transformers model ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}). Check its files in {files.folder}."
        ) from error


def max_tokens(model: Any) -> int:
    """Return how many tokens a model reads, prompt and special tokens included."""
    limit = model.max_seq_length or getattr(model.tokenizer, "model_max_length", 512)
    return int(min(limit, 8192))  # tokenizers without a limit name a huge number


def pooling(model: Any) -> str:
    """Return the name of how a model makes one vector of many."""
    for module in model:
        modes = getattr(module, "pooling_mode", None)  # since version 6 of the library; a method before
        if modes is not None:
            return modes if isinstance(modes, str) else "+".join(modes)
        mode = getattr(module, "get_pooling_mode_str", None)
        if mode is not None:
            return str(mode())
    return "the model's own"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
