"""Sources as strangers may see them: not where on this machine they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_WILDCARD = re.compile(r"[*?\[]")
_MOST_KEPT = 10_000


class Shortener:
    """Shortens absolute sources to what lies below the parent of the folder that was named for the index."""

    def __init__(self, named: Sequence[str]) -> None:
        """Take what the index was built of.

        Args:
            named: Files, folders and patterns (``Manifest.sources``).
        """
        bases = {_folder_of(one) for one in named if _ABSOLUTE.match(one)}
        self._bases = sorted(bases, key=len, reverse=True)  # of nested folders the innermost counts
        self._known: dict[str, str] = {}

    def __call__(self, source: str) -> str:
        """Return a source as it is shown; relative ones and names that are no paths stay."""
        if not _ABSOLUTE.match(source):
            return source
        if source not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[source] = self._shorten(source)
        return self._known[source]

    def _shorten(self, source: str) -> str:
        plain = source.replace("\\", "/")
        for base in self._bases:
            if plain == base or plain.startswith(base + "/"):
                return plain[base.rfind("/") + 1 :].lstrip("/")
        return plain.rpartition("/")[2]


def _folder_of(named: str) -> str:
    """Return a named folder or file without a slash at its end; of a pattern the folder before its first wildcard."""
    plain = named.replace("\\", "/")
    wildcard = _WILDCARD.search(plain)
    if wildcard:
        plain = plain[: wildcard.start()].rpartition("/")[0]
    return plain.rstrip("/")
