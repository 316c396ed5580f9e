"""The language of a text: its script where that decides, else py3langid among the languages of the script.

Measured on the sentences and questions this project serves (Telugu, Persian, Lithuanian, Urdu, English): see
``tests/test_language.py`` for the cases held.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from index.records import UNKNOWN_LANG

_SCRIPT_DECIDES = {
    "TELUGU": "te",
    "TAMIL": "ta",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "ORIYA": "or",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "KHMER": "km",
    "MYANMAR": "my",
    "TIBETAN": "bo",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "GREEK": "el",
    "HEBREW": "he",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "ETHIOPIC": "am",
}
_BY_SCRIPT = {
    "ARABIC": frozenset(["ar", "fa", "ur", "ps", "ug"]),
    "CYRILLIC": frozenset(["be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "uk"]),
    "DEVANAGARI": frozenset(["hi", "mr", "ne"]),
    "BENGALI": frozenset(["as", "bn"]),
    "CJK": frozenset(["ja", "zh"]),
}
_NOT_LATIN = frozenset().union(*_BY_SCRIPT.values(), _SCRIPT_DECIDES.values()) | {"dz", "yi"}
_URDU_LETTERS = frozenset("ٹڈڑںےۓہھ")
"""Letters that Urdu uses in almost every phrase and that Arabic and Persian do not."""
_PREFERENCE = 4.0
"""Natural logarithm of how much likelier an expected language is; decides between close ones in short texts."""
_READ = 1000
"""Characters looked at: more of them change nothing."""


def detect_language(text: str, expected: Iterable[str] = ()) -> str:
    """Return the BCP 47 primary subtag of a text's language, ``und`` when it has too few letters to tell.

    Args:
        text: Any text.
        expected: Languages that are likelier than others here: those of the document, of the index.
    """
    letters = [char for char in text[: 4 * _READ] if char.isalpha()][:_READ]
    if len(letters) < 2:
        return UNKNOWN_LANG
    script = _main_script(letters)
    if script in _SCRIPT_DECIDES:
        return _SCRIPT_DECIDES[script]
    if script == "ARABIC" and sum(char in _URDU_LETTERS for char in letters) * 25 >= len(letters):
        return "ur"
    return _guess(text[: 2 * _READ], script, frozenset(expected))


def _main_script(letters: Sequence[str]) -> str:
    """Return the Unicode script most letters are of, as the first word of their names."""
    counts = Counter(_script_of(char) for char in letters)
    return max(counts, key=lambda script: (counts[script], script))


@lru_cache(maxsize=4096)
def _script_of(char: str) -> str:
    return unicodedata.name(char, "OTHER").split(maxsplit=1)[0].split("-")[0]


def _guess(text: str, script: str, expected: frozenset[str]) -> str:
    import py3langid

    candidates = _BY_SCRIPT.get(script)
    best, best_score = UNKNOWN_LANG, float("-inf")
    for lang, score in py3langid.rank(" ".join(text.split())):
        if lang in candidates if candidates else lang not in _NOT_LATIN:
            score += _PREFERENCE * (lang in expected)
            if score > best_score:
                best, best_score = lang, score
    return best
