"""A passage by its id, with what stands around it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.builder import build_documents
from index.config import BuildSettings, ChunkSettings
from index.errors import QueryError
from index.records import Document, Mark
from search.searcher import Searcher
from tests.toys import ToyEncoder

SENTENCES = [
    f"Sentence number {word} tells of {word} things in the old mill by the river."
    for word in ("one", "two", "three", "four", "five", "six", "seven")
]
TEXT = " ".join(SENTENCES)
STORY = Document(
    "story",
    "story.pdf",
    TEXT,
    title="Mill",
    lang="en",
    metadata={"year": 1941},
    marks=tuple(Mark(TEXT.index(one), f"page={i}") for i, one in enumerate(SENTENCES, 1)),
)
OTHER = Document("other", "other.txt", SENTENCES[3], lang="en")
SETTINGS = BuildSettings(chunking=ChunkSettings(max_tokens=20))


@pytest.fixture(params=["files", "milvus"])
def searcher(request: pytest.FixtureRequest, tmp_path: Path, toy: ToyEncoder) -> Iterator[Searcher]:
    store = f"milvus:{tmp_path / 'm.db'}" if request.param == "milvus" else ""
    documents = [STORY, OTHER, Document("third", "third.txt", "Winter came early that year.", lang="en")]
    settings = dataclasses.replace(SETTINGS, store=store)
    build_documents(documents, tmp_path / "index", settings=settings, encoder=toy)
    with Searcher.open(tmp_path / "index", encoder=toy) as opened:
        yield opened


def test_neighbours_come_in_the_order_of_the_text(searcher: Searcher) -> None:
    everything = sorted(searcher.search("mill river", 50), key=lambda hit: (hit.source, hit.start))
    story = [hit for hit in everything if hit.source == "story.pdf"]
    assert len(story) >= 5
    middle = story[2]
    found = searcher.passage(middle.passage_id, context=2)
    assert (found.source, found.doc_id, found.title, found.lang) == ("story.pdf", "story", "Mill", "en")
    assert (found.start, found.end, found.text) == (middle.start, middle.end, middle.text)
    assert dict(found.metadata) == {"year": 1941}
    assert [one.passage_id for one in found.before] == [hit.passage_id for hit in story[:2]]
    assert [one.passage_id for one in found.after] == [hit.passage_id for hit in story[3:5]]
    for one in (*found.before, *found.after):
        assert TEXT[one.start : one.end] == one.text
        assert one.locator == f"page={1 + sum(TEXT.index(s) <= one.start for s in SENTENCES[1:])}"
    assert found.locator.startswith("page=")


def test_nothing_stands_before_the_first_and_after_the_last(searcher: Searcher) -> None:
    only = searcher.search("Winter came early that year.", 1)[0]
    found = searcher.passage(only.passage_id, context=3)
    assert (found.text, found.before, found.after) == (only.text, (), ())
    assert searcher.passage(only.passage_id).before == ()


def test_a_passage_in_two_documents_is_shown_in_the_first(searcher: Searcher) -> None:
    hit = next(h for h in searcher.search(SENTENCES[3], 10) if h.text == SENTENCES[3])
    found = searcher.passage(hit.passage_id, context=1)
    assert found.n_places == hit.n_places
    assert [place.source for place in found.also_in] == [place.source for place in hit.also_in]
    plain = json.loads(json.dumps(found.to_dict()))
    assert [one["start"] for one in plain["after"]] == [one.start for one in found.after]
    assert plain["metadata"] == dict(found.metadata)


@pytest.mark.parametrize("wrong", ["", "x", "0" * 20, "0" * 19, '" or row >= 0 or "', "é" * 20, "A" * 20])
def test_an_unknown_id_is_told(searcher: Searcher, wrong: str) -> None:
    with pytest.raises(QueryError, match="the index holds no passage"):
        searcher.passage(wrong)


@pytest.mark.parametrize("context", [-1, 1001])
def test_a_context_out_of_range_is_told(searcher: Searcher, context: int) -> None:
    with pytest.raises(QueryError, match=f"context is {context}; ask for 0 to 1,000 passages"):
        searcher.passage("0" * 20, context=context)
