"""Hits as text for people: one block a hit, right-to-left text isolated, the document's own words unchanged."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from index.locators import told_locator
from search.paint import PLAIN, Look, Paint, Span, looks

if TYPE_CHECKING:
    from search.hits import Hit
    from search.passage_context import PassageInContext

_FIRST_STRONG_ISOLATE = "\u2068"
_POP_ISOLATE = "\u2069"
_RIGHT_TO_LEFT = ("R", "AL", "AN")
"""Unicode's classes of characters that are written from right to left."""
# What would steer the terminal or leave its isolate. The text stored keeps it, and the JSON output in escapes.
_STEERING = re.compile("[\u2028-\u202e\u2066-\u2069\x00-\x1f\x7f-\x9f]")

_WORD = re.compile(r"\S+")

_LONGEST_TITLE = 80


def render_answer(
    query: str,
    lang: str,
    hits: Sequence[Hit],
    *,
    width: int,
    grouped: bool,
    explain: bool = False,
    paint: Paint = PLAIN,
) -> list[str]:
    """Return the lines that show a question, the language it seems to be in, and its hits."""
    shown = render_hits(hits, width=width, grouped=grouped, explain=explain, paint=paint)
    head = f"{paint(lang, Look.LANG)}  {paint(isolate(snippet(query, 2 * width)), Look.RANK)}"
    return [head, *(shown if hits else ["     nothing found"])]


def isolate(text: str) -> str:
    """Wrap a text that runs from right to left so that it does not scramble the rest of the line."""
    return isolate_runs([(text, "")], PLAIN)


def isolate_runs(runs: Sequence[tuple[str, str]], paint: Paint) -> str:
    """Isolate, as ``isolate`` does, texts that stand one after another, each with its look.

    Marks of looks are opened and closed within the isolate: a terminal that puts characters in order knows no marks.
    """
    shown = [(printable(text), look) for text, look in runs]
    if not any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for text, _ in shown for char in text):
        return paint.runs(shown)  # a path that is copied from the line must be the path
    return f"{_FIRST_STRONG_ISOLATE}{paint.runs(shown)}{_POP_ISOLATE}"


def json_line(value: object) -> str:
    """Return JSON on one line in which what would steer a terminal is escaped: to a program it is the same."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """Return a text without the characters that would steer a terminal or end its line."""
    return _STEERING.sub("", text)


def snippet(text: str, width: int) -> str:
    """Return the beginning of a text on one line, cut between words, "…" where it goes on.

    Args:
        text: Any text.
        width: The most characters, marks that take no column not counted.
    """
    return "".join(text for text, _ in snippet_runs(text, width, ()))


def snippet_runs(text: str, width: int, spans: Sequence[Span]) -> list[tuple[str, str]]:
    """Return a ``snippet`` in runs, each with its look.

    Args:
        text: Any text.
        width: The most characters.
        spans: Which parts of the text look how.
    """
    runs: list[tuple[str, str]] = []
    used, last = -1, 0
    for word in _WORD.finditer(text):
        used += 1 + columns(word.group())
        if runs and used > width:
            return [*runs, (" …", "")]
        if runs:
            covered = [look for a, b, look in spans if a < last and word.start() < b]
            runs.append((" ", covered[-1] if covered else ""))
        runs += looks(text, *word.span(), spans)
        last = word.end()
    return runs


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


def where_told(found: Hit | PassageInContext) -> str:
    """Name the document that a hit is in, and the page or time in it."""
    return " ".join(filter(None, (isolate(place(found.source, found.doc_id)), told_locator(found.locator))))


def span_told(found: Hit | PassageInContext) -> str:
    """Name the characters of a document; "" where a page or time is told, which a person finds more easily."""
    return "" if told_locator(found.locator) else f":{found.start}-{found.end}"


def render_hits(
    hits: Sequence[Hit], *, width: int, grouped: bool = False, explain: bool = False, paint: Paint = PLAIN
) -> Iterator[str]:
    """Yield the lines that show hits: rank, score, language, source and title, then a snippet of two lines' length.

    The snippet begins with the sentence closest to the query.

    Args:
        hits: In the order to show.
        width: Columns of the terminal.
        grouped: Whether to put a line before each language.
        explain: Whether to show what a score is made of.
        paint: Puts colours on it.
    """
    last = ""
    for hit in hits:
        if grouped and hit.lang != last:
            yield paint(f"── {hit.lang} ──", Look.LANG)
            last = hit.lang
        more = f" (+{hit.n_places - 1:,} more)" if hit.n_places > 1 else ""
        where = paint(where_told(hit), Look.PLACE)
        span = paint(f"{span_told(hit)}{more}", Look.FAINT)
        rank, score = paint(f"{hit.rank:>3}", Look.RANK), paint(f"{hit.score:.3f}", Look.FAINT)
        yield f"{rank}  {score}  {paint(hit.lang, Look.LANG)}  {where}{span}"
        text, spans = _from_highlight(hit, paint)
        if hit.title and not snippet(text, width).lstrip("# ").startswith(hit.title[:_LONGEST_TITLE]):
            yield f"     {paint(isolate(snippet(hit.title, _LONGEST_TITLE)), Look.TITLE)}"
        yield f"     {isolate_runs(snippet_runs(text, 2 * width - 12, spans), paint)}"
        if explain:
            yield f"     {_explanation(hit)}"


def _from_highlight(hit: Hit, paint: Paint) -> tuple[str, list[Span]]:
    """Return a passage from its closest sentence on, "…" before it where more is before it; and how it looks."""
    begin, end = hit.highlight[0] - hit.start, hit.highlight[1] - hit.start
    is_later = 0 < begin < len(hit.text)
    text = f"… {hit.text[begin:]}" if is_later else hit.text
    if not paint.is_on:
        return text, []
    shift = 2 - begin if is_later else 0
    is_part = 0 <= begin < end and end - begin < len(hit.text)  # where all of it is the sentence, nothing stands out
    sentence = [(shift + begin, shift + end, Look.SENTENCE)] if is_part else []
    return text, [*sentence, *word_spans(hit.query, text)]


def word_spans(query: str, text: str) -> list[Span]:
    """Return where a text has words of a query, in whatever form words are the same to the search."""
    from index.terms import iter_terms, terms

    wanted = set(terms(query))
    return [(start, end, Look.WORD) for term, start, end in iter_terms(text) if term in wanted]


def _explanation(hit: Hit) -> str:
    """Say what a score is made of, and which words count for it."""
    parts = f"dense {hit.dense:.3f}  balance {hit.balance:+.3f}  lexical {hit.lexical:+.3f}"
    words = ", ".join(isolate(word) for word in hit.terms)
    return f"{parts}  words: {words}" if words else parts
