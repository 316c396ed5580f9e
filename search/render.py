"""Hits as text for people: one block a hit, right-to-left text isolated, the document's own words unchanged."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.hits import Hit

_FIRST_STRONG_ISOLATE = "\u2068"
_POP_ISOLATE = "\u2069"
_RIGHT_TO_LEFT = ("R", "AL", "AN")
"""Unicode's classes of characters that are written from right to left."""
# What would steer the terminal or leave its isolate. The text stored and the JSON output keep it.
_STEERING = re.compile("[\u2028-\u202e\u2066-\u2069\x00-\x1f\x7f-\x9f]")

_LONGEST_TITLE = 80


def render_answer(
    query: str, lang: str, hits: Sequence[Hit], *, width: int, grouped: bool, explain: bool = False
) -> list[str]:
    """Return the lines that show a question, the language it seems to be in, and its hits."""
    shown = render_hits(hits, width=width, grouped=grouped, explain=explain)
    return [f"{lang}  {isolate(snippet(query, 2 * width))}", *(shown if hits else ["     nothing found"])]


def isolate(text: str) -> str:
    """Wrap a text that runs from right to left so that it does not scramble the rest of the line."""
    shown = printable(text)
    if not any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in shown):
        return shown  # a path that is copied from the line must be the path
    return f"{_FIRST_STRONG_ISOLATE}{shown}{_POP_ISOLATE}"


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


def place(source: str, doc_id: str) -> str:
    """Name a document: its file, and its id where the file does not say it.

    What lies in an archive is named by its path there (``mail/old.zip/letters/7.txt``).
    """
    name = doc_id
    while name:
        if source == name or source.endswith(f"/{name}"):
            return source + doc_id[len(name) :]
        name = name.rpartition("/")[0]
    return f"{source} {doc_id}"


def render_hits(hits: Sequence[Hit], *, width: int, grouped: bool = False, explain: bool = False) -> Iterator[str]:
    """Yield the lines that show hits: rank, score, language, source and title, then a snippet of two lines' length.

    The snippet begins with the sentence closest to the query.

    Args:
        hits: In the order to show.
        width: Columns of the terminal.
        grouped: Whether to put a line before each language.
        explain: Whether to show what a score is made of.
    """
    last = ""
    for hit in hits:
        if grouped and hit.lang != last:
            yield f"── {hit.lang} ──"
            last = hit.lang
        more = f" (+{hit.n_places - 1:,} more)" if hit.n_places > 1 else ""
        where = isolate(place(hit.source, hit.doc_id))
        yield f"{hit.rank:>3}  {hit.score:.3f}  {hit.lang}  {where}:{hit.start}-{hit.end}{more}"
        text = _from_highlight(hit)
        if hit.title and not snippet(text, width).lstrip("# ").startswith(hit.title[:_LONGEST_TITLE]):
            yield f"     {isolate(snippet(hit.title, _LONGEST_TITLE))}"
        yield f"     {isolate(snippet(text, 2 * width - 12))}"
        if explain:
            yield f"     {_explanation(hit)}"


def _from_highlight(hit: Hit) -> str:
    """Return a passage from its closest sentence on, "…" before it where more is before it."""
    begin = hit.highlight[0] - hit.start
    return f"… {hit.text[begin:]}" if 0 < begin < len(hit.text) else hit.text


def _explanation(hit: Hit) -> str:
    """Say what a score is made of, and which words count for it."""
    parts = f"dense {hit.dense:.3f}  balance {hit.balance:+.3f}  lexical {hit.lexical:+.3f}"
    words = ", ".join(isolate(word) for word in hit.terms)
    return f"{parts}  words: {words}" if words else parts
