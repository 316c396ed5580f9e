"""Mailboxes in mbox format: cut into messages while they are read, one in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from index.readers.decoding import MAX_TEXT_BYTES

_PIECE_BYTES = 1024 * 1024
_LONGEST_SEPARATOR = 500
_FROM = b"From "
_SEPARATOR = re.compile(rb"From (?:[ \t-]*$|(?=.*\d:\d\d)(?=.*\b(?:19|20)\d\d\b))")
"""The line before a message: an address and a date with its time and year; newer Thunderbirds write neither.

Source: RFC 4155, appendix A, for the address and the date; programs write the date in several ways.
"""
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|>+From ")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
"""A line that began like the one before a message, which programs that write mailboxes change."""


def messages_in(path: Path, most: int = MAX_TEXT_BYTES) -> Iterator[bytes | None]:
    """Read a mailbox message by message.

    A message begins after the first line that starts with ``From ``; a further one where a blank line, a line of the
    shape that programs write, and a header follow each other: letters quote and begin sentences with "From" too.

    Args:
        path: The mailbox.
        most: The most bytes of a message.

    Yields:
        The source of each message, without the line before it; None for one that is longer than may be.

    Raises:
        OSError: If it cannot be read.
    """
    message: _Message | None = None
    held = b""
    is_start = after_blank = True
    with path.open("rb") as stream:
        # Pieces of bounded size: a mailbox need not have line ends.
        for line in chain(iter(partial(stream.readline, _PIECE_BYTES), b""), (b"",)):
            if held:
                if _HEADER.match(line):
                    if message is not None:
                        yield message.source()
                    message = _Message(most)
                elif message is not None:
                    message.add(held)
                held = b""
            if message is None and is_start and line.startswith(_FROM):
                message = _Message(most)
            elif message is not None and is_start and after_blank and _is_separator(line):
                held = line
            elif message is not None:
                message.add(line)
            after_blank = is_start and not line.strip(b"\r\n")
            is_start = line.endswith(b"\n")
    if message is not None:
        yield message.source()


def _is_separator(line: bytes) -> bool:
    return line.startswith(_FROM) and len(line) <= _LONGEST_SEPARATOR and bool(_SEPARATOR.match(line.rstrip(b"\r\n")))


class _Message:
    """A message that is being read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        self._is_too_long = False

    def add(self, line: bytes) -> None:
        if self._is_too_long or len(self._data) + len(line) > self._most:
            self._is_too_long = True
            self._data.clear()
        else:
            self._data += line

    def source(self) -> bytes | None:
        """Return what was added, less the blank line that parts it from the next one; None when it is too long."""
        if self._is_too_long:
            return None
        for end in (b"\r\n", b"\n"):
            if self._data.endswith(b"\n" + end):
                del self._data[-len(end) :]
                break
        return _ESCAPED.sub(rb"\1", bytes(self._data))
