"""The language of a text: its script where that decides, else py3langid among the languages of the script.

Measured on the sentences and questions this project serves (Telugu, Persian, Lithuanian, Urdu, English): see
``tests/test_language.py`` for the cases held.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from index.language_model import rank
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
_KEPT = 16
"""Texts remembered: a paragraph that is all of its document is asked about twice, its script more often."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the beginning of a text is made of."""

    text: str
    chars: Mapping[str, int]
    """How often each character stands in it."""
    scripts: Mapping[str, int]
    """How many letters of each script stand in it."""

    @property
    def n_letters(self) -> int:
        return sum(self.scripts.values())

    @property
    def main_script(self) -> str:
        weights = {name: n * (_LATIN_WEIGHT if name == "LATIN" else 1) for name, n in self.scripts.items()}
        return max(weights, key=lambda name: (weights[name], name), default="")


def detect_language(text: str, expected: Iterable[str] = ()) -> str:
    """Return the BCP 47 primary subtag of a text's language, ``und`` when it has too few letters to tell.

    Args:
        text: Any text.
        expected: Languages that are likelier than others here: those of the document, of the index.
    """
    reading = _read(text)
    script, n_letters = reading.main_script, reading.n_letters
    if n_letters < 2:
        return UNKNOWN_LANG
    if script in _SCRIPT_DECIDES:
        return _SCRIPT_DECIDES[script]
    if script == "ARABIC" and sum(reading.chars.get(char, 0) for char in _URDU_LETTERS) * _TELLING >= n_letters:
        return "ur"
    if (script != "LATIN" and script not in _BY_SCRIPT) or (n_letters < _FEWEST and script != "CJK"):
        return UNKNOWN_LANG
    return _likeliest(_scores(reading.text, script), script, n_letters, frozenset(expected))


def main_script(text: str) -> str:
    """Return the script that a text is in, "" when it has no letters; Latin terms in other scripts count half."""
    return _read(text).main_script


def _read(text: str) -> _Reading:
    return _read_stripped(text[:_READ].strip())


@lru_cache(maxsize=_KEPT)
def _read_stripped(text: str) -> _Reading:
    # A text has few different characters, and counting one in a string is quick: no step for every letter.
    chars = {char: text.count(char) for char in set(text)}
    scripts: dict[str, int] = {}
    for char, n in chars.items():
        script = _script_of(char)
        if script:
            scripts[script] = scripts.get(script, 0) + n
    return _Reading(text, chars, scripts)


@lru_cache(maxsize=8192)
def _script_of(char: str) -> str:
    """Return the Unicode script of a letter or vowel sign, as the first word of its name; "" for all else."""
    if not char.isalpha() and not unicodedata.category(char).startswith("M"):
        return ""
    # Full-width and presentation forms are named after the form, their plain letters after the script.
    plain = unicodedata.normalize("NFKC", char).strip() or char
    script = unicodedata.name(plain[0], "OTHER").split(maxsplit=1)[0].split("-")[0]
    return "" if script in ("COMBINING", "MODIFIER", "VARIATION") else script


@lru_cache(maxsize=_KEPT)
def _scores(text: str, script: str) -> Mapping[str, float]:
    """Return the natural logarithm of the likelihood of each language that a text in this script may be in."""
    reading = _read_stripped(text)
    kept = text
    if script != "CJK":  # Japanese is written in several scripts; elsewhere words of others would only lead astray
        for char in reading.chars:
            if _script_of(char) not in ("", script):
                kept = kept.replace(char, " ")
    kept = unicodedata.normalize("NFKC", kept)
    known = _BY_SCRIPT.get(script)
    ranked = rank(" ".join(kept.split()))
    scores = {lang: score for lang, score in ranked if (lang in known if known else lang not in _NOT_LATIN)}
    lower = kept.lower()
    for lang in scores.keys() & _LACKS.keys():
        if sum(map(lower.count, _LACKS[lang])) * _TELLING >= reading.n_letters:
            del scores[lang]
    return scores


def _likeliest(scores: Mapping[str, float], script: str, n_letters: int, expected: frozenset[str]) -> str:
    likely = {lang: scores[lang] + _PREFERENCE * (1 + _FEW_LETTERS / n_letters) for lang in scores.keys() & expected}
    if likely and n_letters < _ONE_WORD:
        weighed = likely
    elif script == "LATIN":
        others = {lang: score if lang in _WIDESPREAD else score - _RARE for lang, score in scores.items()}
        weighed = others | likely
    else:
        weighed = {**scores, **likely}
    best = max(weighed.values(), default=0.0)
    return max((lang for lang, score in weighed.items() if score == best), default=UNKNOWN_LANG)
