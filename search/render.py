"""Hits as text for people: one block a hit, right-to-left text isolated, the document's own words unchanged."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from search.hits import Hit

_FIRST_STRONG_ISOLATE = "\u2068"
_POP_ISOLATE = "\u2069"
# What would steer the terminal or leave its isolate. The text stored and the JSON output keep it.
_STEERING = re.compile("[\u2028-\u202e\u2066-\u2069\x00-\x1f\x7f-\x9f]")

_LONGEST_TITLE = 80


def isolate(text: str) -> str:
    """Wrap a text so that its direction does not scramble the rest of the line."""
    return f"{_FIRST_STRONG_ISOLATE}{printable(text)}{_POP_ISOLATE}"


def printable(text: str) -> str:
    """Return a text without the characters that would steer a terminal or end its line."""
    return _STEERING.sub("", text)


def snippet(text: str, width: int) -> str:
    """Return the beginning of a text on one line, cut between words, "…" where it goes on.

    Args:
        text: Any text.
        width: The most characters, marks that take no column not counted.
    """
    shown: list[str] = []
    used = -1
    for word in text.split():
        used += 1 + columns(word)
        if used > width and shown:
            return " ".join(shown) + " …"
        shown.append(word)
    return " ".join(shown)


def columns(text: str) -> int:
    """Estimate the columns a text takes in a terminal: combining and invisible characters take none, wide ones two."""
    n = 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc"):
            continue
        n += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return n


def render_hits(hits: Sequence[Hit], *, width: int, grouped: bool = False) -> Iterator[str]:
    """Yield the lines that show hits: rank, score, language, source and title, then a snippet of two lines' length.

    Args:
        hits: In the order to show.
        width: Columns of the terminal.
        grouped: Whether to put a line before each language.
    """
    last = ""
    for hit in hits:
        if grouped and hit.lang != last:
            yield f"── {hit.lang} ──"
            last = hit.lang
        is_named = hit.source == hit.doc_id or hit.source.endswith(f"/{hit.doc_id}")
        place = hit.source if is_named else f"{hit.source} {hit.doc_id}"
        more = f" (+{hit.n_places - 1:,} more)" if hit.n_places > 1 else ""
        yield f"{hit.rank:>3}  {hit.score:.3f}  {hit.lang}  {isolate(place)}:{hit.start}-{hit.end}{more}"
        if hit.title and not snippet(hit.text, width).lstrip("# ").startswith(hit.title[:_LONGEST_TITLE]):
            yield f"     {isolate(snippet(hit.title, _LONGEST_TITLE))}"
        yield f"     {isolate(snippet(hit.text, 2 * width - 12))}"
