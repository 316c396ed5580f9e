"""The records that flow through a build, and the names of the arrays.

``Document`` is what the user supplies, ``Passage`` a span of it that gets one vector. A passage's *row* is its
integer position in the index: in the vectors, in FAISS and in SQLite alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from index.errors import InputError
from index.locators import told_locator

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """Shape (n, dim), C-contiguous, every row of unit length."""
    Rows: TypeAlias = NDArray[np.int64]
    Scores: TypeAlias = NDArray[np.float32]
    LangCodes: TypeAlias = NDArray[np.uint16]
    """Shape (n,): positions in the manifest's list of languages."""

UNKNOWN_LANG = "und"
"""BCP 47's tag for a language that could not be determined."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where in its source a document is, from a character on: on a page, on a slide, at a time.

    Attributes:
        start: Offset of the first character in the document's text.
        locator: ``page=3``, ``slide=4``, ``chapter=2`` (each from 1), or ``t=61.5`` (seconds from the beginning).

    Raises:
        InputError: When the start is below 0, or the locator is none of these.
    """

    start: int
    locator: str

    def __post_init__(self) -> None:
        if self.start < 0 or not told_locator(self.locator):
            raise InputError(
                f"a mark has the locator {self.locator[:40]!r} from character {self.start} on; it takes page=3, "
                "slide=4, chapter=2 or t=61.5, from a character from 0 on."
            )


@dataclass(frozen=True, slots=True)
class Document:
    """One document as read.

    Attributes:
        doc_id: Its identifier, unique within its source.
        source: The file it came from, as named by the user or found below the folder named.
        text: The text as read: decoded, without a byte order mark, and otherwise unchanged.
        title: Its title, or "" when it has none.
        lang: The declared BCP 47 language, or "" when it is to be detected.
        metadata: Further fields of the record, as read.
        title_in_text: Whether the title is a line of ``text`` (a heading), which the model reads anyway.
        marks: The pages, slides or times of a paged or timed source, their starts ascending.
    """

    doc_id: str
    source: str
    text: str
    title: str = ""
    lang: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    title_in_text: bool = False
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that could not be read: counted, reported, never passed over in silence.

    Attributes:
        where: The file, with the line where there is one (``docs.jsonl:41``).
        reason: What is wrong and how to mend it.
        passed_over: Whether nobody asked for it: a file in a walked folder, of a format without a reader.
        out_of_reach: Whether its content is not at fault, but the file system, or a library that is missing: what
            was read there before may still be there.
    """

    where: str
    reason: str
    passed_over: bool = False
    out_of_reach: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class LeftOutKind(StrEnum):
    """Why a line is no part of any passage."""

    TEMPLATE = "template"
    """What a page template left behind: an unfilled placeholder, a bare "Anonymous", front matter."""
    REPEATED = "repeated"
    """A line that says again what an earlier line of the document said: captions, running titles."""
    LABEL = "label"
    """A label that introduces nothing ("Contents:" followed by a line left out, or by the end)."""
    HEADING = "heading"
    """A heading cut off from its text by a line left out; the model reads it before the passage that follows."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line kept out of passages; ``start`` and ``end`` are character offsets into the document's text."""

    start: int
    end: int
    kind: LeftOutKind


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document that gets one vector.

    Attributes:
        start: Offset of the first character in the document's text.
        end: Offset just after the last one: ``document.text[start:end] == text``.
        text: The document's own text, unchanged.
        lang: BCP 47 tag, or ``und``.
        context: What the model reads before the text (a declared title, the heading of the section), or "".
        sentences: Where its sentences start and end in ``text``, short ones joined to the next; empty when it is one.
    """

    start: int
    end: int
    text: str
    lang: str
    context: str = ""
    sentences: tuple[tuple[int, int], ...] = ()

    @property
    def passage_id(self) -> str:
        """20 hexadecimal digits of what was embedded: the same text in the same context and language, the same id."""
        return passage_id(self.lang, self.context, self.text)

    @property
    def model_text(self) -> str:
        """What is read for it, by the model and by the index of words."""
        return model_text(self.context, self.text)


def passage_id(lang: str, context: str, text: str) -> str:
    """Return what identifies a passage (``Passage.passage_id``)."""
    content = "\0".join((lang, context, text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=10).hexdigest()


def model_text(context: str, text: str) -> str:
    """Return what is read for a passage: what stands above it, then its text."""
    return f"{context}\n{text}" if context else text
