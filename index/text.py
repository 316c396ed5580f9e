"""Text for the model, and the lines of a document that are not its text.

A document's own text is never changed: ``for_model`` makes the copy the model reads, and ``find_left_out`` names the
spans that passages must not hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.records import LeftOut, LeftOutKind

# Directions, embeddings and soft hyphens steer a display; lone surrogates are no text and stop a tokenizer.
_INVISIBLE = re.compile("[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")

_PLACEHOLDER = r"\$\w*\[[^\]\n]*\] not found|\{\{[^{}\n]*\}\}|\{%[^%\n]*%\}|<%[^%\n]*%>|\$\{[^{}\n]*\}|%%[A-Z_]+%%"
_TEMPLATE_LINE = re.compile(
    rf"[\s,;|]*(?:(?:{_PLACEHOLDER})[\s,;|]*)+"  # placeholders that a page template never filled
    r"|(?:<!--(?:(?!-->).)*-->\s*)+|-{1,3}\s[^<>]*-{1,2}>"  # comments of the page's source, whole or cut at the start
    r"|anonim|anonymous|anonyme|anónimo|anonymus|anónym"  # a byline without a name
    r"|undefined|null|nan|\[object object\]"  # an empty value printed by a script
    r"|lorem ipsum\b.*",
    re.IGNORECASE,
)
_FRONT_KEY = re.compile(r"\w[\w-]*[ \t]*:(?:\s|\Z)")
_FRONT_LINE = re.compile(rf"\s|-\s|[#\]}}]|\Z|{_FRONT_KEY.pattern}")
_LABEL_PREFIX = re.compile(r"^[^\W\d_]{2,20}\s?[:：]\s+")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})(.*)")
_SENTENCE_ENDS = ".!?:;,…।۔؟،؛。！？："
_CLOSERS = "\"'”’»›)]}*_"

_NEAR_LINES = 4
"""A line that repeats one this few lines above it is a caption or a running title."""
_OFTEN = 3
"""A line that a document holds this many times is part of its frame, not of its text."""
_LONGEST_REPEAT = 200
_LONGEST_LABEL_WORDS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a document without its end: ``text[start:end]``, stripped of white space at both ends."""

    start: int
    end: int
    text: str


def for_model(text: str) -> str:
    """Return the copy of a text that a model reads: NFC, without invisible direction marks and soft hyphens."""
    return _SURROGATE.sub("\ufffd", unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))


def iter_lines(text: str) -> Iterator[Line]:
    """Yield every line of a text, blank ones too, with the offsets of what is left after stripping white space."""
    for match in _LINE.finditer(text):
        raw = match.group()
        stripped = raw.strip()
        start = match.start() + (len(raw) - len(raw.lstrip()) if stripped else 0)
        yield Line(start, start + len(stripped), stripped)
        if match.end() == len(text):
            return


def find_left_out(text: str) -> list[LeftOut]:
    """Find the lines of a document that are not its text, in order; front matter counts as one.

    Lines inside fenced code are always text.
    """
    body_start = _front_matter_end(text)
    lines = [line for line in iter_lines(text) if line.text and line.start >= body_start]
    fenced = _fenced(lines)
    kinds: list[LeftOutKind | None] = [
        None if inside else LeftOutKind.TEMPLATE if _TEMPLATE_LINE.fullmatch(line.text) else None
        for line, inside in zip(lines, fenced, strict=True)
    ]
    _mark_repeats(lines, fenced, kinds)
    _mark_labels(lines, fenced, kinds)
    found = [LeftOut(line.start, line.end, kind) for line, kind in zip(lines, kinds, strict=True) if kind]
    return [LeftOut(0, body_start, LeftOutKind.TEMPLATE), *found] if body_start else found


def _front_matter_end(text: str) -> int:
    """Return where the body starts: after front matter, which is all keys, lists and comments; else 0.

    A rule at the top of a text starts like front matter, and another rule below it ends like it.
    """
    if not text.startswith("---"):
        return 0
    has_key = False
    for n_before, match in enumerate(_LINE.finditer(text)):
        line = match.group().rstrip()
        if n_before == 0:
            if line != "---":
                return 0
        elif line in ("---", "..."):
            return match.end() if has_key else 0
        elif _FRONT_LINE.match(line) is None or match.end() == len(text):
            return 0
        has_key = has_key or _FRONT_KEY.match(line) is not None
    return 0


def _fenced(lines: Sequence[Line]) -> list[bool]:
    marks, opened = [], ""
    for line in lines:
        fence = _FENCE.match(line.text)
        marks.append(bool(opened or fence))
        if fence and not opened:
            opened = fence.group(1)
        elif fence and fence.group(1).startswith(opened) and not fence.group(2):
            opened = ""
    return marks


def _repeat_key(line: Line) -> str:
    """Return what makes two lines the same; "" for a line whose repetition means nothing.

    A label before it ("Image: …") does not count. Single words, numbers, speakers' names ("Rasa:"), rows of tables,
    whole sentences and the lines of a stanza are repeated in honest text.
    """
    ends = (line.text.rstrip(_CLOSERS) or line.text)[-1]
    if len(line.text) > _LONGEST_REPEAT or ends in _SENTENCE_ENDS or "\t" in line.text:
        return ""
    key = " ".join(unicodedata.normalize("NFKC", _LABEL_PREFIX.sub("", line.text)).casefold().split())
    words = sum(any(char.isalpha() for char in word) for word in key.split())
    return key if words >= 2 and not key.startswith("|") else ""


def _mark_repeats(lines: Sequence[Line], fenced: Sequence[bool], kinds: list[LeftOutKind | None]) -> None:
    keys = ["" if inside else _repeat_key(line) for line, inside in zip(lines, fenced, strict=True)]
    counts = Counter(keys)
    last: dict[str, int] = {}
    for i, key in enumerate(keys):
        if not key or kinds[i]:
            continue
        if key in last and (i - last[key] <= _NEAR_LINES or counts[key] >= _OFTEN):
            kinds[i] = LeftOutKind.REPEATED
        last[key] = i


def _mark_labels(lines: Sequence[Line], fenced: Sequence[bool], kinds: list[LeftOutKind | None]) -> None:
    for i in range(len(lines) - 1, -1, -1):
        introduces_nothing = i + 1 == len(lines) or kinds[i + 1] is not None
        short = lines[i].text.endswith((":", "：")) and len(lines[i].text.split()) <= _LONGEST_LABEL_WORDS
        if kinds[i] is None and not fenced[i] and short and introduces_nothing and len(lines) > 1:
            kinds[i] = LeftOutKind.LABEL
