"""Telling how bytes are to be read: byte order marks, UTF-16, UTF-8, older encodings, or not text at all."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from dataclasses import dataclass

from index.errors import InputError
from index.readers.legacy import guess_legacy

SAMPLE_BYTES = 1024 * 1024
"""How much of a file is looked at to tell its encoding."""

_UTF16_SAMPLE_BYTES = 64 * 1024
_MIN_ASCII_SHARE = 0.01
"""Share of ASCII characters below which bytes are not taken for UTF-16 without a byte order mark."""
_MAX_PRINTABLE_SHARE = 0.75

_MAX_CONTROL_SHARE = 0.1
"""Share of control characters above which bytes are not text; text has next to none, compressed data one in ten."""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_WITHOUT_MARK = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What a codec that handles the mark itself is read as once the mark is off; little-endian as Windows writes it."""

_CONTROLS = "".join(chr(code) for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n\v\f\r")

_BINARY = "is binary, not text ({reason}); leave it out, or name its encoding with --encoding if it is text."


@dataclass(frozen=True, slots=True)
class Encoding:
    """How to read bytes.

    Attributes:
        name: The codec's name, for one that does not look for a byte order mark itself.
        mark: The byte order mark the bytes begin with, or none.
    """

    name: str
    mark: bytes = b""

    @property
    def is_wide(self) -> bool:
        """Whether NUL bytes are a matter of course: UTF-16 and UTF-32."""
        return self.name.startswith(("utf-16", "utf-32"))


def detect_encoding(sample: bytes, declared: str = "") -> Encoding:
    """Tell how bytes are to be read.

    A byte order mark is believed before anything else, even before ``declared``: no text begins like one by chance,
    and one setting serves a whole folder. Then, unless declared: UTF-16 if there are NUL bytes, UTF-8 if most of the
    bytes beyond ASCII are valid in it (so that one damaged line does not turn a file into mojibake), else a guess.

    Args:
        sample: The beginning of the bytes, or all of them.
        declared: The name of an encoding that Python knows, or "".

    Raises:
        InputError: If the bytes are not text, or their encoding cannot be told.
    """
    encoding = _marked(sample)
    if encoding is None and declared:
        name = codecs.lookup(declared).name
        encoding = Encoding(_WITHOUT_MARK.get(name, name))
    if encoding is None and b"\0" in sample:
        encoding = _guess_utf16(sample)
    if encoding is None:
        _refuse_nul(sample)
        encoding = Encoding("utf-8" if _is_mostly_utf8(sample) else guess_legacy(sample))
    _refuse_binary(sample, encoding)
    return encoding


def _marked(sample: bytes) -> Encoding | None:
    """Read the byte order mark, if there is one."""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return Encoding(name, mark)
    return None


def _guess_utf16(sample: bytes) -> Encoding | None:
    """Tell UTF-16 without a mark from binary data, if it is reasonably certain.

    Text in any script has ASCII spaces, line ends or stops. Read in the wrong byte order they turn into characters
    that are none of these, so the right order has more ASCII, and no character that text does not hold. Bytes that are
    nearly all printable ASCII are no UTF-16 but ASCII with a stray NUL: in UTF-16 at most about half of them are.
    """
    data = sample[:_UTF16_SAMPLE_BYTES]
    n_ascii = {name: _n_ascii(data, name) for name in ("utf-16-le", "utf-16-be")}
    (best, n_best), (_, n_other) = sorted(n_ascii.items(), key=lambda item: -item[1])
    is_likely = n_best > 4 * n_other and n_best >= _MIN_ASCII_SHARE * len(data) / 2
    if len(data) < 4 or len(data) % 2 or not is_likely or _n_printable(data) > _MAX_PRINTABLE_SHARE * len(data):
        return None
    return Encoding(best)


def _n_printable(data: bytes) -> int:
    """Count bytes that are printable ASCII."""
    return len(data) - len(data.translate(None, delete=bytes(range(0x20, 0x7F))))


def _n_ascii(data: bytes, name: str) -> int:
    """Count ASCII characters of data read as UTF-16; 0 if it holds what text does not."""
    # The sample may end between the two halves of a pair of surrogates, so the decoder is not told that it ends.
    try:
        counts = Counter(codecs.getincrementaldecoder(name)().decode(data))
    except UnicodeDecodeError:
        return 0
    if any(unicodedata.category(c) in ("Cn", "Co") or c in _CONTROLS for c in counts):
        return 0
    return sum(n for character, n in counts.items() if character.isascii())


def _is_mostly_utf8(sample: bytes) -> bool:
    """Tell whether the bytes are UTF-8, give or take damage.

    In another encoding hardly any bytes beyond ASCII form a valid sequence, so the valid ones need only outnumber the
    damaged ones.
    """
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    n_damaged = text.count("\ufffd") - sample.count("\ufffd".encode())
    if n_damaged == 0:
        return True
    n_beyond_ascii = len(text) - sum(map(str.isascii, text))
    return n_beyond_ascii - text.count("\ufffd") > n_damaged


def _refuse_nul(sample: bytes) -> None:
    if b"\0" in sample:
        raise InputError(_BINARY.format(reason=f"a NUL byte at offset {sample.index(0)}"))


def _refuse_binary(sample: bytes, encoding: Encoding) -> None:
    """Refuse bytes that hold what text does not.

    Raises:
        InputError: For NUL bytes outside UTF-16 and UTF-32, or many control characters.
    """
    if not encoding.is_wide:
        _refuse_nul(sample)
    text = sample[len(encoding.mark) :].decode(encoding.name, "replace")
    n_controls = sum(map(text.count, _CONTROLS))
    if n_controls > _MAX_CONTROL_SHARE * len(text):
        raise InputError(_BINARY.format(reason=f"{n_controls:,} of {len(text):,} characters are control characters"))
