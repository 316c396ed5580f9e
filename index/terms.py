"""From text to search terms: what a word is, and when two words are the same.

Texts are never changed: folding makes a key, and every key comes with the offsets of the word it was made of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import regex

TERM_LENGTH = 5
"""Characters of a word that count: what follows is mostly inflection.

Source: McNamee, Nicholas, Mayfield 2009, Addressing morphological variation in alphabetic languages,
doi:10.1145/1571941.1571957, which compares truncation with stemmers and n-grams.
"""
_LONGEST_WORD = 64
"""Characters of a word that are read, so that a line of encoded bytes costs no more than a word."""
_CACHED_WORDS = 65_536

_LETTER = r"[\p{L}\p{M}\p{N}]"
_ARABIC = r"[\u0600-\u06ff\u0750-\u077f\u0870-\u08ff\ufb50-\ufdff\ufe70-\ufefc]"
# A soft hyphen and a joiner never part a word. A non-joiner (U+200C) parts a Persian word from its affixes, but in
# Telugu it only keeps letters from melting into one. Python's own \w would end a word at every vowel sign.
_WORD = regex.compile(
    rf"[\p{{L}}\p{{N}}]{_LETTER}*+(?:(?:[\u00ad\u200d]|(?<!{_ARABIC})\u200c(?!{_ARABIC}))+{_LETTER}++)*+"
)

# Scripts that put no spaces between words; their digits are words like all others.
_UNSPACED = r"[[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{L}\p{M}\p{Nl}]]"
_HAS_UNSPACED = regex.compile(_UNSPACED, regex.VERSION1)
_PART = regex.compile(rf"({_UNSPACED}(?:{_UNSPACED}|\p{{M}})*+)|(?:(?!{_UNSPACED}).)++", regex.VERSION1 | regex.DOTALL)
_GRAPHEME = regex.compile(r"\X")

_DIGIT = regex.compile(r"\p{Nd}")
_LATIN_MARKS = regex.compile(r"(?<=\p{Latin})\p{M}+")
_DROPPED = dict.fromkeys((0xAD, 0x200C, 0x200D, 0x34F, 0x640, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
"""Joiners, the tatweel that only stretches a line, and selectors of a letter's form."""
_SAME_LETTER: dict[int, str | None] = {
    **dict.fromkeys(map(ord, "يىئ"), "ی"),
    **dict.fromkeys(map(ord, "ةۀہھۂەۃ"), "ه"),
    **dict.fromkeys(map(ord, "أإٱآ"), "ا"),
    ord("ك"): "ک",
    ord("ؤ"): "و",
    ord("ۓ"): "ے",
    # Vowel signs and marks of recitation, written or not as the writer likes.
    **dict.fromkeys((*range(0x610, 0x61B), *range(0x64B, 0x660), 0x670, *range(0x6D6, 0x6DD), *range(0x6DF, 0x6E9))),
    **dict.fromkeys((*range(0x6EA, 0x6EE), *range(0x8CA, 0x8E2), *range(0x8E3, 0x900))),
}
"""Letters of Arabic, Persian and Urdu that are one letter to a reader, by keyboard or by grammar."""


def iter_terms(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the terms of a text in order, each with the offsets of the word it stands for.

    A term is the beginning of a folded word; of a word with a digit all of it. Chinese, Japanese, Thai, Lao, Khmer
    and Burmese give overlapping pairs of letters.
    """
    for match in _WORD.finditer(text):
        start, end = match.span()
        term = _term(text[start : min(end, start + _LONGEST_WORD)])
        if term:
            yield term, start, end
        elif term is None:
            yield from _iter_parts(text, start, end)


def terms(text: str) -> list[str]:
    """Return the terms of a text in order, each as often as it occurs."""
    found: list[str] = []
    for word in _WORD.findall(text):
        term = _term(word[:_LONGEST_WORD])
        if term:
            found.append(term)
        elif term is None:
            found += [part for part, _, _ in _iter_parts(word, 0, len(word))]
    return found


def fold(word: str) -> str:
    """Return what a word has in common with its other spellings.

    Case, forms for display, Arabic vowel signs and letter variants, the marks of Latin letters and the script of
    digits are folded; marks of other scripts are letters of their own (vowel signs of Telugu, й).
    """
    if word.isascii():
        return word.lower()
    folded = unicodedata.normalize("NFKC", word.translate(_DROPPED)).casefold()
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", folded))
    # Composed once more before letters are looked up: a hamza above makes another letter of the one below it.
    folded = unicodedata.normalize("NFC", _LATIN_MARKS.sub("", folded)).translate(_SAME_LETTER)
    return str(_DIGIT.sub(_ascii_digit, folded))


def _ascii_digit(match: regex.Match[str]) -> str:
    return str(unicodedata.decimal(match.group(), ""))


@lru_cache(_CACHED_WORDS)
def _term(word: str) -> str | None:
    """Return a word's term; "" when nothing of it is left, None when it must be taken apart."""
    if not word.isascii() and _HAS_UNSPACED.search(word):
        return None
    return _cut(fold(word))


def _cut(folded: str) -> str:
    if _DIGIT.search(folded):
        return folded
    return folded[:TERM_LENGTH] if len(folded) > 1 else ""  # the "I" of one language is a preposition of another


def _iter_parts(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield the terms of a word that is, in part or in whole, in a script without spaces."""
    for part in _PART.finditer(text, start, end):
        if not part.group(1):
            for word in _WORD.finditer(text, *part.span()):
                term = _cut(fold(word.group()[:_LONGEST_WORD]))
                if term:
                    yield term, *word.span()
            continue
        ends = [grapheme.end() for grapheme in _GRAPHEME.finditer(text, *part.span())]
        starts = [part.start(), *ends[:-1]]
        for a, b in zip(starts, ends[1:] or ends, strict=False):
            pair = fold(text[a:b])
            if pair:
                yield pair, a, b
