"""py3langid's model kept unpacked: the same scores, whatever becomes of the files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import py3langid
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from py3langid import langid

from index.cache import STAMP, is_whole
from index.language_model import FOLDER, open_ranker, rank
from tests.builds import ROOT, environment
from tests.test_language import CASES

TEXT = "Vaikai į mokyklą eina pėsčiomis."
NAME = FOLDER.format(version=py3langid.__version__)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the files will be, of a home that holds nothing yet."""
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path))
    return tmp_path / "languages" / NAME


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the packed model was opened")


@pytest.mark.parametrize("text", [text for _, text in CASES] + [" ".join(text for _, text in CASES), "A" * 3000])
def test_scores_are_the_same_to_the_last_bit(text: str) -> None:
    assert rank(text) == py3langid.rank(text)


@given(st.text(max_size=200))
@example("")
@example("\ud800 \0")
def test_scores_of_any_text_are_the_same(text: str) -> None:
    assert rank(text) == py3langid.rank(text)


def test_files_are_made_once_and_opened_afterwards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = py3langid.rank(TEXT)
    assert open_ranker()(TEXT) == expected
    assert is_whole(folder)
    monkeypatch.setattr(langid.LanguageIdentifier, "from_model_file", refuse)
    monkeypatch.setattr(py3langid, "rank", refuse)
    assert open_ranker()(TEXT) == expected


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def fill_with_nothing(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def change_type(file: Path) -> None:
    array = np.load(file)
    np.save(file, array.view(np.int32 if array.dtype == np.float32 else np.float32))


def test_damaged_files_are_made_anew(folder: Path) -> None:
    open_ranker()
    expected = py3langid.rank(TEXT)
    damages: list[Callable[[Path], None]] = [Path.unlink, cut_off, change_type, fill_with_nothing]
    files = [folder / "ptc.npy"] * len(damages) + [folder / STAMP]
    for damage, file in zip([*damages, fill_with_nothing], files, strict=True):
        damage(file)
        assert open_ranker()(TEXT) == expected
        assert is_whole(folder)
        assert np.load(folder / "ptc.npy", mmap_mode="r").dtype == np.float32


def test_another_version_of_py3langid_has_files_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ranker()
    monkeypatch.setattr(py3langid, "__version__", "99")
    open_ranker()
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {NAME, FOLDER.format(version="99")}


def test_without_a_place_to_write_the_packed_model_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "file"))
    assert open_ranker() is py3langid.rank


@pytest.mark.parametrize("missing", ["LanguageIdentifier", "MODEL_FILE"])
def test_a_library_of_other_parts_loads_its_own_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delattr(langid, missing)
    assert open_ranker() is py3langid.rank
    assert not folder.exists()


def test_a_model_that_does_not_work_from_its_parts_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.language_model._make_ranker", lambda *_: lambda text: [("zxx", 0.0)])
    assert open_ranker() is py3langid.rank
    assert not folder.exists()


def test_two_processes_at_once(folder: Path) -> None:
    code = f"from index.language_model import rank; print(rank({TEXT!r})[0])"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment(), cwd=ROOT)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].decode().strip() for process in started]
    assert said == [str(py3langid.rank(TEXT)[0])] * 2
    assert is_whole(folder)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [NAME]
