"""Where messages begin in a mailbox, and how much of it is in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from index.readers.mailbox_file import messages_in

DATED = b"From a@example.org Tue Sep  3 10:15:00 2024\n"


def cut(tmp_path: Path, data: bytes, most: int = 1_000) -> list[bytes | None]:
    path = tmp_path / "a.mbox"
    path.write_bytes(data)
    return list(messages_in(path, most))


@pytest.mark.parametrize(
    "text",
    [
        b"Text.\nFrom then on.\n",
        b"Text.\n\nFrom then on.\n",
        b"Text.\n\nFrom 2024 on, at 10:15:\nNot so.\n",
        b"Text.\n" + DATED + b"Subject: quoted\n",
        b"Text.\n\n" + DATED + b"\nno header\n",
        b"Text.\n\nFrom " + b"x" * 3_000_000 + b" 10:15 2024\nTo: b\n",
    ],
    ids=["a line", "a paragraph", "no header after", "no blank line", "a blank line after", "a long line"],
)
def test_a_letter_may_say_from(tmp_path: Path, text: bytes) -> None:
    found = cut(tmp_path, DATED + b"To: b\n\n" + text + b"\n" + DATED + b"To: c\n\nLast.\n\n", 10_000_000)
    assert found == [b"To: b\n\n" + text, b"To: c\n\nLast.\n"]


@pytest.mark.parametrize(
    "line",
    [
        DATED,
        DATED.replace(b"\n", b"\r\n"),
        b"From - Tue Sep 03 10:15:00 2024\n",
        b"From 1809@xxx Tue Sep 03 10:15:00 +0000 2024\n",
        b"From a at example.org  Tue, 3 Sep 2024 10:15:00 +0300\n",
        b"From \r\n",
    ],
)
def test_lines_between_messages_as_programs_write_them(tmp_path: Path, line: bytes) -> None:
    end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    first, second = (b"To: b\n\n>From here.\n".replace(b"\n", end), b"To: c\n\nB.\n".replace(b"\n", end))
    found = cut(tmp_path, line + first + end + line + second)
    assert found == [first.replace(b">", b""), second]


def test_a_message_that_is_too_long_is_told_and_the_next_one_read(tmp_path: Path) -> None:
    message = b"To: b\n\n" + b"x" * 60 + b"\n"
    assert cut(tmp_path, DATED + message + b"\n" + DATED + b"To: c\n\nB.\n", 50) == [None, b"To: c\n\nB.\n"]


def test_one_message_is_in_memory_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes((DATED + b"To: b\n\n" + b"From here on, words.\n\n" * 500 + b"\n") * 1_000)
    tracemalloc.start()
    try:
        assert sum(message is not None for message in messages_in(path)) == 1_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 < path.stat().st_size / 10
    finally:
        tracemalloc.stop()
