"""What a reader of a page sees of it: headings, paragraphs, lists and tables, written down from a tree of markup.

Reads HTML, the XHTML of books, and the elements that trafilatura makes of a page.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from index.readers.markup import name_of, walk
from index.readers.writing import TextWriter

if TYPE_CHECKING:
    from index.readers.markup import Element

_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_ITEMS = frozenset(["li", "item", "dt", "dd"])
_ROWS = frozenset(["tr", "row"])
_CELLS = frozenset(["td", "th", "cell"])
_BREAKS = frozenset(["br", "lb"])
_VERBATIM = frozenset(["pre", "listing"])
_INLINE = frozenset(
    ["a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "hi",
     "i", "ins", "kbd", "label", "mark", "nobr", "q", "ref", "ruby", "rb", "s", "samp", "small", "span",
     "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "math", "mi", "mn", "mo", "mrow"]
)  # fmt: skip
"""Elements that stand within a line; every other one begins a block."""
UNSEEN = frozenset(
    ["applet", "area", "audio", "base", "button", "canvas", "datalist", "embed", "head", "iframe", "input",
     "link", "map", "meta", "noframes", "noscript", "option", "param", "rp", "rt", "script", "select", "source",
     "style", "svg", "template", "textarea", "title", "track", "video"]
)  # fmt: skip
"""Elements of a page whose content is not its text."""
_LONGEST_CELL = 400
"""Characters of a cell above which its table only arranges a page."""
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TYPES = ("{http://www.idpf.org/2007/ops}type", "epub:type", "role")
_PRINTED = ("pagebreak", "noteref", "backlink")
"""What books say of elements that hold only a page's number, a note's, or a sign to go back."""
_SPACES = re.compile(r"[ \t\r\n\f]+")


def write_visible(root: Element, writer: TextWriter, unseen: Collection[str] = UNSEEN) -> None:
    """Write what is seen of an element.

    Args:
        root: The element.
        writer: Gets the blocks.
        unseen: Names of elements that are passed over with all that is in them.
    """
    _Walk(writer, unseen).over(root)


@dataclass(slots=True)
class _Block:
    """A block element that is open: what the words found in it make."""

    kind: str = ""
    level: int = 1
    used: bool = False
    """Whether an item has its words: what comes after them are paragraphs."""


class _Walk:
    """One walk over a tree; without recursion, since pages nest deeply."""

    def __init__(self, writer: TextWriter, unseen: Collection[str]) -> None:
        self._writer = writer
        self._unseen = unseen
        self._words: list[str] = []
        self._blocks = [_Block()]
        self._cells: list[str] | None = None
        self._verbatim = 0

    def over(self, root: Element) -> None:
        for event, element in walk(root, self._is_unseen):
            if event == "start":
                self._start(element)
                self._add(element.text)
            elif event == "end":
                self._end(element)
            if event != "start" and element is not root:
                self._add(element.tail)
        self._flush()

    def _is_unseen(self, element: Element) -> bool:
        return (
            name_of(element) in self._unseen
            or element.get("hidden") is not None
            or bool(_HIDDEN.search(element.get("style") or ""))
            or any(kind in (element.get(name) or "") for name in _TYPES for kind in _PRINTED)
        )

    def _start(self, element: Element) -> None:
        name = name_of(element)
        if name in _BREAKS:
            self._words.append("\n")
        elif name in _INLINE:
            return
        elif self._cells is not None:
            self._words.append(" ")
        else:
            self._flush()
            self._blocks.append(self._block(name, element))
            self._verbatim += name in _VERBATIM
            if name in _ROWS and _is_data(element):
                self._cells = []

    def _block(self, name: str, element: Element) -> _Block:
        level = _HEADINGS.get(name) or (_HEADINGS.get(element.get("rend") or "", 2) if name == "head" else 0)
        if level:
            return _Block("heading", level)
        if name in _ITEMS:
            return _Block("item")
        # A paragraph in a heading or an item is that heading, that item.
        return self._blocks[-1] if name in ("p", "div") else _Block()

    def _end(self, element: Element) -> None:
        name = name_of(element)
        if name in _BREAKS or name in _INLINE:
            return
        if self._cells is not None and name not in _ROWS:
            if name in _CELLS:
                self._cells.append("".join(self._words))
                self._words.clear()
            return
        if self._cells is not None:
            self._writer.row(self._cells)
            self._cells = None
            self._words.clear()
        self._flush()
        self._blocks.pop()
        self._verbatim -= name in _VERBATIM

    def _add(self, text: str | None) -> None:
        if text:
            self._words.append(text if self._verbatim else _SPACES.sub(" ", text))

    def _flush(self) -> None:
        text = "".join(self._words)
        self._words.clear()
        if not text.strip():
            return
        block = self._blocks[-1]
        if block.kind == "heading":
            self._writer.heading(text, block.level)
        elif block.kind == "item" and not block.used:
            block.used = True
            self._writer.item(text)
        else:
            self._writer.paragraph(text)


def _is_data(row: Element) -> bool:
    """Tell whether a row is one of a table of data, not of one that arranges a page."""
    names = [name_of(element) for element in row.iter()]
    cells = [element for element in row if name_of(element) in _CELLS]
    is_flat = not any(name in _ROWS for name in names[1:])
    return is_flat and len(cells) > 1 and all(len("".join(cell.itertext())) <= _LONGEST_CELL for cell in cells)
