"""Everything needed to ask an index: the closest passages to a question, whatever language they are in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from index.version import __version__

if TYPE_CHECKING:
    from search.hits import Hit
    from search.searcher import Searcher

__all__ = ["Hit", "Searcher", "__version__"]

_HOMES = {
    "Hit": "search.hits",
    "Searcher": "search.searcher",
}
"""Where each public name is made; imported when first used, since all of them take as long as a search."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
