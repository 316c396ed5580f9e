"""The models worth naming, and whether each is on this machine."""

from __future__ import annotations

from index import offline_model
from index.config import OFFLINE_MODEL, OFFLINE_MODELS, TRAINED_MODEL
from index.models import cached_hub_ids

_OFFLINE = {
    TRAINED_MODEL: "384 numbers, reads 512 tokens; e5-small, trained to find across languages; no network",
    OFFLINE_MODEL: "384 numbers, reads 512 tokens; .78 / .92 / .88 / .78 on Belebele te / fa / lt / ur; no network",
}
_KNOWN = {
    # Figures: nDCG@10 on Belebele, question and passage in the same language, te / fa / lt / ur.
    "BAAI/bge-m3": "1024 numbers, reads 8192 tokens; .90 / .94 / .93 / .90: the upgrade where time allows",
    "intfloat/multilingual-e5-base": "768 numbers, reads 512 tokens; the next size of e5-small",
    "intfloat/multilingual-e5-large": "1024 numbers, reads 512 tokens; the largest of its family",
    "Alibaba-NLP/gte-multilingual-base": "768 numbers, reads 8192 tokens",
    "sentence-transformers/LaBSE": "768 numbers, reads 256 tokens; made for finding translations",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": "384 numbers, reads 128 tokens; .06 on Telugu",
}


def list_models() -> list[dict[str, str]]:
    """Return name, state and a note of the offline models, the models worth naming, and those in the hub's cache."""
    cached = cached_hub_ids()
    offline = [{"name": name, "state": _offline_state(name), "note": _OFFLINE[name]} for name in OFFLINE_MODELS]
    known = [{"name": name, "state": _hub_state(name, cached), "note": note} for name, note in _KNOWN.items()]
    others = [{"name": name, "state": _hub_state(name, cached), "note": ""} for name in cached if name not in _KNOWN]
    return [*offline, *known, *others]


def _offline_state(name: str) -> str:
    if offline_model.is_ready(name):
        return "ready"
    return "made at its first use" if offline_model.is_installed() else "its package is missing"


def _hub_state(name: str, cached: list[str]) -> str:
    return "on this machine" if name in cached else "fetched at its first use"
