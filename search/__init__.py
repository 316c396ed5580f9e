"""Everything needed to ask an index: the closest passages to a question, whatever language they are in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from index.version import __version__

if TYPE_CHECKING:
    from search.client import Client
    from search.hits import Hit
    from search.passage_context import Neighbour, PassageInContext
    from search.rank_settings import Balance, Mode, RankSettings, Weights
    from search.rerank import Reranker
    from search.searcher import Searcher

__all__ = [
    "Balance",
    "Client",
    "Hit",
    "Mode",
    "Neighbour",
    "PassageInContext",
    "RankSettings",
    "Reranker",
    "Searcher",
    "Weights",
    "__version__",
]

_HOMES = {
    "Balance": "search.rank_settings",
    "Client": "search.client",
    "Hit": "search.hits",
    "Mode": "search.rank_settings",
    "Neighbour": "search.passage_context",
    "PassageInContext": "search.passage_context",
    "RankSettings": "search.rank_settings",
    "Reranker": "search.rerank",
    "Searcher": "search.searcher",
    "Weights": "search.rank_settings",
}
"""Where each public name is made; imported when first used, since all of them take as long as a search."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
