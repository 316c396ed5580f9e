"""The index in format 4: format 3 with the pages, slides and times of documents."""

from __future__ import annotations

import shutil
from pathlib import Path

from index.records import Document, Mark
from index.store import Store
from index.updater import update_documents
from index.verifier import verify
from search.searcher import Searcher
from tests.builds import ROOT
from tests.toys import ToyEncoder

FORMAT_3 = ROOT / "tests" / "golden" / "format-3"
FORMAT_4 = ROOT / "tests" / "golden" / "format-4"
"""Three documents, a page, times and a slide in them, in the toy encoder of 64 numbers. Never written again."""


def test_format_4_is_whole() -> None:
    assert verify(FORMAT_4) == []
    assert sum(path.stat().st_size for path in FORMAT_4.rglob("*") if path.is_file()) < 100_000
    with Store.open(FORMAT_4) as store:
        assert (store.manifest.format_version, store.manifest.counts.documents) == (4, 3)


def test_format_4_answers_with_pages_slides_and_times() -> None:
    with Searcher.open(FORMAT_4, encoder=ToyEncoder(dim=64)) as searcher:
        found = {
            asked: searcher.search(asked, 1)[0].locator
            for asked in ("bridge since 1930", "green pears", "Jis lėtai pasiekia marias", "ఆపిల్ పండ్లు")
        }
        hit = searcher.search("green pears", 1)[0]
        assert (hit.title, dict(hit.metadata)) == ("Winters", {"year": 1941})
        assert searcher.passage(hit.passage_id, context=1).source == "book.pdf"
    assert list(found.values()) == ["page=2", "page=3", "t=64", "slide=4"]


def test_format_3_becomes_format_4_by_an_update(tmp_path: Path) -> None:
    out = Path(shutil.copytree(FORMAT_3, tmp_path / "index"))
    toy = ToyEncoder(dim=64)
    with Store.open(out) as store:
        place = store.documents.passages([9])[0].occurrences[0]
        assert store.documents.locators([(place.source, place.doc_id, place.start)]) == [""]
    talk = Document("d9", "9.pdf", "One more river.", lang="en", marks=(Mark(0, "page=9"),))
    update_documents(out, [talk], encoder=toy)
    assert verify(out) == []
    with Searcher.open(out, encoder=toy) as searcher:
        assert searcher.manifest.format_version == 4
        assert searcher.search("One more river.", 1)[0].page == 9
        assert searcher.search("Nemunas", 1)[0].locator == ""
