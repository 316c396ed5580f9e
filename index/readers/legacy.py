"""Guessing the encoding of text from before Unicode, or admitting that it cannot be told.

A wrong guess is worse than none: mojibake is indexed without complaint and found by nobody. So a guess counts only if
every other plausible encoding would read the same text.

Statistics alone are not enough. charset-normalizer 3.5 ranked another encoding above windows-1257 for half of the
Lithuanian texts it was tried on, and a wrong one or none for half of the Persian ones in windows-1256. What settles
these is spelling: read rightly, the letters beyond ASCII all belong to the alphabet of one language; read wrongly, they
are a mixture no language has (``š ė ž`` of windows-1257 become ``ð ë þ``). The statistics decide what the alphabets
leave open, and the scripts that are not listed here.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

import charset_normalizer
from charset_normalizer import CharsetMatch

from index.errors import InputError

_WINDOW_BYTES = 64 * 1024
"""How much is looked at; charset-normalizer itself looks at five blocks of 512 bytes."""

_LEAD_BYTES = 1024
"""How much is kept of what goes before the first byte beyond ASCII, for its context."""

_LATIN = {
    "lt": "ąčęėįšųūž",
    "lv": "āčēģīķļņšūž",
    "et": "äöüõšž",
    "pl": "ąćęłńóśźż",
    "cs": "áčďéěíňóřšťúůýž",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "hu": "áéíóöőúüű",
    "ro": "ăâîșțşţ",
    "hr": "čćđšž",
    "sq": "çë",
    "tr": "çğıöşüâîûİ",
    "de": "äöüß",
    "nl": "áéëíïóöúüè",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "ca": "àçéèíïóòúü",
    "es": "áéíñóúü",
    "pt": "àáâãçéêíóôõúü",
    "it": "àèéìíòóùî",
    "da": "åæøéü",
    "sv": "åäöéàü",
    "is": "áæðéíóöþúý",
}
"""Letters beyond ASCII of the languages written in Latin script, by language."""

_OTHER_SCRIPTS = {
    "ar": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيـًٌٍَُِّْ",
    "fa": "ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقكکگلمنهةويیىـًَُِّ",
    "ur": "ءآأؤئابپتٹثجچحخدڈذرڑزژسشصضطظعغفقكکگلمنںهہھةويىےـًَُِّ",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
    "be": "абвгдеёжзійклмнопрстуўфхцчшыьэюя",
    "sr": "абвгдђежзијклљмнњопрстћуфхцчџшѓќѕ",
    "el": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
    "he": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
}
"""Letters, and the vowel signs that are written, of languages in scripts without ASCII letters, by language."""

_SPELLED_CODECS = (
    "cp1257",
    "cp1252",
    "cp1250",
    "cp1254",
    "cp1256",
    "iso8859_13",
    "iso8859_4",
    "iso8859_2",
    "iso8859_15",
    "iso8859_9",
    "iso8859_6",
    "cp1251",
    "koi8_r",
    "koi8_u",
    "iso8859_5",
    "cp866",
    "cp1253",
    "iso8859_7",
    "cp1255",
    "iso8859_8",
)
"""Codecs tried against the alphabets; where two read the same text the first is named."""

_MIN_FIT = 0.98
"""Share of the letters beyond ASCII that must be of one alphabet; the rest is names and loan words."""

_MIN_HIGH_BYTES = 24
"""Bytes beyond ASCII below which letter statistics say nothing."""

_MAX_MESS = 0.1
_MESS_MARGIN = 0.02
_COHERENCE_MARGIN = 0.08
"""A reading is beaten if its mess is this much higher, or its coherence this much lower (shares from 0 to 1).

