"""Everything needed to ask an index: the closest passages to a question, whatever language they are in."""

from index.version import __version__
from search.hits import Hit
from search.searcher import Searcher

__all__ = ["Hit", "Searcher", "__version__"]
