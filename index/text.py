"""Text for the model, and the lines of a document that are not its text.

A document's own text is never changed: ``for_model`` makes the copy the model reads, and ``find_left_out`` names the
spans that passages must not hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from index.records import LeftOut, LeftOutKind

# Embeddings, isolates and soft hyphens steer a display; lone surrogates are no text and stop a tokenizer. The marks
# U+200E and U+200F stay: they are typed for a non-joiner too, and tokenizers read them as a space.
_INVISIBLE = re.compile("[\u00ad\u061c\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")

_PLACEHOLDER = r"\$\w*\[[^\[\]\n]*\] not found|\{\{[^{}\n]*\}\}|\{%[^%\n]*%\}|<%[^%\n]*%>|\$\{[^{}\n]*\}|%%[A-Z_]+%%"
_TEMPLATE_LINE = re.compile(
    rf"[\s,;|]*(?:(?:{_PLACEHOLDER})[\s,;|]*)+"  # placeholders that a page template never filled
    r"|(?:<!--(?:(?!-->).)*-->\s*)+|-{1,3}\s[^<>]*-->"  # comments of the page's source, whole or cut at the start
    r"|(?:by )?(?:anonim|anonymous|anonyme|anónimo|anonymus|anónym)"  # a byline without a name
    r"|\[(?:your|insert|enter|add) [^\[\]]*\]"  # a blank that nobody filled in
    r"|undefined|null|nan|\[object object\]"  # an empty value printed by a script
    r"|lorem ipsum\b.*",
    re.IGNORECASE,
)
_FILLED_WORDS = 1
"""A line with a placeholder and at most this many words beside it was never filled in ("Tags: {{ tags }}")."""
_CUT_COMMENT = re.compile(r"-\s[^<>]*->")
"""A comment cut at both ends; standing among other lines it is an item of a list that points on."""
_FRONT_KEY = re.compile(r"\w[\w-]*[ \t]*:(?:\s|\Z)")
_FRONT_LINE = re.compile(rf"\s|-\s|[#\]}}]|\Z|{_FRONT_KEY.pattern}")
_LABEL_PREFIX = re.compile(r"^[^\W\d_]{2,20}\s?[:：]\s+")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})(.*)")
_SENTENCE_ENDS = ".!?:;,…।۔؟،؛。！？："
_CLOSERS = "\"'”’»›)]}*_"

_SHORT_RUN = 2
"""A caption and its copy stand alone between blank lines; more lines together are a stanza, a list, a table."""
_OFTEN = 3
_PAGE_LINES = 10
"""A line that comes back this often, never after fewer lines than this, is a running title."""
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


def is_template(line: str) -> bool:
    """Tell whether a line, white space at its ends stripped, is what a page template left behind."""
    if _TEMPLATE_LINE.fullmatch(line):
        return True
    beside, n = re.subn(_PLACEHOLDER, " ", line)
    return n > 0 and sum(any(char.isalpha() for char in word) for word in beside.split()) <= _FILLED_WORDS


def find_left_out(text: str) -> list[LeftOut]:
    """Find the lines of a document that are not its text, in order; front matter counts as one.

    Lines inside fenced code are always text.
    """
    body_start = front_matter_end(text)
    body = [line for line in iter_lines(text) if line.start >= body_start]
    fenced = _fenced(body)
    kinds: dict[int, LeftOutKind] = {}
    runs = _runs(body)
    for i, line in enumerate(body):
        alone = len(runs[i]) == 1 and _CUT_COMMENT.fullmatch(line.text)
        if not fenced[i] and (alone or is_template(line.text)):
            kinds[i] = LeftOutKind.TEMPLATE
    _mark_repeats(text, body, fenced, runs, kinds)
    _mark_labels(body, fenced, runs, kinds)
    found = [LeftOut(body[i].start, body[i].end, kinds[i]) for i in sorted(kinds)]
    return [LeftOut(0, body_start, LeftOutKind.TEMPLATE), *found] if body_start else found


def _runs(lines: Sequence[Line]) -> list[range]:
    """Return for each line the run of lines between blank ones that it stands in; empty for a blank line."""
    runs: list[range] = []
    for _, group in groupby(range(len(lines)), key=lambda i: bool(lines[i].text)):
        numbers = list(group)
        run = range(numbers[0], numbers[-1] + 1) if lines[numbers[0]].text else range(0)
        runs += [run] * len(numbers)
    return runs


def front_matter_end(text: str) -> int:
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


def _repeat_key(text: str, line: Line) -> str:
    """Return what makes two lines the same; "" for a line whose repetition means nothing.

    Single words, numbers, speakers' names ("Rasa:"), headings, rows of tables, indented code, whole sentences and lines
    of a stanza are repeated in honest text.
    """
    ends = (line.text.rstrip(_CLOSERS) or line.text)[-1:]
    indented = text[max(0, line.start - 4) : line.start] == "    "
    if len(line.text) > _LONGEST_REPEAT or not ends or ends in _SENTENCE_ENDS or "\t" in line.text or indented:
        return ""
    key = " ".join(unicodedata.normalize("NFKC", line.text).casefold().split())
    words = sum(any(char.isalpha() for char in word) for word in key.split())
    return key if words >= 2 and not key.startswith(("|", "#")) else ""


def _mark_repeats(
    text: str,
    lines: Sequence[Line],
    fenced: Sequence[bool],
    runs: Sequence[range],
    kinds: dict[int, LeftOutKind],
) -> None:
    """Mark copies of the line just before, with or without a label ("Image: …"), and running titles."""
    places: dict[str, list[int]] = {}
    before = ""
    for i, line in enumerate(lines):
        if not line.text or i in kinds:
            continue
        key = "" if fenced[i] else _repeat_key(text, line)
        caption = _LABEL_PREFIX.sub("", key)
        if caption and caption == before and _is_short(runs[i], kinds):
            kinds[i] = LeftOutKind.REPEATED
        elif key and caption == key:
            places.setdefault(key, []).append(i)
        before = caption
    for found in places.values():
        gaps = [b - a for a, b in pairwise(found)]
        if len(found) >= _OFTEN and min(gaps) >= _PAGE_LINES:
            kinds.update(dict.fromkeys(found[1:], LeftOutKind.REPEATED))


def _is_short(run: range, kinds: Mapping[int, LeftOutKind]) -> bool:
    """Tell whether a run has no more lines than a caption and its copy, what a template left not counted."""
    return len(run) <= 4 * _SHORT_RUN and sum(kinds.get(i) != LeftOutKind.TEMPLATE for i in run) <= _SHORT_RUN


def _mark_labels(
    lines: Sequence[Line], fenced: Sequence[bool], runs: Sequence[range], kinds: dict[int, LeftOutKind]
) -> None:
    """Mark labels before something a template left behind, and those that stand alone at a document's end."""
    following: LeftOutKind | None = None
    is_last = True
    n_lines = sum(bool(line.text) for line in lines)
    for i in range(len(lines) - 1, -1, -1):
        line = lines[i]
        if not line.text:
            continue
        short = line.text.endswith((":", "：")) and len(line.text.split()) <= _LONGEST_LABEL_WORDS
        introduces_nothing = following == LeftOutKind.TEMPLATE or (is_last and len(runs[i]) == 1 and n_lines > 1)
        if i not in kinds and not fenced[i] and short and introduces_nothing:
            kinds[i] = LeftOutKind.LABEL
        following, is_last = kinds.get(i), False
