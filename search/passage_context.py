"""A passage with what stands around it in its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from search.hits import place_to_dict

if TYPE_CHECKING:
    from index.passages import Placed
    from index.stored import Occurrence, StoredPassage


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A passage of the same document; it may overlap the one asked for by a sentence.

    Attributes:
        passage_id: Identifies it.
        lang: Its BCP 47 language.
        start: Offset of its first character in the document's text.
        end: Offset just after its last one.
        text: The document's own text, unchanged.
        locator: Its page or time (``index.Mark``), or "".
    """

    passage_id: str
    lang: str
    start: int
    end: int
    text: str
    locator: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, the keys in the order of the attributes."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class PassageInContext:
    """A passage, where it stands, and its neighbours there.

    Attributes:
        passage_id: Identifies it.
        lang: Its BCP 47 language.
        source: The file it is from.
        doc_id: The document in that file.
        title: The document's title, or "".
        start: Offset of its first character in the document's text.
        end: Offset just after its last one.
        text: The document's own text, unchanged.
        locator: Its page or time (``index.Mark``), or "".
        metadata: Further fields of the document.
        also_in: The first 20 of the other places where the very same passage stands.
        n_places: In how many places it stands, this one included.
        before: The passages before it in the document, in the order of the text.
        after: Those after it.
    """

    passage_id: str
    lang: str
    source: str
    doc_id: str
    title: str
    start: int
    end: int
    text: str
    locator: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    also_in: tuple[Occurrence, ...] = ()
    n_places: int = 1
    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, the keys in the order of the attributes."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["metadata"] = dict(self.metadata)
        plain["also_in"] = [place_to_dict(place) for place in self.also_in]
        for name in ("before", "after"):
            plain[name] = [neighbour.to_dict() for neighbour in plain[name]]
        return plain


def in_context(
    passage: StoredPassage,
    around: tuple[Sequence[Placed], Sequence[Placed]],
    locate: Callable[[Sequence[tuple[str, str, int]]], list[str]],
) -> PassageInContext:
    """Return a passage in the first place it stands in.

    Args:
        passage: As stored.
        around: Its neighbours there: those before and those after.
        locate: Tells pages and times: of sources, ids and offsets.
    """
    place, *others = passage.occurrences
    placed = [*around[0], *around[1]]
    starts = [place.start, *(one.start for one in placed)]
    locator, *locators = locate([(place.source, place.doc_id, start) for start in starts])
    neighbours = tuple(
        Neighbour(one.passage.passage_id, one.passage.lang, one.start, one.end, one.passage.text, told)
        for one, told in zip(placed, locators, strict=True)
    )
    return PassageInContext(
        passage_id=passage.passage_id,
        lang=passage.lang,
        source=place.source,
        doc_id=place.doc_id,
        title=place.title,
        start=place.start,
        end=place.end,
        text=passage.text,
        locator=locator,
        metadata=passage.metadata,
        also_in=tuple(others),
        n_places=passage.n_places,
        before=neighbours[: len(around[0])],
        after=neighbours[len(around[0]) :],
    )
