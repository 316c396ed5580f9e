"""What a search returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from index.locators import number_of

if TYPE_CHECKING:
    from index.stored import Occurrence, StoredPassage
    from search.scoring import Ranked


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a query.

    Attributes:
        query: The query as asked.
        rank: From 1; within its language when the search was made per language.
        score: Higher is better: the sum of ``dense``, ``balance`` and ``lexical``, or a cross-encoder's score.
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
        highlight: Offsets in the document's text of the sentence closest to the query; all of the passage when it is
            one sentence, or sentences have no vectors in the index.
        dense: What meaning gives to the score.
        balance: What the balance of languages gives to it.
        lexical: What words give to it.
        terms: The words of the passage that the query has too, when they were asked for.
        locator: The page, slide, chapter or time of ``highlight`` in the source (``index.Mark``), "" where it has none.
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
    highlight: tuple[int, int] = (0, 0)
    dense: float = 0.0
    balance: float = 0.0
    lexical: float = 0.0
    terms: tuple[str, ...] = ()
    locator: str = ""

    @property
    def page(self) -> int | None:
        """The page of the sentence closest to the query, from 1; None where the source has no pages."""
        page = number_of(self.locator, "page")
        return None if page is None else int(page)

    @property
    def seconds(self) -> float | None:
        """The time of the sentence closest to the query, from the beginning; None where the source has no times."""
        return number_of(self.locator, "t")

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as plain data, the keys in the order of the attributes."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["metadata"] = dict(self.metadata)
        plain["highlight"], plain["terms"] = list(self.highlight), list(self.terms)
        plain["also_in"] = [place_to_dict(place) for place in self.also_in]
        return plain


def place_to_dict(place: Occurrence) -> dict[str, Any]:
    """Return a place of a passage as plain data, the keys in the order of the attributes."""
    return {name: getattr(place, name) for name in place.__slots__}


def make_hit(
    query: str, passage: StoredPassage, ranked: Ranked, at: int, score: float, terms: Sequence[str] = ()
) -> Hit:
    """Make a hit of a stored passage; the first place it stands in is the one shown.

    Args:
        query: As asked.
        passage: As stored.
        ranked: The passages found.
        at: Which of them this is, from 0.
        score: Its score.
        terms: The words that the passage shares with the query.
    """
    first, *others = passage.occurrences
    begin, end = (int(offset) for offset in ranked.highlights[at])
    whole = not 0 <= begin < end <= len(passage.text)
    return Hit(
        query=query,
        rank=at + 1,
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
        highlight=(first.start, first.end) if whole else (first.start + begin, first.start + end),
        dense=float(ranked.dense[at]),
        balance=float(ranked.balance[at]),
        lexical=float(ranked.lexical[at]),
        terms=tuple(terms),
    )
