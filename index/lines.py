"""Reads the lines of text files, each with the place to name when it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from index.errors import InputError


def placed_lines(path: Path) -> Iterator[tuple[str, str]]:
    r"""Yield the lines of a UTF-8 file that are not blank, each after its place (``runs/a.trec:7``).

    Lines end at ``\n`` alone and come without their ends and a byte order mark, one held at a time.

    Raises:
        InputError: When the file cannot be read, or a line is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                where = f"{path}:{number}"
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(f"{where}: is not UTF-8 (byte {error.start + 1:,}). Save it as UTF-8.") from error
                if text.strip():
                    yield where, text.rstrip("\r\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