Source: Russian, Greek, Hebrew, Japanese, Chinese, Korean and Thai paragraphs in 14 encodings."""

_FOREIGN_BYTES = ["utf_8", "utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
"""Codecs that were ruled out before legacy encodings are thought of."""

_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_C1_CONTROL = re.compile("[\x80-\x9f]")
_MISFIT = re.compile(
    r"(?<=[^\W\d_])(?:[^\w\s\x00-\x7f’‘·\u00ad\u200b-\u200f–—]|[¹²³¼½¾])(?=[^\W\d_])"  # a sign inside a word
    r"|(?<=[а-џά-ώ])[Ѐ-ЯΑ-Ω]"  # a capital after a small letter
    r"|[A-Za-z](?=[Ͱ-ۿ])|(?<=[Ͱ-ۿ])[A-Za-z]"  # Latin letters next to Greek, Cyrillic, Hebrew or Arabic ones
    r"|ة(?=[ء-ي])"  # a letter that ends words, inside one
)
_SMALL = re.compile("[а-џά-ώ]")
_CAPITAL = re.compile("[Ѐ-ЯΑ-Ω]")


def guess_legacy(sample: bytes) -> str:
    """Name the codec of text that is neither UTF-8 nor UTF-16.

    Args:
        sample: The text's bytes, or as many of them as were read; with bytes beyond ASCII.

    Raises:
        InputError: If no encoding fits, or several do and would read different texts.
    """
    window = _window(sample)
    readings = _spelled(window)
    if len(readings) == 1:
        return next(iter(readings.values()))
    matches = _statistics(window)
    if readings:
        matches = [match for match in matches if str(match) in readings]
        if matches and all(_beats(matches[0], rival) for rival in matches[1:]):
            return readings[str(matches[0])]
        raise InputError(_uncertain(list(readings.values())))
    if not matches:
        raise InputError("no text encoding fits its bytes; if it is text, name its encoding with --encoding.")
    n_high = len(_HIGH_BYTE.findall(window))
    is_sure = n_high >= _MIN_HIGH_BYTES and matches[0].chaos <= _MAX_MESS
    if not is_sure or not all(_beats(matches[0], rival) for rival in matches[1:]):
        raise InputError(_uncertain([match.encoding for match in matches]))
    return matches[0].encoding


def _window(sample: bytes) -> bytes:
    """Cut out the part around the first bytes beyond ASCII, up to the end of a line if it must be cut."""
    first = _HIGH_BYTE.search(sample)
    start = max(0, first.start() - _LEAD_BYTES) if first else 0
    window = sample[start : start + _WINDOW_BYTES]
    if start + len(window) < len(sample):
        # A character of two bytes cut in half would rule its own encoding out.
        window = window[: window.rfind(b"\n") + 1] or window
    return window


def _spelled(window: bytes) -> dict[str, str]:
    """Read the window in each codec and keep the texts that are spelled like a language, with the codec's name."""
    readings: dict[str, str] = {}
    for name in _SPELLED_CODECS:
        try:
            text = codecs.decode(window, name)
        except UnicodeDecodeError:
            continue
        if text not in readings and not _C1_CONTROL.search(text) and _is_spelled(text):
            readings[text] = name
    return readings


def _is_spelled(text: str) -> bool:
    """Tell whether the letters beyond ASCII are those of one language."""
    letters = Counter({c: n for c, n in Counter(text).items() if c > "\x7f" and (c.isalpha() or "ً" <= c <= "ْ")})
    n_letters = letters.total()
    if not n_letters:
        return False
    needed = _MIN_FIT * (n_letters + len(_MISFIT.findall(text)))
    if max(_n_of(letters, alphabet) for alphabet in _OTHER_SCRIPTS.values()) >= needed:
        # KOI8 and windows-1251 have small letters where the other has capitals.
        return n_letters >= _MIN_HIGH_BYTES and len(_SMALL.findall(text)) >= len(_CAPITAL.findall(text))
    # In Latin script most letters are ASCII; another script read as Latin has next to none.
    n_ascii = sum(map(str.isalpha, text)) - n_letters
    return n_ascii > n_letters and max(_n_of(letters, alphabet) for alphabet in _LATIN.values()) >= needed


def _n_of(letters: Counter[str], alphabet: str) -> int:
    """Count the letters that are of an alphabet, in either case."""
    return sum(n for letter, n in letters.items() if letter in alphabet or letter.lower() in alphabet)


def _statistics(window: bytes) -> list[CharsetMatch]:
    """Ask charset-normalizer for the encodings that may fit, the likeliest first."""
    return list(charset_normalizer.from_bytes(window, cp_exclusion=_FOREIGN_BYTES, enable_fallback=False))


def _beats(best: CharsetMatch, rival: CharsetMatch) -> bool:
    """Tell whether a rival reading is the same text, or clearly the worse one."""
    return (
        str(rival) == str(best)
        or rival.chaos >= best.chaos + _MESS_MARGIN
        or rival.coherence <= best.coherence - _COHERENCE_MARGIN
    )


def _uncertain(names: list[str]) -> str:
    return f"its encoding is uncertain (it may be {', '.join(names[:4])}); name it with --encoding."
