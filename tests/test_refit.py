"""The balance of languages fitted anew: from vectors that are there, into a generation of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.errors import (
    EncoderMismatchError,
    IndexDamagedError,
    IndexFormatError,
    InputError,
    NoIndexError,
    StoreError,
)
from index.generations import locked
from index.layout import CURRENT, DATABASE, FAISS, LANGS, OFFSETS, VECTORS
from index.progress import Silent
from index.records import Document
from index.refit import refit
from index.sentence_files import SENTENCES
from index.store import Store, current_generation
from index.verifier import verify
from search.cli import main
from search.searcher import Searcher
from tests.builds import ROOT
from tests.toys import ToyEncoder

PAGES = [
    Document("1", "a", "red apples grow on old trees", lang="en"),
    Document("2", "b", "red obuoliai auga ant medžių", lang="lt"),
    Document("3", "c", "rote Äpfel wachsen auf Bäumen", lang="de"),
]
SEGMENT = "s000001"
PARALLEL = [{"en": "bread and water", "de": "Brot und Wasser"}, {"en": "cold days", "de": "kalte Tage"}]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    build_documents(PAGES, tmp_path / "index", encoder=ToyEncoder())
    return tmp_path / "index"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in PARALLEL), "utf-8")
    return path


def offsets(index: Path) -> np.ndarray:
    with Store.open(index) as store:
        return np.array(store.offsets())


def test_own_texts_balance_their_languages(built: Path, own: Path) -> None:
    before, toy = offsets(built), ToyEncoder()
    manifest = refit(built, toy, parallel=own)
    assert set(toy.encoded) >= {text for line in PARALLEL for text in line.values()}
    assert not set(toy.encoded) & {page.text for page in PAGES}
    assert manifest.fitted_from == dict.fromkeys(("de", "en", "lt"), "parallel text")
    assert manifest.settings["parallel"] == str(own)
    german, english, _ = offsets(built)
    means = {lang: ToyEncoder().encode_passages([line[lang] for line in PARALLEL]).mean(axis=0) for lang in PARALLEL[0]}
    np.testing.assert_allclose(german - english, means["de"] - means["en"], atol=1e-6)
    _, english_before, lithuanian_before = before
    _, english, lithuanian = offsets(built)
    np.testing.assert_allclose(lithuanian - english, lithuanian_before - english_before, atol=1e-6)
    assert verify(built) == []


def test_the_way_back(built: Path, own: Path) -> None:
    before = offsets(built)
    refit(built, ToyEncoder(), parallel=own)
    assert refit(built, ToyEncoder(), parallel="").settings["parallel"] == ""
    np.testing.assert_array_equal(offsets(built), before)


def test_tags_that_the_index_does_not_hold_are_told(built: Path, own: Path) -> None:
    class Told(Silent):
        notes: list[str] = []  # noqa: RUF012 one a test

        def note(self, text: str) -> None:
            self.notes.append(text)

    own.write_text('{"en": "bread", "German": "Brot"}', "utf-8")
    told = Told()
    refit(built, ToyEncoder(), parallel=own, progress=told)
    build_documents(PAGES, built, encoder=ToyEncoder(), settings=BuildSettings(parallel=str(own)), progress=told)
    notice = f"{own}: is in en, german; the index holds no passage in german (it holds de, en, lt). Name its languages"
    assert [note.startswith(notice) for note in told.notes if "german" in note] == [True, True]


def test_a_second_time_needs_no_file_named(built: Path, own: Path) -> None:
    refit(built, ToyEncoder(), parallel=own)
    first = offsets(built)
    refit(built, ToyEncoder())
    np.testing.assert_array_equal(offsets(built), first)


def test_the_project_s_own_texts_give_what_the_build_gave(built: Path) -> None:
    old = current_generation(built)
    manifest = refit(built, ToyEncoder())
    new = current_generation(built)
    assert new != old
    for name in manifest.files:
        assert (new / name).read_bytes() == (old / name).read_bytes(), name


def test_a_build_with_own_texts_is_fitted_from_them(tmp_path: Path, own: Path) -> None:
    settings = BuildSettings(parallel=str(own))
    build_documents(PAGES, tmp_path / "index", encoder=ToyEncoder(), settings=settings)
    first = offsets(tmp_path / "index")
    refit(tmp_path / "index", ToyEncoder())
    np.testing.assert_array_equal(offsets(tmp_path / "index"), first)


def test_a_searcher_goes_on_while_generations_change(built: Path, own: Path) -> None:
    with Searcher.open(built, encoder=ToyEncoder()) as searcher:
        before = searcher.search("red apples", 3)
        for _ in range(3):
            refit(built, ToyEncoder(), parallel=own)
        assert searcher.search("red apples", 3) == before
    with Searcher.open(built, encoder=ToyEncoder()) as searcher:
        assert {hit.text for hit in searcher.search("red apples", 3)} == {page.text for page in PAGES}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"en": "a"}', r"own\.jsonl:1: has en\. Give each line in the same languages"),
        ('{"en": "a", "de": "b"}\n{"en": "a", "lt": "b"}', r"own\.jsonl:2: has en, lt\."),
        ('{"en-US": "a", "en-GB": "b"}', r"own\.jsonl:1: has en-US, en-GB\."),
        ('{"en": "a", "de": 3}', r"own\.jsonl:1: is no object of texts"),
        ("[1]", r"own\.jsonl:1: is no object of texts"),
        ("{", r"own\.jsonl:1: is not JSON"),
        ("[" * 100_000, r"own\.jsonl:1: is not JSON"),
        ("\n\n", r"own\.jsonl: is empty"),
        ('{"eng": "a", "deu": "b"}', r"is in eng, deu; the index holds no passage in eng, deu \(it holds de, en, lt\)"),
    ],
)
def test_texts_that_do_not_fit_are_told(built: Path, own: Path, text: str, problem: str) -> None:
    own.write_text(text, "utf-8")
    before = current_generation(built)
    with pytest.raises(InputError, match=problem):
        refit(built, ToyEncoder(), parallel=own)
    assert current_generation(built) == before


def test_blank_lines_a_mark_and_regions_do_not_matter(built: Path, own: Path) -> None:
    refit(built, ToyEncoder(), parallel=own)
    first = offsets(built)
    lines = [json.dumps({f"{lang}_XX": text for lang, text in line.items()}, ensure_ascii=False) for line in PARALLEL]
    own.write_text("\ufeff" + "\n\n".join(lines) + "\n\n", "utf-8")
    refit(built, ToyEncoder(), parallel=own)
    np.testing.assert_array_equal(offsets(built), first)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{SEGMENT}/{name}" for name in (LANGS, VECTORS, SENTENCES, "lexical-rows.npy")),
        DATABASE,
    ],
)
def test_damage_is_not_carried_on(built: Path, name: str) -> None:
    before = current_generation(built)
    path = before / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexDamagedError, match=name):
        refit(built, ToyEncoder())
    assert current_generation(built) == before


def test_what_derives_is_mended(built: Path) -> None:
    for name in (OFFSETS, f"{SEGMENT}/{FAISS}"):
        path = current_generation(built) / name
        path.write_bytes(bytes(path.stat().st_size))
        assert verify(built) != []
    refit(built, ToyEncoder())
    assert verify(built) == []


def test_what_cannot_be_fitted_is_told(built: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderMismatchError, match="--model"):
        refit(built, ToyEncoder(weights_hash="other"))
    with pytest.raises(NoIndexError, match="there is no such directory"):
        refit(tmp_path / "nothing", ToyEncoder())
    assert not (tmp_path / "nothing").exists()
    shutil.copytree(ROOT / "tests" / "golden" / "format-1", tmp_path / "old")
    with pytest.raises(IndexFormatError, match="format 1, which cannot be balanced anew"):
        refit(tmp_path / "old", ToyEncoder(dim=64))
    with locked(built), pytest.raises(StoreError, match="another program is writing here"):
        refit(built, ToyEncoder())


def test_disks_without_links_get_copies(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    refit(built, ToyEncoder())
    assert verify(built) == []


def test_the_command(tmp_path: Path, tiny_model: Path, own: Path) -> None:
    settings = BuildSettings(ModelSettings(str(tiny_model)))
    build_documents(PAGES, tmp_path / "index", settings=settings)
    name = (tmp_path / "index" / CURRENT).read_text()
    result = CliRunner().invoke(main, ["refit", "--index", str(tmp_path / "index"), "--parallel", str(own)])
    assert result.exit_code == 0, result.output
    assert "balanced anew (de, en, lt from parallel text)." in result.output
    assert (tmp_path / "index" / CURRENT).read_text() != name
    told = CliRunner().invoke(main, ["info", "--index", str(tmp_path / "index")]).output
    assert "70% of the languages' offsets: de, en, lt from parallel text" in told
