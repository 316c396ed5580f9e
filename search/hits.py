"""What a search returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from index.store import Occurrence, StoredPassage


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a query.

    Attributes:
        query: The query as asked.
        rank: From 1; within its language when the search was made per language.
        score: Higher is better: the cosine of query and passage.
        lang: BCP 47 language of the passage, ``und`` when unknown.
        source: The file the passage is from.
        doc_id: The document in that file.
        title: The document's title, or "".
        passage_id: Identifies the passage; the same text in the same context keeps it across builds.
        start: Offset of the passage's first character in the document's text.
        end: Offset just after its last one.
        text: The document's own text, unchanged.
        metadata: Further fields of the document.
        also_in: The first 20 of the other places where the very same passage stands.
        n_places: In how many places it stands, this one included.
    """

    query: str
    rank: int
    score: float
    lang: str
    source: str
    doc_id: str
    title: str
    passage_id: str
    start: int
    end: int
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    also_in: tuple[Occurrence, ...] = ()
    n_places: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as plain data, the keys in the order of the attributes."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["metadata"] = dict(self.metadata)
        plain["also_in"] = [
            {"source": o.source, "doc_id": o.doc_id, "title": o.title, "start": o.start, "end": o.end}
            for o in self.also_in
        ]
        return plain


def make_hit(query: str, rank: int, score: float, passage: StoredPassage) -> Hit:
    """Make a hit of a stored passage; the first place it stands in is the one shown."""
    first, *others = passage.occurrences
    return Hit(
        query=query,
        rank=rank,
        score=score,
        lang=passage.lang,
        source=first.source,
        doc_id=first.doc_id,
        title=first.title,
        passage_id=passage.passage_id,
        start=first.start,
        end=first.end,
        text=passage.text,
        metadata=passage.metadata,
        also_in=tuple(others),
        n_places=passage.n_places,
    )
