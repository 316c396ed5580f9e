"""One passage whole, with what stands before and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from search.paint import PLAIN, Look, Paint, Span, looks
from search.render import isolate, isolate_runs, place, printable, span_told, where_told, word_spans

if TYPE_CHECKING:
    from search.hits import Hit
    from search.passage_context import PassageInContext


def render_passage(found: PassageInContext, hit: Hit, paint: Paint = PLAIN) -> list[str]:
    """Return the lines that show a passage whole, its lines as they are, between its neighbours.

    Args:
        found: The passage.
        hit: The hit that it is, which says what of it is closest to which query.
        paint: Puts colours on it; what stands around the passage is faint.
    """
    rank, score = paint(f"{hit.rank:>3}", Look.RANK), paint(f"{hit.score:.3f}", Look.FAINT)
    head = f"{rank}  {score}  {paint(found.lang, Look.LANG)}  {paint(where_told(found), Look.PLACE)}"
    lines = [f"{head}{paint(span_told(found), Look.FAINT)}"]
    if found.title:
        lines.append(f"     {paint(isolate(' '.join(found.title.split())), Look.TITLE)}")
    begins = found.start
    before: list[str] = []
    for one in reversed(found.before):  # what two passages share is shown once
        before.insert(0, one.text[: max(0, begins - one.start)])
        begins = min(begins, one.start)
    lines += [line for text in before for line in _faint(text, paint)]
    lines += _lines(found.text, _spans(found, hit) if paint.is_on else [], paint)
    ends = found.end
    for one in found.after:
        lines += _faint(one.text[max(0, ends - one.start) :], paint)
        ends = max(ends, one.end)
    lines += [paint(printable(f"     {name}: {value}"), Look.FAINT) for name, value in found.metadata.items()]
    if found.n_places > 1:
        places = [f"     also in {isolate(place(one.source, one.doc_id))}:{one.start}" for one in found.also_in]
        left = found.n_places - 1 - len(found.also_in)
        lines += [*places, *([f"     and in {left:,} more places"] if left else [])]
    return lines


def _spans(found: PassageInContext, hit: Hit) -> list[Span]:
    begin, end = hit.highlight[0] - hit.start, hit.highlight[1] - hit.start
    is_part = 0 <= begin < end and end - begin < len(found.text)
    sentence: list[Span] = [(begin, end, Look.SENTENCE)] if is_part else []
    return [*sentence, *word_spans(hit.query, found.text)]


def _faint(text: str, paint: Paint) -> list[str]:
    shown = text.strip()
    return list(_lines(shown, [(0, len(shown), Look.FAINT)], paint))


def _lines(text: str, spans: Sequence[Span], paint: Paint) -> Iterator[str]:
    """Yield the lines of a text, each isolated by itself."""
    text = text.replace("\t", " ")  # a tab would be left out as what steers a terminal
    at = 0
    for line in text.splitlines(keepends=True):
        shown = line.rstrip()
        yield f"     {isolate_runs(list(looks(text, at, at + len(shown), spans)), paint)}".rstrip(" ")
        at += len(line)
