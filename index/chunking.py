"""From a document to its passages: sentences packed to a number of tokens, with exact offsets.

text -> lines -> blocks (paragraphs between lines left out) -> sections (a heading and what follows) -> sentences ->
passages. A passage never crosses a line left out or a change of language; a heading stays with what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import regex

from index.config import ChunkSettings
from index.language import detect_language, main_script
from index.records import Document, LeftOut, LeftOutKind, Passage
from index.sentences import LIST_ITEM, is_wrapped, split_sentences
from index.text import Line, find_left_out, iter_lines

CountTokens = Callable[[Sequence[str]], list[int]]
"""Numbers of tokens of texts, without prompt and special tokens."""

_LONGEST_CONTEXT = 200
"""Characters of title and heading that the model reads before a passage."""
_CONTEXT_SHARE = 4
"""Title and heading may each take 1/4 of a passage's tokens."""
_SMALL = 4
"""A section of less than 1/4 of a passage's tokens joins its neighbour."""
_MARGIN = 4
"""Tokens kept free: sentences counted one by one can make a little more when they stand together."""
_MOST_KNOWN = 20_000
"""Words and titles whose numbers of tokens are remembered: a language's frequent words are fewer."""
_LONGEST_HEADING = 100
_LONGEST_HEADING_WORDS = 14
_SENTENCE_ENDS = ".!…۔。;,،؛"
_ATX_HEADING = re.compile(r"#{1,6}\s+(?=\S)")
_SHORT_SENTENCE = 12
"""Characters below which a sentence has no vector of its own ("Yes.", "3)").

Source: on 3,132 passages of four languages, joining all below 25, 50 or 80 characters ranked no better, Telugu worse.
"""
_MIN_LETTERS = 40
"""A line of fewer letters shows no change of language unless its script changes."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, or a heading, of a section."""

    start: int
    end: int
    lang: str
    heading: str = ""
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Section:
    """Units that belong together: an optional run of headings, then sentences of one language."""

    units: list[_Unit]
    block: int

    @property
    def lang(self) -> str:
        return self.units[-1].lang

    @property
    def n_tokens(self) -> int:
        return sum(unit.n_tokens for unit in self.units)


