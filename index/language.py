"""The language of a text: its script where that decides, else py3langid among the languages of the script.

Measured on the sentences and questions this project serves (Telugu, Persian, Lithuanian, Urdu, English): see
``tests/test_language.py`` for the cases held.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
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
_NOT_LATIN = frozenset().union(*_BY_SCRIPT.values(), _SCRIPT_DECIDES.values()) | frozenset(
    ["ary", "arz", "ba", "dz", "gom", "grc", "hbo", "sa", "sdh", "tg", "tt", "uzs", "wuu", "yi", "yue", "zxx"]
)
"""What py3langid knows that is not written in Latin letters; ``zxx`` is its word for no language at all."""
_LACKS = {
    "ar": frozenset("پچژگ"),
    "be": frozenset("ищъїѓќѕјљњћђџ"),
    "bg": frozenset("ыэёіїєґўѓќѕјљњћђџ"),
    "mk": frozenset("йщъыьэюяіїєґў"),
    "ru": frozenset("іїєґўѓќѕјљњћђџ"),
    "sr": frozenset("йщъыьэюяіїєґў"),
    "uk": frozenset("ыэёъўѓќѕјљњћђџ"),
}
"""Letters a language does not have though others of its script do: they settle short texts."""
_TELLING = 25
"""One letter in this many is no foreign name any more: it shows a language, or that it is another one."""
_URDU_LETTERS = frozenset("ٹڈڑںےۓہھ")
"""Letters that Urdu uses in almost every phrase and that Arabic and Persian do not."""
_PREFERENCE = 4.0
"""Natural logarithm of how much likelier an expected language is; decides between close ones."""
_FEW_LETTERS = 20
"""In a text of this many letters the preference counts twice, in one of half as many three times, and so on."""
_ONE_WORD = 8
"""Fewer letters than this are in an expected language, if one is written in their script."""
_WIDESPREAD = frozenset(
    [
        "az",
        "bs",
        "ca",
        "cs",
        "cy",
        "da",
        "de",
        "en",
        "es",
        "et",
        "eu",
        "fi",
        "fr",
        "ga",
        "gl",
        "hr",
        "hu",
        "id",
        "is",
        "it",
        "lt",
        "lv",
        "ms",
        "mt",
        "nb",
        "nl",
        "nn",
        "no",
        "pl",
        "pt",
        "ro",
        "sk",
        "sl",
        "sq",
        "sv",
        "sw",
        "tl",
        "tr",
        "uz",
        "vi",
    ]
)
"""Languages of Latin letters that a text may be in without anyone expecting it."""
_RARE = 8.0
"""Natural logarithm of how much less likely the others are."""
_READ = 2000
"""Characters looked at: more of them change nothing."""
_LATIN_WEIGHT = 0.5
"""Names and terms stand in Latin letters in texts of every script; the reverse is rare."""
_FEWEST = 3
"""Letters below which one language of a script cannot be told from another."""


def detect_language(text: str, expected: Iterable[str] = ()) -> str:
    """Return the BCP 47 primary subtag of a text's language, ``und`` when it has too few letters to tell.

    Args:
        text: Any text.
        expected: Languages that are likelier than others here: those of the document, of the index.
    """
    script = main_script(text)
    n_letters = sum(_script_of(char) != "" for char in text[:_READ])
    if n_letters < 2:
        return UNKNOWN_LANG
    if script in _SCRIPT_DECIDES:
        return _SCRIPT_DECIDES[script]
    if script == "ARABIC" and _has_many(text[:_READ], _URDU_LETTERS, n_letters):
        return "ur"
    if (script != "LATIN" and script not in _BY_SCRIPT) or (n_letters < _FEWEST and script != "CJK"):
        return UNKNOWN_LANG
    return _guess(text[:_READ], script, n_letters, frozenset(expected))


def main_script(text: str) -> str:
    """Return the script that a text is in, "" when it has no letters; Latin terms in other scripts count half."""
    scripts = Counter(map(_script_of, text[:_READ]))
    del scripts[""]
    return max(scripts, key=lambda name: (scripts[name] * (_LATIN_WEIGHT if name == "LATIN" else 1), name), default="")


def _has_many(text: str, wanted: frozenset[str], n_letters: int) -> bool:
    return sum(char in wanted for char in text) * _TELLING >= n_letters


@lru_cache(maxsize=8192)
def _script_of(char: str) -> str:
    """Return the Unicode script of a letter or vowel sign, as the first word of its name; "" for all else."""
    if not char.isalpha() and not unicodedata.category(char).startswith("M"):
        return ""
    # Full-width and presentation forms are named after the form, their plain letters after the script.
    plain = unicodedata.normalize("NFKC", char).strip() or char
    script = unicodedata.name(plain[0], "OTHER").split(maxsplit=1)[0].split("-")[0]
    return "" if script in ("COMBINING", "MODIFIER", "VARIATION") else script


def _guess(text: str, script: str, n_letters: int, expected: frozenset[str]) -> str:
    import py3langid

    known = _BY_SCRIPT.get(script)
    # Words of other scripts would only lead astray; Japanese is written in several.
    kept = text if script == "CJK" else "".join(c if _script_of(c) in ("", script) else " " for c in text)
    kept = unicodedata.normalize("NFKC", kept)
    lower = kept.lower()
    scores: dict[str, float] = {}
    for lang, score in py3langid.rank(" ".join(kept.split())):
        in_script = lang in known if known else lang not in _NOT_LATIN
        if not in_script or (lang in _LACKS and _has_many(lower, _LACKS[lang], n_letters)):
            continue
        if lang in expected:
            score += _PREFERENCE * (1 + _FEW_LETTERS / n_letters)
        elif script == "LATIN" and lang not in _WIDESPREAD:
            score -= _RARE
        scores[lang] = score
    likely = scores.keys() & expected
    if likely and n_letters < _ONE_WORD:
        scores = {lang: scores[lang] for lang in likely}
    return max(scores, key=lambda lang: (scores[lang], lang), default=UNKNOWN_LANG)
