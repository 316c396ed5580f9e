"""Where a hit stands in its source as the source is now: the file, and the line, page or words in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import read_text
from index.readers.registry import find_record, is_supported, suffix_of
from index.readers.source_file import SourceFile

if TYPE_CHECKING:
    from index.manifest import Manifest
    from search.hits import Hit

_CHANGED = "it has changed since it was indexed, and the passage is not where it was"
_OF_PROGRAMS = (".docx", ".epub", ".odp", ".odt", ".pdf", ".pptx")
"""Formats that are no text to edit."""
_PACKED = (".gz", ".zip")
_RETOLD = (".eml", ".mbox", ".srt", ".vtt")
"""Text to edit, of which passages are only a part, and written otherwise."""
_WEB = (".htm", ".html", ".xhtml")


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """Where to open a source.

    Attributes:
        path: The file, absolute; or "" for a page on the network.
        url: Such a page's address, or "".
        line: The line, from 1; 0 where the file is not opened by lines.
        fragment: What a browser is to go to, as the part of an address after "#"; or "".
        is_text: Whether it is text to edit.
        notice: What a person should know of it, or "".
    """

    path: Path
    url: str = ""
    line: int = 0
    fragment: str = ""
    is_text: bool = False
    notice: str = ""


def find_place(hit: Hit, manifest: Manifest) -> SourcePlace:
    """Find where a hit stands in its source.

    Args:
        hit: As a search found it.
        manifest: Of the index: what sources are relative to, and how they were read.

    Raises:
        InputError: When the source is not a file, is not there any more, or cannot be read.
    """
    if hit.source.startswith(("http://", "https://")):
        return SourcePlace(Path(), url=hit.source, fragment=_words(hit))
    path, member = _find_file(hit, manifest)
    if not is_supported(suffix_of(path.name)):  # the system would run some files, and an index may be anybody's
        raise InputError(f"{path}: is not of a format that is indexed, so it is not opened. Look at it yourself first.")
    suffix = path.suffix.lower()
    if member or suffix in _PACKED:
        told = member or hit.doc_id
        return SourcePlace(path, notice="" if told == path.name else f"it is an archive; look for {told} in it")
    if suffix in _WEB:
        return SourcePlace(path, fragment=_words(hit))
    if suffix in _OF_PROGRAMS:
        page = hit.page if suffix == ".pdf" else None
        return SourcePlace(path, fragment=f"page={page}" if page else "")
    if suffix in _RETOLD:
        return _in_retold(hit, path, str(manifest.settings.get("encoding") or ""))
    return _in_text(hit, path, manifest.settings)


def _find_file(hit: Hit, manifest: Manifest) -> tuple[Path, str]:
    """Return the file of a hit, and what is in it when that is an archive of files.

    Raises:
        InputError: When there is none.
    """
    root = Path(manifest.root) if manifest.root else Path.cwd()
    path = (root / hit.source).absolute()
    try:
        for place in (path, *path.parents):
            if place.is_file():
                return place, "" if place == path else path.relative_to(place).as_posix()
            if place.is_dir():
                break
    except (OSError, ValueError) as error:
        raise InputError(f"{hit.source}: cannot be looked at ({error}). Check the path and its rights.") from error
    if not manifest.sources:
        raise InputError(f"{hit.source}: is no file; a program put this document into the index.")
    where = "" if Path(hit.source).is_absolute() else f" (looked for in {root})"
    raise InputError(
        f"{hit.source}: is not there any more{where}. The passage itself is in the index; bring the file back to open "
        "it, or run `tongues update`."
    )


def _in_text(hit: Hit, path: Path, settings: Mapping[str, Any]) -> SourcePlace:
    """Return the line of a hit in a file of text; no line when the file is no text."""
    fields = settings.get("fields")
    names = FieldNames(**fields) if isinstance(fields, dict) else FieldNames()
    encoding = str(settings.get("encoding") or "")
    file = SourceFile(str(path), hit.source, Path(hit.source).name, 0)
    try:
        found = find_record(file, hit.doc_id, fields=names, encoding=encoding)
        if found:
            line, document = found
            same = document.text[hit.start : hit.end] == hit.text
            return SourcePlace(path, line=line, is_text=True, notice="" if same else _CHANGED)
        text = read_text(path, encoding)
    except InputError:
        return SourcePlace(path)  # a program of the system may know it
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check its rights.") from error
    offset, notice = _offset(hit, text)
    return SourcePlace(path, line=line_at(text, offset), is_text=True, notice=notice)


def _in_retold(hit: Hit, path: Path, encoding: str) -> SourcePlace:
    """Return the line of a cue's time, or of a hit's first words, in a file that is written otherwise; else its top."""
    try:
        text = read_text(path, encoding)
    except InputError:
        return SourcePlace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check its rights.") from error
    begin, end = hit.highlight[0] - hit.start, hit.highlight[1] - hit.start
    words = (hit.text[begin:end] if 0 <= begin < end else hit.text).split()
    wanted = [words[:6], words[:3]] if hit.seconds is None else [[time] for time in _times(hit.seconds)]
    found = [re.search(r"\s+".join(map(re.escape, one)), text) for one in wanted if one]
    offset = next((match.start() for match in found if match), 0)
    return SourcePlace(path, line=line_at(text, offset), is_text=True)


def _times(seconds: float) -> list[str]:
    """Return how subtitles write a time, less its fraction."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return [f"{hours:02}:{minutes:02}:{left:02}", f"{minutes:02}:{left:02}."]


def _offset(hit: Hit, text: str) -> tuple[int, str]:
    """Return where a hit's closest sentence begins in a text, and what to tell when that is not where it was."""
    start = hit.start
    shift = max(0, hit.highlight[0] - hit.start)
    if text[start : hit.end] == hit.text:
        return start + shift, ""
    moved = text.find(hit.text)
    if moved >= 0:
        return moved + shift, "it has changed since it was indexed; the passage has moved"
    return 0, _CHANGED


def line_at(text: str, offset: int) -> int:
    r"""Return the number of the line, from 1, that a character is in; lines end at \n, \r\n or, where all do, \r."""
    end = "\n" if "\n" in text else "\r"
    return 1 + text.count(end, 0, offset)


def _words(hit: Hit) -> str:
    """Return the fragment that has a browser find the first words of a hit's closest sentence.

    Source: URL Fragment Text Directives, https://wicg.github.io/scroll-to-text-fragment.
    """
    from urllib.parse import quote

    begin, end = hit.highlight[0] - hit.start, hit.highlight[1] - hit.start
    sentence = hit.text[begin:end] if 0 <= begin < end else hit.text
    first_line = sentence.strip().split("\n")[0].lstrip("# ")
    words = quote(" ".join(first_line.split()[:8]), safe="").replace("-", "%2D")
    return f":~:text={words}" if words else ""
