"""Colour and weight at a terminal: marks around what is shown. Without them it is the plain text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

Span = tuple[int, int, "Look"]
"""From, to (characters of a text), and how that part looks."""


class ColorWhen(StrEnum):
    """When there is colour."""

    AUTO = "auto"
    """At a terminal, unless NO_COLOR is set or TERM is dumb."""
    ALWAYS = "always"
    NEVER = "never"


class Look(StrEnum):
    """What parts of an answer look like: parameters of the terminal's SGR sequence, of its sixteen own colours.

    Source: ECMA-48, section 8.3.117.
    """

    RANK = "1"
    FAINT = "2"
    LANG = "36"
    PLACE = "32"
    TITLE = "33"
    SENTENCE = "1"
    WORD = "1;33"
    OK = "32"
    WARN = "33"
    FAIL = "1;31"


@dataclass(frozen=True, slots=True)
class Paint:
    """Puts marks around texts, or none.

    Attributes:
        is_on: Whether there is colour.
    """

    is_on: bool = False

    def __call__(self, text: str, look: str) -> str:
        """Return a text that looks so; nothing it holds may end its look."""
        return f"\x1b[{look}m{text}\x1b[0m" if self.is_on and text else text

    def runs(self, runs: Sequence[tuple[str, str]]) -> str:
        """Return texts one after another, each with its look ("" for none); neighbours of one look get one mark."""
        joined = ((look, "".join(text for text, _ in group)) for look, group in groupby(runs, key=lambda run: run[1]))
        return "".join(self(text, look) if look else text for look, text in joined)


PLAIN = Paint()


def paint_for(when: ColorWhen | str) -> Paint:
    """Return what paints on standard output. Source of the rule: https://no-color.org."""
    if when != ColorWhen.AUTO:
        return Paint(when == ColorWhen.ALWAYS)
    is_dumb = os.environ.get("TERM", "dumb" if os.name == "posix" else "") == "dumb"
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Paint(is_terminal and not is_dumb and not os.environ.get("NO_COLOR"))


def looks(text: str, start: int, end: int, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Yield a part of a text in runs of one look each; of spans that overlap, the later one counts."""
    cuts = {start, end, *(at for span in spans for at in span[:2] if start < at < end)}
    bounds = sorted(cuts)
    for begin, after in pairwise(bounds):
        covering = [look for a, b, look in spans if a <= begin and after <= b]
        yield text[begin:after], covering[-1] if covering else ""
