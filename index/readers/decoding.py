"""From a file to text, whole or line by line. Line ends are never translated; only a byte order mark is taken off."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from index.errors import InputError
from index.readers.detection import SAMPLE_BYTES, Encoding, detect_encoding

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""The most bytes of a file that is read as one text."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The most bytes of a line, without its end."""

_PIECE_BYTES = 1024 * 1024
_LEAD_BYTES = 1024
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which is no character and cannot be stored."""
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: Its number, from 1.
        text: The line with its end as it is in the file; with U+FFFD for what could not be decoded, "" if too long.
        problem: Why the line is not to be used and how to mend it, or "".
        is_too_long: Whether the problem is its length, so that the text is not there at all.
    """

    number: int
    text: str
    problem: str = ""
    is_too_long: bool = False


def read_text(path: Path, encoding: str = "") -> str:
    """Read a whole file: its bytes decoded, less a byte order mark.

    Args:
        path: The file.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If it is larger than ``MAX_TEXT_BYTES``, binary, or in an encoding that cannot be told.
        OSError: If it cannot be read.
    """
    return decode_text(read_bytes(path), encoding)


def read_bytes(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """Read a whole file as it is.

    Raises:
        InputError: If it is larger than ``most``.
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise InputError(f"is {size:,} bytes long, more than the {most:,} that are read as one document; split it.")
        return stream.read()


def decode_text(data: bytes, encoding: str = "") -> str:
    """Decode a whole text, less a byte order mark.

    Args:
        data: Its bytes.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If it is binary, or in an encoding that cannot be told.
    """
    how = detect_encoding(_sample(data), encoding)
    try:
        text = data[len(how.mark) :].decode(how.name)
    except UnicodeError as error:
        raise InputError(_undecodable(how, error, len(how.mark))) from error
    if "\0" in text and not how.is_wide:
        raise InputError(f"is binary, not text (a NUL byte after {text.index(chr(0)):,} characters); leave it out.")
    if half := SURROGATE.search(text):  # UTF-7 and escapes of Python can hold one
        raise InputError(
            f"holds half of a surrogate pair after {half.start():,} characters, which is no character; mend its text."
        )
    return text


def read_lines(path: Path, encoding: str = "") -> Iterator[Line]:
    r"""Read a file line by line, holding one line at a time.

    Lines end at ``\n`` alone; each is decoded by itself, so that one undecodable line costs one line. The encoding is
    told from the first ``SAMPLE_BYTES`` of the file.

    Args:
        path: The file.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If the file is binary, or its encoding cannot be told or has no line ends of its own.
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        how = detect_encoding(stream.read(SAMPLE_BYTES), encoding)
        newline = "\n".encode(how.name)
        if b"\n" not in newline:
            raise InputError(f"cannot be read line by line in {how.name}; convert it to UTF-8.")
        stream.seek(len(how.mark))
        for number, (raw, is_too_long) in enumerate(_raw_lines(stream, newline), start=1):
            if is_too_long:
                problem = f"the line is longer than {MAX_LINE_BYTES:,} bytes; split the record."
                yield Line(number, "", problem, is_too_long=True)
            else:
                yield _decode_line(number, raw, how)


def _sample(data: bytes) -> bytes:
    """Choose what to look at: the beginning, or if that is all ASCII the part around the first byte that is not."""
    beginning = data[:SAMPLE_BYTES]
    if not beginning.isascii() or b"\0" in beginning:
        return beginning
    high = _HIGH_BYTE.search(data, len(beginning))
    if high is None:
        return beginning
    start = high.start() - _LEAD_BYTES
    return data[start : start + SAMPLE_BYTES]


def _decode_line(number: int, raw: bytes, how: Encoding) -> Line:
    """Decode one line; a problem in its place if it is not valid."""
    try:
        return Line(number, raw.decode(how.name))
    except UnicodeError as error:
        return Line(number, raw.decode(how.name, "replace"), _undecodable(how, error, 0))


def _raw_lines(stream: BinaryIO, newline: bytes) -> Iterator[tuple[bytes, bool]]:
    """Split a stream after each line end.

    Args:
        stream: At the first byte after the byte order mark.
        newline: The line end in the stream's encoding, which also gives the width of its code units.

    Yields:
        The bytes of a line with its end, and whether it was too long (the bytes are then not all there).
    """
    while True:
        line = bytearray()
        is_too_long = False
        while piece := stream.readline(_PIECE_BYTES):
            line += piece
            # In UTF-16 the byte 0A may be half of a character, and half of a line end may be still to come.
            line += stream.read(-len(line) % len(newline))
            is_ended = line.endswith(newline)
            if len(line) - is_ended * len(newline) > MAX_LINE_BYTES:
                is_too_long = True
                line.clear()
            if is_ended:
                break
        else:
            if line or is_too_long:
                yield bytes(line), is_too_long
            return
        yield bytes(line), is_too_long


def _undecodable(how: Encoding, error: UnicodeError, offset: int) -> str:
    """Say what byte is not valid where; ``offset`` is how many bytes precede those that were decoded."""
    where = str(error)
    if isinstance(error, UnicodeDecodeError):
        where = f"byte 0x{error.object[error.start]:02X} at offset {error.start + offset:,}"
    return f"is not valid {how.name} ({where}); mend it, or name the encoding with --encoding."