class Chunker:
    """Cuts documents into passages."""

    def __init__(
        self, settings: ChunkSettings, count_tokens: CountTokens, model_tokens: int, *, sentences: bool = True
    ) -> None:
        """Prepare for one model.

        Args:
            settings: How to cut.
            count_tokens: Counts with the model's own tokenizer.
            model_tokens: The most tokens of a passage that the model reads.
            sentences: Tell where a passage's sentences are.
        """
        self._keep_sentences = sentences
        self._settings = settings
        self._count = count_tokens
        self._known: dict[str, int] = {}
        self._budget = max(8, min(settings.max_tokens, model_tokens) - _MARGIN)

    def chunk(self, document: Document) -> tuple[list[Passage], list[LeftOut]]:
        """Return a document's passages and the lines that are in none of them, both in the order of the text."""
        left_out = find_left_out(document.text)
        doc_lang = document.lang or detect_language(document.text[_front_matter_end(left_out) :])
        title, n_title = self._shorten("" if document.title_in_text else document.title)
        budget = self._budget - n_title
        sections = _sections(self._counted(document, _units(document, left_out, doc_lang), budget), document)
        passages: list[Passage] = []
        carried, n_carried = "", 0
        groups = list(_groups(sections, budget))
        for i, group in enumerate(groups):
            if i + 1 < len(groups) and _only_headings(group):
                # Cut off from its text by a line left out: no passage of its own, but words before the next one.
                start, end = group[0].units[0].start, group[-1].units[-1].end
                whole = " ".join(f"{carried} {document.text[start:end]}".split())
                short, n_short = self._shorten(whole)
                if short == whole:
                    carried, n_carried = short, n_short
                    left_out.append(LeftOut(start, end, LeftOutKind.HEADING))
                    continue
            context = "\n".join(part for part in (title, carried) if part)
            passages.extend(self._pack(document, group, context, budget - n_carried))
            carried, n_carried = "", 0
        return passages, sorted(left_out, key=lambda span: span.start)

    def _shorten(self, context: str) -> tuple[str, int]:
        """Return a title or heading cut to what may stand before a passage, and its number of tokens."""
        context = " ".join(context.split())
        most = max(1, self._budget // _CONTEXT_SHARE)
        while context:
            if len(context) <= _LONGEST_CONTEXT:
                n = self._count_again([context])[0]
                if n <= most:
                    return context, n
            cut = context[: min(_LONGEST_CONTEXT, len(context) * 3 // 4)]
            context = cut.rpartition(" ")[0] or cut  # scripts without spaces are cut anywhere
        return "", 0

    def _count_again(self, texts: Sequence[str]) -> list[int]:
        """Count words or titles, those that came before without the tokenizer."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        counts = dict(zip(new, self._count(new), strict=True)) if new else {}
        found = [self._known[text] if text in self._known else counts[text] for text in texts]
        self._known.update((text, n) for text, n in counts.items() if len(text) <= _LONGEST_CONTEXT)
        return found

    def _counted(
        self, document: Document, units: Iterable[tuple[int, _Unit]], budget: int
    ) -> Iterator[tuple[int, _Unit]]:
        """Count every unit's tokens; a heading of more than half of ``budget`` is no heading."""
        uncounted = list(units)
        counts = self._count([document.text[unit.start : unit.end] for _, unit in uncounted])
        for (block, unit), n in zip(uncounted, counts, strict=True):
            yield block, _Unit(unit.start, unit.end, unit.lang, unit.heading if n <= budget // 2 else "", n)

    def _fit(self, text: str, units: Iterable[_Unit], budget: int) -> Iterator[_Unit]:
        """Cut the units that alone are longer than ``budget``."""
        for unit in units:
            if unit.n_tokens <= budget:
                yield unit
                continue
            for start, end, n in self._cut(text, unit.start, unit.end, budget):
                yield _Unit(start, end, unit.lang, "", n)

    def _cut(self, text: str, start: int, end: int, budget: int) -> Iterator[tuple[int, int, int]]:
        """Cut a span at white space, or inside a word between graphemes, into parts of at most ``budget`` tokens."""
        pieces = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:end])]
        counts = self._count_again([text[a:b] for a, b in pieces])
        part: tuple[int, int, int] | None = None
        for (a, b), n in zip(pieces, counts, strict=True):
            if part and part[2] + n <= budget:
                part = (part[0], b, part[2] + n)
                continue
            if part:
                yield part
            part = (a, b, n)
            if n > budget:
                yield from self._cut_word(text, a, b, n, budget)
                part = None
        if part:
            yield part

    def _cut_word(self, text: str, start: int, end: int, n: int, budget: int) -> Iterator[tuple[int, int, int]]:
        if n <= budget or end - start == 1:
            yield start, end, n
            return
        middle = start + (end - start) // 2
        grapheme = next(m for m in regex.finditer(r"\X", text[start:end]) if start + m.end() >= middle)
        at = start + grapheme.end() if start + grapheme.end() < end else start + grapheme.start()
        if at == start:  # one grapheme of very many marks: no better place than its middle
            at = middle
        for a, b in ((start, at), (at, end)):
            yield from self._cut_word(text, a, b, self._count([text[a:b]])[0], budget)

    def _pack(self, document: Document, group: Sequence[_Section], before: str, most: int) -> Iterator[Passage]:
        """Pack the sentences of sections that may stand together, in passages of about the same length.

        Each has at most ``most`` tokens, its heading counted where the text does not hold it.
        """
        total = sum(section.n_tokens for section in group)
        if total > most and len(group) > 1:  # they fitted together without a heading carried from before
            for section in group:
                yield from self._pack(document, [section], before, most)
            return
        headings = [unit.heading for section in group for unit in section.units if unit.heading]
        # Later passages of a section are told the headings they stand under.
        heading, n_heading = self._shorten(" ".join(headings)) if total > most else ("", 0)
        room = most - n_heading
        units = list(self._fit(document.text, (unit for section in group for unit in section.units), room))
        left = sum(max(1, unit.n_tokens) for unit in units)  # tokens that no passage holds yet
        aim = left / -(-left // room)
        current: list[_Unit] = []
        repeated = 0  # tokens of ``current`` that the passage before holds too
        new = 0  # its other tokens
        for i, unit in enumerate(units):
            # A heading goes with what follows it.
            following = unit.n_tokens + (units[i + 1].n_tokens if unit.heading and i + 1 < len(units) else 0)
            limit = most if any(u.heading for u in current) else room
            is_full = repeated + new + following > limit or new + unit.n_tokens / 2 > aim
            if new and is_full and (not current[-1].heading or repeated + new + unit.n_tokens > limit):
                yield self._passage(document, current, before, heading)
                current = self._overlap(current, room - following)
                left -= new
                aim = left / -(-left // room)
                repeated, new = sum(u.n_tokens for u in current), 0
            current.append(unit)
            new += max(1, unit.n_tokens)
        if new:
            yield self._passage(document, current, before, heading)

    def _overlap(self, units: Sequence[_Unit], room: int) -> list[_Unit]:
        """Return the last sentences of a passage that the next one repeats: few enough to leave most of it new."""
        kept: list[_Unit] = []
        for unit in reversed(units[1:]):
            size = sum(u.n_tokens for u in kept) + unit.n_tokens
            if len(kept) == self._settings.overlap_sentences or unit.heading or size > min(room, self._budget // 4):
                break
            kept.insert(0, unit)
        return kept

    def _passage(self, document: Document, units: Sequence[_Unit], before: str, heading: str) -> Passage:
        start, end = units[0].start, units[-1].end
        has_heading = any(unit.heading for unit in units)
        context = [part for part in (before, "" if has_heading else heading) if part]
        lang = document.lang or next((u.lang for u in reversed(units) if not u.heading), units[-1].lang)
        sentences = _sentences(units) if self._keep_sentences else ()
        return Passage(start, end, document.text[start:end], lang, "\n".join(context), sentences)


def sentence_spans(text: str, lang: str) -> tuple[tuple[int, int], ...]:
    """Return where the sentences of a passage that was cut elsewhere start and end, as ``Passage.sentences`` has it."""
    units = [unit for _, unit in _units(Document("", "", text, lang=lang), [], lang)]
    before = units[0].start if units else 0
    return tuple((start + before, end + before) for start, end in _sentences(units)) if units else ()


def _sentences(units: Sequence[_Unit]) -> tuple[tuple[int, int], ...]:
    """Return where a passage's sentences start and end in it, short ones joined to the next; nothing for a single one.

    "Yes." or "3)" says too little by itself to be close to a question. Headings are in none: they name what follows.
    """
    first = units[0].start
    spans: list[tuple[int, int]] = []
    for unit in units:
        if unit.heading:
            continue
        if spans and spans[-1][1] - spans[-1][0] < _SHORT_SENTENCE:
            spans[-1] = (spans[-1][0], unit.end - first)
        else:
            spans.append((unit.start - first, unit.end - first))
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < _SHORT_SENTENCE:
        _, end = spans.pop()
        spans[-1] = (spans[-1][0], end)
    return tuple(spans) if len(spans) > 1 else ()


def _front_matter_end(left_out: Sequence[LeftOut]) -> int:
    return left_out[0].end if left_out and left_out[0].start == 0 else 0


def _only_headings(group: Sequence[_Section]) -> bool:
    return all(unit.heading for section in group for unit in section.units)


def _units(document: Document, left_out: Sequence[LeftOut], doc_lang: str) -> Iterator[tuple[int, _Unit]]:
    """Yield the headings and sentences of a document with the number of their block; lines left out end a block."""
    block = 0
    doc_script = "" if document.lang else main_script(document.text)
    for paragraph in _paragraphs(document.text, left_out):
        if paragraph is None:
            block += 1
            continue
        heading = _heading(paragraph)
        for lang, lines in _by_language(document, paragraph, doc_lang, doc_script):
            if heading:
                yield block, _Unit(lines[0].start, lines[-1].end, lang, heading)
                continue
            for start, end in split_sentences(document.text, lines, lang):
                yield block, _Unit(start, end, lang)


def _by_language(
    document: Document, paragraph: list[Line], doc_lang: str, doc_script: str
) -> Iterator[tuple[str, list[Line]]]:
    """Cut a paragraph where its language changes; short lines in the script of the line before are of its language."""
    if document.lang:
        yield document.lang, paragraph
        return
    if is_wrapped(paragraph):
        span = document.text[paragraph[0].start : paragraph[-1].end]
        yield detect_language(span, expected=(doc_lang,)), paragraph
        return
    lang, script = doc_lang, doc_script
    langs = []
    for line in paragraph:
        own_script = main_script(line.text)
        if own_script and (own_script != script or _is_long(line.text)):
            lang, script = detect_language(line.text, expected=(doc_lang,)), own_script
        langs.append(lang)
    numbered = groupby(range(len(paragraph)), key=lambda i: langs[i])
    yield from ((lang, [paragraph[i] for i in numbers]) for lang, numbers in numbered)


def _is_long(line: str) -> bool:
    return len(line) >= _MIN_LETTERS and sum(map(str.isalpha, line[: 4 * _MIN_LETTERS])) >= _MIN_LETTERS


def _paragraphs(text: str, left_out: Sequence[LeftOut]) -> Iterator[list[Line] | None]:
    """Yield runs of lines between blank ones, and None for every line left out."""
    skipped = {span.start: span.end for span in left_out}
    until = 0
    run: list[Line] = []
    for line in iter_lines(text):
        dropped = line.start < until or (line.start in skipped and bool(line.text))
        until = max(until, skipped.get(line.start, 0))
        if line.text and not dropped:
            if _ATX_HEADING.match(line.text):  # needs no blank line around it
                if run:
                    yield run
                yield [line]
                run = []
            else:
                run.append(line)
            continue
        if run:
            yield run
        run = []
        if dropped:
            yield None
    if run:
        yield run


def _heading(paragraph: Sequence[Line]) -> str:
    """Return the words of a heading, "" when the paragraph is none."""
    if len(paragraph) != 1:
        return ""
    line = paragraph[0].text
    atx = _ATX_HEADING.match(line)
    if atx:
        words = line[atx.end() :]
        closed = words.rstrip("#")  # "## Words ##", but not "# C#"
        return closed.rstrip() if closed[-1:].isspace() else words
    is_short = len(line) <= _LONGEST_HEADING and len(line.split()) <= _LONGEST_HEADING_WORDS
    if not is_short or line[-1] in _SENTENCE_ENDS or LIST_ITEM.match(line) or not any(c.isalpha() for c in line):
        return ""
    return line


def _sections(units: Iterable[tuple[int, _Unit]], document: Document) -> list[_Section]:
    """Cut at every heading that follows text, at lines left out, and at changes of language."""
    sections: list[_Section] = []
    for block, unit in units:
        last = sections[-1] if sections else None
        if last and block == last.block:
            after = last.units[-1]
            starts = bool(unit.heading) and not after.heading
            changes = not document.lang and unit.lang != after.lang and not after.heading
            if not starts and not changes:
                last.units.append(unit)
                continue
        sections.append(_Section([unit], block))
    return sections


def _groups(sections: Sequence[_Section], budget: int) -> Iterator[list[_Section]]:
    """Join sections too small to stand alone with the one that follows, else with the one before."""
    group: list[_Section] = []
    for section in sections:
        size = sum(s.n_tokens for s in group)
        joins = group and section.block == group[-1].block and section.lang == group[-1].lang
        small = size < budget // _SMALL or section.n_tokens < budget // _SMALL
        if joins and small and size + section.n_tokens <= budget:
            group.append(section)
            continue
        if group:
            yield group
        group = [section]
    if group:
        yield group
