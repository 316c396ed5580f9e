"""Subtitles: what is said, as running text, with the time at which each cue is shown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from index.config import FieldNames
from index.errors import InputError
from index.extras import needs
from index.readers.decoding import decode_text, read_bytes
from index.readers.source_file import SourceFile
from index.readers.writing import TextWriter, clean, damage_told, hush_libraries, one_line
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".srt", ".vtt")
ISOLATED = True

MAX_SUBTITLES_BYTES = 16 * 1024 * 1024
"""The most bytes of a file of subtitles: those of ten hours with the time of every word are 5 MB."""

_PAUSE = 4_000
"""Milliseconds without a cue after which something new is said."""
_OVERLAP = 100
"""Milliseconds between two cues of which the second may repeat the first's lines."""
_ROLLING = 8
"""The most lines that are compared with those of the next cue."""
_LONGEST_LINE = 300
"""Characters after which a text without full stops goes on in a new line, at the next cue."""
_ENDS = tuple(".!?…۔؟।。！？")
_CLOSERS = "\"'”’»›)]♪"
_NEW_SPEAKER = re.compile(r"(?:[-–—]\s*|>>\s*)(?=\S)")
_TIMES = re.compile(r"[ \t]*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]*-->")
_WORD_TIME = re.compile(r"<(?:\d+:)?\d{2}:\d{2}\.\d{3}>")
_VOICE = re.compile(r"<v(?:\.[^<>\s]*)?\s([^<>]+)>")
_TAG = re.compile(r"<[/A-Za-z][^<>]*>")
_CODES = {
    "srt": re.compile(r"\{\\[^{}]*\}|\{[YyCcFfSsHPo]:[^{}]*\}"),
    "vtt": re.compile(r"\{\\an?\d{1,2}\}"),
}
"""Codes of other formats that players of .srt files understand, and the one that converted files keep.

Other braces are text. Source: the override codes of SubStation Alpha, the control codes of MicroDVD.
"""
_LONG_TIME = re.compile(r"(?<!\d)(\d{3,4}):(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_TIME = re.compile(r"(?<!\d)(\d{1,4}):(\d{1,2}):(\d{1,2})[.,](\d{1,3})(?!\d)")
_NEXT_NUMBER = "\n\n0\n"
"""Ends a cue: pysubs2 takes a number that stands last for that of the next cue, also a year that somebody says."""
_HEADER_LANG = re.compile(r"WEBVTT[^\n]*\n(?:[^\n]+\n)*?Language:[ \t]*([\w-]+)")


@dataclass(frozen=True, slots=True)
class _Cue:
    """What is shown for a while: milliseconds from the beginning, and lines without tags."""

    start: int
    end: int
    lines: tuple[str, ...]


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read subtitles as one document, marked with the seconds at which each cue begins.

    Args:
        file: The file.
        fields: Not used: the format has no fields.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If there is no cue, or the file is too large or in an encoding that cannot be told.
        OSError: If it cannot be read.
    """
    text = clean(decode_text(read_bytes(file.path, MAX_SUBTITLES_BYTES), encoding))
    cues = _cues(text, "vtt" if text.lstrip().startswith("WEBVTT") else "srt")
    writer = TextWriter()
    before: _Cue | None = None
    for cue in _without_repeats(cues):
        writer.mark(f"t={cue.start / 1000:.3f}".rstrip("0").rstrip("."))
        for line in cue.lines:
            writer.run_on(_NEW_SPEAKER.sub("", line), _between(writer, before, cue, line))
            before = cue
    if before is None:
        raise InputError("holds no cue with words; check that it is a file of subtitles.")
    language = _HEADER_LANG.match(text.lstrip())
    yield writer.document(file, lang=language.group(1) if language else "")


def _between(writer: TextWriter, before: _Cue | None, cue: _Cue, line: str) -> str:
    """Return what parts a line from what is there: a line's end where something new is said, else a space."""
    is_new = _NEW_SPEAKER.match(line) or writer.last_line.rstrip(_CLOSERS).endswith(_ENDS)
    is_late = before is not None and cue.start - before.end >= _PAUSE
    is_long = len(writer.last_line) >= _LONGEST_LINE
    return "\n" if is_new or is_late or is_long else " "


def _cues(text: str, form: str) -> list[_Cue]:
    """Parse the cues, in the order in which they are shown."""
    with needs("formats", "reading .srt and .vtt files"):
        import pysubs2
    hush_libraries()
    codes, bare = _CODES[form], _bare(text, form)
    if form == "srt" and _LONG_TIME.search(bare):
        # pysubs2 reads two digits of hours in .srt files, and four in .vtt ones.
        bare, form = "\n".join(map(_with_vtt_times, bare.split("\n"))), "vtt"
    with damage_told("subtitles"):
        events = pysubs2.SSAFile.from_string(bare, format_=form, keep_html_tags=True)
    cues = []
    for event in sorted(events, key=lambda event: (event.start, event.end)):
        shown = _VOICE.sub(_named, event.text.replace("\\N", "\n"))
        lines = (one_line(html.unescape(_TAG.sub("", codes.sub("", line)))) for line in shown.split("\n"))
        if words := tuple(line for line in lines if line):
            cues.append(_Cue(event.start, event.end, words))
    return cues


def _named(voice: re.Match[str]) -> str:
    """Write who speaks as a script does."""
    name = voice.group(1).strip()
    return f"{name}: " if name else ""


def _with_vtt_times(line: str) -> str:
    """Write the times of a cue of an .srt file as a .vtt file has them; other lines stay."""
    times = _TIME.findall(line)
    if len(times) != 2:
        return line
    return " --> ".join(f"{h}:{m:0>2}:{s:0>2}.{fraction:0<3}" for h, m, s, fraction in times)


def _bare(text: str, form: str) -> str:
    """Take out of WebVTT what is not shown and what pysubs2 would show: notes, styles, names of cues, times of words.

    A block without a line of times is none of cues; what stands above that line in a block is the cue's name.
    """
    if form != "vtt":
        return f"{text}{_NEXT_NUMBER}"
    blocks = []
    for block in re.split(r"\n{2,}", _WORD_TIME.sub("", text)):
        lines = block.split("\n")
        at = next((i for i, line in enumerate(lines) if _TIMES.match(line)), len(lines))
        if at < len(lines) and not lines[0].startswith("NOTE"):
            blocks.append("\n".join(lines[at:]) + _NEXT_NUMBER)
    return "".join(blocks)


def _without_repeats(cues: list[_Cue]) -> Iterator[_Cue]:
    """Take away lines that a cue repeats of those before it, as captions that roll upwards do.

    The lines that a cue begins with are repeats when the same lines ended what was shown until then.
    """
    shown: tuple[str, ...] = ()
    until = 0
    for cue in cues:
        if cue.start - until > _OVERLAP:
            shown = ()
        most = min(len(cue.lines), len(shown))
        n_same = next((n for n in range(most, 0, -1) if shown[-n:] == cue.lines[:n]), 0)
        new = cue.lines[n_same:]
        shown, until = (*shown, *new[-_ROLLING:])[-_ROLLING:], max(until, cue.end)
        if new:
            yield _Cue(cue.start, cue.end, new)
