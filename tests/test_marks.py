"""Pages, slides and times: kept with a document, told of a hit, and gone with it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from index.builder import build_documents
from index.config import BuildSettings, ChunkSettings
from index.errors import InputError
from index.layout import DATABASE
from index.locators import number_of, told_locator
from index.records import Document, Mark
from index.store import Store
from index.updater import update_documents
from index.verifier import verify
from search.searcher import Searcher
from tests.toys import ToyEncoder

PAGES = ["Red apples grow in the old garden.", "Nobody counted the green pears.", "A river runs past the mill."]
TEXT = "\n\n".join(PAGES)
STARTS = [TEXT.index(page) for page in PAGES]
BOOK = Document(
    "book",
    "book.pdf",
    TEXT,
    lang="en",
    marks=tuple(Mark(start, f"page={number}") for number, start in enumerate(STARTS, 1)),
)
FILM = Document("film", "film.srt", "Winter came early.", lang="en", marks=(Mark(0, "t=61.5"),))
PLAIN = Document("plain", "plain.txt", "A bridge of stone.", lang="en")


def built(out: Path, *documents: Document, max_tokens: int = 64) -> ToyEncoder:
    toy = ToyEncoder()
    settings = BuildSettings(chunking=ChunkSettings(max_tokens=max_tokens))
    build_documents(documents, out, settings=settings, encoder=toy)
    return toy


@pytest.mark.parametrize(
    ("locator", "told"),
    [
        ("page=3", "p. 3"),
        ("slide=14", "slide 14"),
        ("chapter=2", "ch. 2"),
        ("t=61.5", "1:01"),
        ("t=0", "0:00"),
        ("t=3723", "1:02:03"),
        ("", ""),
        ("page=", ""),
        ("page=3.5", ""),
        ("line=3", ""),
        ("page=٣", ""),
        ("page=3\x1b[2J", ""),
        ("t=" + "9" * 400, ""),
    ],
)
def test_locators_are_told(locator: str, told: str) -> None:
    assert told_locator(locator) == told


@pytest.mark.parametrize(("start", "locator"), [(-1, "page=3"), (0, "iv"), (0, "page=iv"), (0, "")])
def test_a_mark_that_is_none_is_told(start: int, locator: str) -> None:
    with pytest.raises(InputError, match=r"it takes page=3, slide=4, chapter=2 or t=61\.5"):
        Mark(start, locator)


def test_numbers_of_locators() -> None:
    assert number_of("page=3", "page") == 3
    assert number_of("t=61.5", "t") == 61.5
    assert number_of("slide=3", "page") is None


def test_a_hit_carries_the_page_of_its_closest_sentence(tmp_path: Path, toy: ToyEncoder) -> None:
    built(tmp_path / "index", BOOK, FILM, PLAIN)
    with Searcher.open(tmp_path / "index", encoder=toy) as searcher:
        assert searcher.manifest.counts.passages == 3  # the book is one passage of three pages
        for number, page in enumerate(PAGES, 1):
            hit = searcher.search(page, 1)[0]
            assert (hit.locator, hit.page, hit.seconds) == (f"page={number}", number, None)
            assert TEXT[slice(*hit.highlight)] == page
            assert json.loads(json.dumps(hit.to_dict()))["locator"] == f"page={number}"
        film, plain = searcher.search("winter came early", 1)[0], searcher.search("bridge of stone", 1)[0]
    assert (film.locator, film.page, film.seconds) == ("t=61.5", None, 61.5)
    assert (plain.locator, plain.page, plain.seconds) == ("", None, None)


def test_before_the_first_mark_there_is_no_page(tmp_path: Path, toy: ToyEncoder) -> None:
    built(tmp_path / "index", Document("d", "d.pdf", TEXT, lang="en", marks=(Mark(STARTS[1], "page=2"),)))
    with Searcher.open(tmp_path / "index", encoder=toy) as searcher:
        assert [searcher.search(page, 1)[0].locator for page in PAGES] == ["", "page=2", "page=2"]


def test_an_empty_page_gives_way_to_the_next(tmp_path: Path, toy: ToyEncoder) -> None:
    marks = (Mark(0, "page=1"), Mark(STARTS[1], "page=2"), Mark(STARTS[1], "page=3"), Mark(STARTS[2], "page=4"))
    built(tmp_path / "index", Document("d", "d.pdf", TEXT, lang="en", marks=marks))
    with Searcher.open(tmp_path / "index", encoder=toy) as searcher:
        assert [searcher.search(page, 1)[0].page for page in PAGES] == [1, 3, 4]


def test_other_pages_are_another_document(tmp_path: Path) -> None:
    out = tmp_path / "index"
    toy = built(out, BOOK, PLAIN)
    again = Document(
        "book",
        "book.pdf",
        TEXT,
        lang="en",
        marks=tuple(Mark(m.start, f"slide={i}") for i, m in enumerate(BOOK.marks, 5)),
    )
    report = update_documents(out, [again, PLAIN], encoder=toy)
    assert (report.changed, report.same, report.embedded) == (1, 1, 0)
    with Searcher.open(out, encoder=toy) as searcher:
        assert searcher.search(PAGES[2], 1)[0].locator == "slide=7"
    update_documents(out, [], remove=[("book.pdf", "book")], encoder=toy)
    with Store.open(out) as store:
        assert store.documents.locators([("book.pdf", "book", 0), ("plain.txt", "plain", 0)]) == ["", ""]
        database = store.folder / DATABASE
    assert verify(out) == []
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM marks").fetchone() == (0,)


def test_a_mark_of_another_type_is_damage(tmp_path: Path) -> None:
    out = tmp_path / "index"
    built(out, BOOK)
    with Store.open(out) as store:
        database = store.folder / DATABASE
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE marks SET locator = x'00ff'")
    with Store.open(out) as store, pytest.raises(Exception, match="a value of another type than was written"):
        store.documents.locators([("book.pdf", "book", 0)])
