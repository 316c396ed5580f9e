"""Reranking by a cross-encoder, which reads a question together with each passage: slower and more exact.

A home of sentence-transformers beside ``index/torch_encoder.py``: what scores pairs shares nothing with what makes
vectors but the finding of its files.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from index.config import OFFLINE_MODELS
from index.errors import ModelError
from index.models import ModelFiles, find_model
from index.progress import SILENT, Progress
from index.text import for_model

if TYPE_CHECKING:
    from search.hits import Hit

_BATCH = 32
"""Pairs a forward pass, as the library has it."""
_REMEDY = "Name a cross-encoder that gives one score for a pair: its hub id, or its folder."


class Scorer(Protocol):
    """Says how well texts answer a query."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text, higher is better."""


class Reranker:
    """A sentence-transformers ``CrossEncoder`` on the CPU, in float32."""

    def __init__(self, name: str, model: Any) -> None:
        """Use ``Reranker.open``."""
        self.name = name
        self._model = model

    @classmethod
    def open(cls, name: str, *, progress: Progress = SILENT) -> Reranker:
        """Find a cross-encoder and load it; the network is used only for a hub id that is not on this machine.

        Args:
            name: A hub id or a local folder.
            progress: Told when the model is fetched.

        Raises:
            ModelError: When it cannot be found or loaded, is no cross-encoder, or gives not one score for a pair.
        """
        if name in OFFLINE_MODELS:  # not to be prepared only to be refused
            raise ModelError(f"{name}: makes vectors and is no cross-encoder. {_REMEDY}")
        try:
            files = find_model(name, progress)
        except ModelError as error:
            what = str(error).partition(". ")[0].partition("; ")[0]
            raise ModelError(f"{what}. {_REMEDY}") from error
        if not _is_cross_encoder(files.folder):
            raise ModelError(f"{files.name}: is no cross-encoder. {_REMEDY}")
        model = _load(files)
        if model.num_labels != 1:
            raise ModelError(f"{files.name}: gives {model.num_labels} scores for a pair. {_REMEDY}")
        return cls(files.name, model)

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers a query: the model's own activation, higher is better.

        Of a pair that is longer than the model reads, the end of its longer part is not read.

        Args:
            query: What was asked.
            texts: What may answer it.

        Raises:
            ModelError: When a score is no number.
        """
        if not texts:
            return []
        asked = for_model(query)
        pairs = [(asked, for_model(text)) for text in texts]
        found = [float(one) for one in self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)]
        if not all(map(math.isfinite, found)):
            raise ModelError(f"{self.name}: gives scores that are no numbers. Its weights are damaged: get them again.")
        return found


MOST = 50
"""Hits of a query that are reranked: each takes a cross-encoder as long as embedding a passage."""


def rerank(hits: Sequence[Hit], reranker: Scorer, k: int, *, grouped: bool = False) -> list[Hit]:
    """Order the first 50 hits of one query by a reranker's scores, which become theirs, and return the best.

    The reranker reads a passage's text after its document's title. Equal scores stand in the order they had. Hits
    beyond the first 50, of all languages together, follow in their order with the lowest of the scores.

    Args:
        hits: In their order.
        reranker: What scores them.
        k: The most hits returned; of each language when grouped.
        grouped: Whether the hits are of a search per language: they stay together by language, the language of the best
            hit first, and ranks are counted within it.
    """
    if not hits:
        return []
    n_groups = len({hit.lang for hit in hits}) if grouped else 1
    read = [hit for hit in hits if hit.rank <= max(1, MOST // n_groups)]
    found = reranker.scores(hits[0].query, [_read(hit) for hit in read])
    scored = [dataclasses.replace(hit, score=score) for hit, score in zip(read, found, strict=True)]
    scored += [dataclasses.replace(hit, score=min(found)) for hit in hits if hit.rank > max(1, MOST // n_groups)]
    groups: dict[str, list[Hit]] = defaultdict(list)
    for hit in sorted(scored, key=lambda hit: -hit.score):  # the best of all comes first, and so does its group
        groups[hit.lang if grouped else ""].append(hit)
    return [dataclasses.replace(hit, rank=rank) for group in groups.values() for rank, hit in enumerate(group[:k], 1)]


def _read(hit: Hit) -> str:
    has_title = not hit.title or hit.text.startswith(hit.title)
    return hit.text if has_title else f"{hit.title}\n{hit.text}"


def _is_cross_encoder(folder: Path) -> bool:
    """Tell whether a folder holds a cross-encoder: the library makes one of any model, with weights drawn at random."""
    declared = _read_json(folder / "config_sentence_transformers.json").get("model_type")
    if declared is not None:
        return bool(declared == "CrossEncoder")
    # Older versions of the library wrote modules for models that make vectors, and none for cross-encoders.
    architectures = _read_json(folder / "config.json").get("architectures") or [""]
    has_scores = str(architectures[0]).endswith("ForSequenceClassification")
    return has_scores and not (folder / "modules.json").exists()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _load(files: ModelFiles) -> Any:
    from sentence_transformers import CrossEncoder

    from index.torch_encoder import quiet

    try:
        with quiet():
            return CrossEncoder(
                str(files.folder), device="cpu", local_files_only=True, model_kwargs={"dtype": "float32"}
            )
    except Exception as error:  # whatever the loader makes of files that are not what they should be
        if "trust_remote_code" in str(error):
            raise ModelError(f"{files.name}: needs code of its own, which is not run. Name another model.") from error
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise ModelError(
            f"{files.name}: cannot be loaded as a cross-encoder ({type(error).__name__}: {reason}). "
            f"Check its files in {files.folder}."
        ) from error
