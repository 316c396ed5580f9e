"""Says whether what a notebook printed agrees with what is saved in it, on a processor that rounds differently.

Vectors of int8 differ a little from one kind of processor to another, so scores do too, and hits whose scores are
nearly equal may change places. Everything else has to be the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NEAR = 0.01
"""How far a decimal may be from the one saved.

Measured on the sample corpus and its questions, over the first ten hits of each: int8 without VNNI instructions differs
from exact int8 arithmetic by .0030 at most, either from float32 by .0042.
"""
VARIES_NEAR = 0.1
"""The same in a cell tagged as depending on the processor, in which training adds up the differences."""
_SLACK = 1e-9
"""Decimals are compared as they are printed, not exactly as binary numbers."""
_NUMBER = re.compile(r"-?\d+\.\d+")
_HIT = re.compile(r"\s*(-?\d+\.\d+)\s+(\S.*)")
"""A line that begins with a score shows a hit; such lines one after another are a ranking."""


@dataclass(frozen=True, slots=True)
class _Hit:
    score: float
    words: tuple[str, ...]
    numbers: tuple[float, ...]


def alike(now: str, saved: str, near: float = NEAR) -> bool:
    """Say whether two outputs agree: in all words, in decimals nearly, in rankings but for hits nearly equal.

    Args:
        now: What is printed now.
        saved: What is saved.
        near: How far a decimal may be from the one saved.
    """
    blocks = _blocks(now), _blocks(saved)
    if [type(block) for block in blocks[0]] != [type(block) for block in blocks[1]]:
        return False
    return all(
        _same_ranking(one, other, near)
        if isinstance(one, list) and isinstance(other, list)
        else _same_text(str(one), str(other), near)
        for one, other in zip(*blocks, strict=True)
    )


def _blocks(text: str) -> list[str | list[_Hit]]:
    """Return the lines of a text, with each ranking as the list of its hits."""
    blocks: list[str | list[_Hit]] = []
    for line in text.splitlines():
        hit = _HIT.fullmatch(line)
        if hit is None:
            blocks.append(line)
            continue
        if not blocks or isinstance(blocks[-1], str):
            blocks.append([])
        ranking = blocks[-1]
        assert isinstance(ranking, list)
        ranking.append(_Hit(float(hit[1]), tuple(_words(hit[2])), tuple(_numbers(hit[2]))))
    return blocks


def _same_text(now: str, saved: str, near: float) -> bool:
    return _words(now) == _words(saved) and _all_near(_numbers(now), _numbers(saved), near)


def _same_ranking(now: list[_Hit], saved: list[_Hit], near: float) -> bool:
    """Say whether two rankings agree.

    A hit may be exchanged for another only where it may have fallen out: at the end, when its score is near the last.
    """
    scores, expected = [hit.score for hit in now], [hit.score for hit in saved]
    if scores != sorted(scores, reverse=True) or not _all_near(scores, expected, near):
        return False
    last = min(expected)
    for words in {hit.words for hit in [*now, *saved]}:
        # Passages of one document print the same words: they are compared in the order of their scores.
        ours, theirs = ([hit for hit in ranking if hit.words == words] for ranking in (now, saved))
        common = min(len(ours), len(theirs))
        for one, other in zip(ours[:common], theirs[:common], strict=True):
            if not _all_near((one.score, *one.numbers), (other.score, *other.numbers), near):
                return False
        if any(hit.score > last + 2 * near + _SLACK for hit in [*ours[common:], *theirs[common:]]):
            return False
    return True


def _words(text: str) -> list[str]:
    return _NUMBER.sub("#", text).split()


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _all_near(now: list[float] | tuple[float, ...], saved: list[float] | tuple[float, ...], near: float) -> bool:
    return len(now) == len(saved) and all(
        abs(one - other) <= near + _SLACK for one, other in zip(now, saved, strict=True)
    )
