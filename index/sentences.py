"""Where sentences end: sentencex's boundaries, mended where they are wrong for the languages served."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from index.records import UNKNOWN_LANG
from index.text import Line

LIST_ITEM = re.compile(r"(?:[-*•–—+]|\d+[.)])\s")
_SHORTENED = {
    "lt": re.compile(
        r"\b(?:[^\W\d_]|akad|angl|apyg|apskr|asm|doc|dr|gen|gerb|gyv|įst|kun|lot|min|mln|mlrd|mst|nr|pav|plg|plk|prof"
        r"|proc|psl|pvz|red|rus|sav|sekr|šv|tel|tūkst|vad|val|vert|vok|vs|vyr|žr)\.$",
        re.IGNORECASE,
    )
}
"""Shortened words that sentencex does not know; some end sentences too, but a long sentence costs little."""
_SPACES = re.compile(r"[\r\n]|(?<!\s)\s++(?=\.)")
"""What the splitter reads as plain spaces: a line's end, and whatever space there is before a full stop. sentencex
1.0.32 takes that for one byte, and ends the program over any other after a single letter ("J\u00a0. Smith").
"""
_PART = re.compile(r".{1,20000}\S{0,2000}", re.DOTALL)
"""What the splitter gets at once: its time grows with the square of a line's length when quotes stay open. Nothing
without a space is that long and a word."""
_READ = 64
"""Characters looked at before a boundary."""


def split_sentences(text: str, paragraph: Sequence[Line], lang: str) -> Iterator[tuple[int, int]]:
    """Yield the offsets of a paragraph's sentences, without white space at their ends.

    Lines are read one by one, unless the paragraph was wrapped at a width: then a line's end is only a space.
    """
    start, end = paragraph[0].start, paragraph[-1].end
    spans = [(start, end)] if is_wrapped(paragraph) else [(line.start, line.end) for line in paragraph]
    for a, b in spans:
        for part in _PART.finditer(_SPACES.sub(_plain, text[a:b])):
            yield from _split(part.group(), a + part.start(), lang)


def _plain(spaces: re.Match[str]) -> str:
    return " " * len(spaces.group())


def is_wrapped(paragraph: Sequence[Line]) -> bool:
    """Tell whether a paragraph's lines were broken at a width, so that its sentences run across them."""
    lengths = [line.end - line.start for line in paragraph]
    widest = max(lengths)
    if len(lengths) < 2 or not 40 <= widest <= 120:
        return False
    if any(LIST_ITEM.match(line.text) or line.text.startswith("|") for line in paragraph):
        return False
    full = sum(length >= 0.7 * widest for length in lengths[:-1])
    open_ended = sum(line.text[-1] not in ".!?…۔؟:" for line in paragraph[:-1])
    return 2 * full > len(lengths) - 1 and 2 * open_ended > len(lengths) - 1


def _split(line: str, offset: int, lang: str) -> Iterator[tuple[int, int]]:
    import sentencex

    primary = lang.partition("-")[0].lower() if lang != UNKNOWN_LANG else "en"
    pending: tuple[int, int] | None = None
    for boundary in sentencex.get_sentence_boundaries(primary, line):
        start, end = boundary["start_index"], boundary["end_index"]
        piece = line[start:end]
        stripped = piece.strip()
        if not stripped:
            continue
        start += len(piece) - len(piece.lstrip())
        end = start + len(stripped)
        if pending and _continues(line[max(pending[0], pending[1] - _READ) : pending[1]], stripped, primary):
            pending = (pending[0], end)
            continue
        if pending:
            yield offset + pending[0], offset + pending[1]
        pending = (start, end)
    if pending:
        yield offset + pending[0], offset + pending[1]


def _continues(before: str, piece: str, lang: str) -> bool:
    """Tell whether the splitter cut where no sentence ends: before a small letter, after "3." or an abbreviation."""
    if piece[0].islower() or not any(char.isalpha() for char in piece) or not any(char.isalpha() for char in before):
        return True
    shortened = _SHORTENED.get(lang)
    return shortened is not None and shortened.search(before) is not None
