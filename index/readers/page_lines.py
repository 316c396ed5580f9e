"""From glyphs with places to lines of text in reading order."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise

_RIGHT = ("R", "AL")
_NUMBER = ("EN", "AN")
_IN_NUMBERS = (".", ",", "/", ":", "٫", "٬", "،")
_GAP = 0.13
"""Share of the font size that is a space between two glyphs; within words there is less than 0.08, else 0.2 or more."""
_INK_GAP = 0.19
"""The same where only ink is known: letters have some room around them."""
_SLOPING_GAP = 0.07
"""The same in Nastaliq, whose spaces are narrow."""
_LEANING = 0.5
"""Share of the font size that a glyph of Nastaliq may begin before the one that it stands behind."""
_LONG_LINE = 2_000
_NOTHING = 0.01
_JOINERS = "\u200c\u200d"
_DOWN, _UP = 0.55, 1.0
_SLOPING_DOWN, _SLOPING_UP = 0.8, 1.8
"""Shares of the font size that a line's glyphs may lie below and above its lowest one; Nastaliq writes downhill."""
_OFTEN_SLOPING = 0.15
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
_LOOSE_CLOSING = re.compile(r"(?<!\S)[)\]}»›]+(?=\w)")
_LOOSE_OPENING = re.compile(r"(?<=\w)[(\[{«‹]+(?=[\s.،؛؟!:;,]|$)|(?<=[.،؛؟!])[(\[{«‹]+(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Glyph:
    """Something drawn.

    Attributes:
        text: What it means, in reading order.
        x: Where it is drawn from, in points from the left.
        y: Its base line, in points from below.
        left: Of its ink.
        right: Of its ink.
        bottom: Of its ink.
        top: Of its ink.
        size: Of its font.
        is_ink: Whether left and right are those of its ink, without the room around it.
        is_more: Whether it is one with the glyph before: a ligature has several characters.
    """

    text: str
    x: float
    y: float
    left: float
    right: float
    bottom: float
    top: float
    size: float
    is_ink: bool = False
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line of a page: its text, where it begins, and the size of its letters."""

    text: str
    x: float
    y: float
    size: float


@dataclass(slots=True)
class _Cluster:
    """A glyph with the marks above and below it."""

    glyph: Glyph
    text: str
    right: float
    is_right: bool
    marks: list[str] = field(default_factory=list)

    def read(self) -> str:
        return self.text + "".join(self.marks)


def needs_order(codes: Iterable[int]) -> bool:
    """Tell whether a page holds letters that are not drawn in reading order, or joined in clusters."""
    return any(0x590 <= code <= 0xDFF or 0xFB1D <= code <= 0xFEFF for code in set(codes))


def lines_in_order(glyphs: Iterable[Glyph]) -> list[PageLine]:
    """Return the lines that glyphs make, in the order in which the page draws them."""
    drawn = list(glyphs)
    is_sloping = _is_sloping(drawn)
    lines, marks = _lines_and_marks(drawn, is_sloping)
    _attach(lines, marks)
    read = [_with_spaces(_from_left(line), is_sloping) for line in lines]
    is_right = 2 * sum(_n_of(line, _RIGHT) for line in read) > sum(_n_of(line, (*_RIGHT, "L")) for line in read)
    texts = [_logical(line, is_right) for line in read]
    made = []
    for text, line in zip(texts, lines, strict=True):
        if text.strip():
            y = min(cluster.glyph.y for cluster in line)
            made.append(PageLine(_faced(folded(text)).strip(), line[0].glyph.x, y, line[0].glyph.size))
    return made


def folded(text: str) -> str:
    """Return a text with letters for what stands for their shapes: presentation forms, ligatures."""
    if all(not _is_form(char) for char in set(text)):
        return text
    return "".join(unicodedata.normalize("NFKC", char) if _is_form(char) else char for char in text)


def _is_form(char: str) -> bool:
    return "\ufb00" <= char <= "\ufdff" or "\ufe70" <= char <= "\ufefc"


def _lines_and_marks(glyphs: Iterable[Glyph], is_sloping: bool) -> tuple[list[list[_Cluster]], list[Glyph]]:
    """Gather glyphs to lines, and the marks of right-to-left letters apart."""
    lines: list[list[_Cluster]] = []
    marks: list[Glyph] = []
    down, up = (_SLOPING_DOWN, _SLOPING_UP) if is_sloping else (_DOWN, _UP)
    low = 0.0
    for glyph in glyphs:
        if not is_sloping and glyph.text.isspace() and glyph.right - glyph.left < _NOTHING * glyph.size:
            continue  # PDFium thinks that a word ends here; where glyphs stand tells better
        if glyph.is_more and lines and not glyph.text.isspace():
            last = lines[-1][-1]
            last.text = _ligature(last.text + glyph.text)
            last.right = max(last.right, glyph.right)
            continue
        if all(_is_mark(char) for char in glyph.text) and glyph.text:
            marks.append(glyph)
            continue
        if not lines or not low - down * glyph.size <= glyph.y <= low + up * glyph.size:
            lines.append([])
            low = glyph.y
        low = min(low, glyph.y)
        lines[-1].append(_Cluster(glyph, glyph.text, glyph.right, _kind(glyph.text) == "R"))
    return lines, marks


def _is_sloping(glyphs: Sequence[Glyph]) -> bool:
    """Tell whether letters that follow each other often stand on different heights."""
    steps = [
        abs(b.y - a.y) > _NOTHING * b.size
        for a, b in pairwise(glyphs)
        if _kind(a.text) == _kind(b.text) == "R" and abs(b.y - a.y) < b.size
    ]
    return sum(steps) > _OFTEN_SLOPING * len(steps)


def _ligature(text: str) -> str:
    """Return the letters of a ligature in reading order; PDFium may have turned them."""
    return text[::-1] if len(text) == 2 and text[1] == "ل" and text[0] in "اأإآٱ" else text


def _is_mark(char: str) -> bool:
    """Tell whether a character is drawn above or below a letter of Arabic or Hebrew script."""
    return 0x590 <= ord(char) <= 0x8FF and unicodedata.category(char) == "Mn"


def _attach(lines: Sequence[Sequence[_Cluster]], marks: Iterable[Glyph]) -> None:
    """Give marks that are drawn by themselves to the letters that they stand above or below."""
    letters = sorted(
        (c for line in lines for c in line if any(unicodedata.bidirectional(char) in _RIGHT for char in c.text)),
        key=lambda cluster: cluster.glyph.y,
    )
    heights = [cluster.glyph.y for cluster in letters]
    for mark in marks:
        x, y = (mark.left + mark.right) / 2, (mark.bottom + mark.top) / 2
        first, last = bisect(heights, y - 2 * mark.size), bisect(heights, y + mark.size)
        near = letters[first:last]
        if near:
            min(near, key=lambda cluster: _distance(cluster.glyph, x, y)).marks.append(mark.text)


def _distance(glyph: Glyph, x: float, y: float) -> float:
    beside = max(glyph.left - x, x - glyph.right, 0.0)
    return beside + abs((glyph.left + glyph.right) / 2 - x) / 4 + max(glyph.bottom - y, y - glyph.top, 0.0) / 2


def _from_left(line: Sequence[_Cluster]) -> list[_Cluster]:
    """Return clusters from left to right.

    Letters of Nastaliq overlap, so where they begin tells only roughly in which order they stand; the order in which
    they were drawn tells the rest, be it from the left or from the right.
    """
    steps = [b.glyph.x < a.glyph.x for a, b in pairwise(line) if a.is_right and b.is_right]
    if len(line) > _LONG_LINE or not steps:
        return sorted(line, key=_begin)
    ordered: list[_Cluster] = []
    for cluster in line[::-1] if 2 * sum(steps) > len(steps) else line:
        at = len(ordered)
        while at and _begin(ordered[at - 1]) > _begin(cluster) + _leaning(ordered[at - 1], cluster):
            at -= 1
        ordered.insert(at, cluster)
    return ordered


def _begin(cluster: _Cluster) -> float:
    """Return where a cluster begins; a joiner or a space stands before the letter at the same place."""
    is_between = cluster.text in _JOINERS or cluster.text.isspace()
    return cluster.glyph.x - (_NOTHING * cluster.glyph.size if is_between else 0.0)


def _leaning(before: _Cluster, cluster: _Cluster) -> float:
    """Return how far two clusters may overlap without being out of order."""
    leans = cluster.is_right and before.is_right and before.glyph.y != cluster.glyph.y
    return _LEANING * cluster.glyph.size if leans else 0.0


def _with_spaces(line: Sequence[_Cluster], is_sloping: bool) -> list[str]:
    """Return the texts of a line's clusters from left to right, with spaces where there are gaps."""
    texts: list[str] = []
    right = line[0].glyph.left if line else 0.0
    was_ink = False
    for cluster in line:
        glyph = cluster.glyph
        if cluster.text in _JOINERS:
            texts.append(cluster.text)
            continue
        gap = _GAP
        if cluster.is_right and (is_sloping or glyph.is_ink or was_ink):
            gap = _SLOPING_GAP if is_sloping else _INK_GAP
        if texts and glyph.left - right > gap * glyph.size:
            texts.append(" ")
        texts.append(cluster.read())
        right, was_ink = max(right, cluster.right), glyph.is_ink
    return texts


def _logical(line: Sequence[str], is_right: bool) -> str:
    """Return a line in reading order.

    Args:
        line: Texts from left to right.
        is_right: Whether the page is written from right to left.
    """
    kinds = [_kind(text) for text in line]
    if "R" not in kinds:
        return "".join(line)
    _join_numbers(line, kinds)
    if is_right or kinds.count("R") > kinds.count("L"):
        return _from_right(line, kinds)
    read: list[str] = []
    for is_left, group in groupby(range(len(line)), key=lambda i: kinds[i] == "L"):
        run = list(group)
        rights = [i for i in run if kinds[i] == "R"]
        first, end = (rights[0], rights[-1] + 1) if rights and not is_left else (run[0], run[0])
        read += line[run[0] : first]
        read.append(_from_right(line[first:end], kinds[first:end]))
        read += line[end : run[-1] + 1]
    return "".join(read)


def _from_right(line: Sequence[str], kinds: Sequence[str]) -> str:
    """Return what is written from right to left in reading order; words and numbers in it keep theirs."""
    kinds = list(kinds)
    left = -1
    for i, kind in enumerate(kinds):
        if kind == "L":
            if left >= 0:
                kinds[left:i] = ["L"] * (i - left)
            left = i
        elif kind:
            left = -1
    read: list[str] = []
    for kind, group in groupby(range(len(line) - 1, -1, -1), key=lambda i: kinds[i]):
        run = [line[i] for i in group]
        if kind in ("L", "N"):
            run.reverse()
        read += run
    return "".join(read)


@lru_cache(4096)
def _kind(text: str) -> str:
    """Tell a letter of a right-to-left script, one of another, a digit, and anything else: R, L, N, ""."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in _RIGHT:
            return "R"
        if kind == "L":
            return "L"
        if kind in _NUMBER:
            return "N"
    return ""


def _join_numbers(line: Sequence[str], kinds: list[str]) -> None:
    """Let the points within a number count as its digits, and numbers after words from left to right as these."""
    for i in range(1, len(line) - 1):
        if line[i] in _IN_NUMBERS and kinds[i - 1] == kinds[i + 1] == "N":
            kinds[i] = "N"
    after_left = False
    for i, kind in enumerate(kinds):
        if (kind == "N" and after_left) or (line[i] == "%" and i and kinds[i - 1] == "L" and line[i - 1].isdecimal()):
            kinds[i] = "L"
        elif kind:
            after_left = kind == "L"


def _n_of(line: Sequence[str], kinds: Sequence[str]) -> int:
    """Count the characters of some of Unicode's classes of direction."""
    return sum(unicodedata.bidirectional(char) in kinds for text in line for char in text)


def _faced(text: str) -> str:
    """Return a line with its brackets turned as they must be: some programs name them by how they look.

    One that follows a space and stands before a word opens, one that follows a word and stands before a space closes.
    """
    if not any(unicodedata.bidirectional(char) in _RIGHT for char in set(text)):
        return text
    text = _LOOSE_CLOSING.sub(lambda found: found.group().translate(_MIRRORED), text)
    return _LOOSE_OPENING.sub(lambda found: found.group().translate(_MIRRORED), text)
