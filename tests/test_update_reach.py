"""Updates where files and folders are out of reach, elsewhere, or named in another way."""

from __future__ import annotations

from pathlib import Path

import pytest

from index.builder import build
from index.errors import InputError
from index.store import Store, current_generation
from index.updater import update
from tests.same import bytes_of, content
from tests.toys import ToyEncoder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "below/c.txt", "below/d.txt"):
        (folder / name).write_text(f"The words of {name}. They end here.", "utf-8")
    return folder


@pytest.fixture
def out(files: Path, tmp_path: Path, toy: ToyEncoder) -> Path:
    build([files], tmp_path / "index", encoder=toy)
    return tmp_path / "index"


def reads(files: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    """Have the file system give a file or not."""
    real = Path.open

    def opened(path: Path, *args: object, **more: object) -> object:
        if fails and path.name == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", opened)


def test_what_cannot_be_read_for_a_while_stays(
    files: Path, out: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(out)
    name = sorted(path.name for path in files.rglob("*.txt"))[0]
    (path,) = files.rglob(name)
    text = path.read_text("utf-8")
    path.write_text(text + " More.", "utf-8")
    with monkeypatch.context() as patched:
        reads(files, name, patched, fails=True)
        report = update(out, encoder=toy)
        assert (report.gone, sum(item.out_of_reach for item in report.rejected)) == (0, 1)
        generation = current_generation(out)
        update(out, encoder=toy)
        assert current_generation(out) == generation  # nothing more to tell
    assert content(out)["passages"] == before["passages"]
    report = update(out, encoder=toy)
    assert (report.changed, report.gone, sum(item.out_of_reach for item in report.rejected)) == (1, 0, 0)


def test_a_source_out_of_reach_is_not_taken_for_gone(
    files: Path, out: Path, toy: ToyEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bytes_of(out / "generations")
    away = files.rename(tmp_path / "away")
    files.mkdir()  # as where nothing is mounted now
    with pytest.raises(InputError, match="has no file left"):
        update(out, encoder=toy)
    files.rmdir()
    with pytest.raises(InputError, match="is not there"):
        update(out, encoder=toy)
    away.rename(files)
    assert update(out, encoder=toy).files.is_nothing
    assert bytes_of(out / "generations") == before


def test_a_root_that_is_gone_is_not_looked_for_elsewhere(
    tmp_path: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here[1]", "there"):
        (tmp_path / name / "docs").mkdir(parents=True)
        (tmp_path / name / "docs" / "a.txt").write_text(f"Some words of {name}.", "utf-8")
    monkeypatch.chdir(tmp_path / "here[1]")
    build(["docs/*.txt"], tmp_path / "index", encoder=toy)
    monkeypatch.chdir(tmp_path / "there")
    assert update(tmp_path / "index", encoder=toy).files.n_same == 1  # brackets of the root are no pattern
    (tmp_path / "here[1]").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="the folder that the index was built from is not there"):
        update(tmp_path / "index", encoder=toy)


def test_a_folder_that_became_a_link_is_gone(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    folder = next(path for path in files.iterdir() if path.is_dir())
    n = len(list(folder.rglob("*.txt")))
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert update(out, encoder=toy).gone == n > 0


def test_a_file_named_through_a_link_is_the_same_file(files: Path, out: Path, toy: ToyEncoder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(files)
    path = next(path for path in sorted(files.iterdir()) if path.is_file())
    path.write_text("Words that were not there.", "utf-8")
    sources = update(out, [tmp_path / "link" / path.name], encoder=toy).manifest.sources
    (tmp_path / "link").unlink()
    assert update(out, encoder=toy).files.is_nothing
    with Store.open(out) as store:
        assert store.manifest.sources == sources


def test_an_index_of_nothing_is_refused(files: Path, out: Path, toy: ToyEncoder) -> None:
    before = bytes_of(out / "generations")
    for path in files.rglob("*.txt"):
        path.unlink()
    with pytest.raises(InputError, match="has no file left"):  # it may only be out of reach
        update(out, encoder=toy)
    with pytest.raises(InputError, match="no document with text"):
        update(out, [files], encoder=toy)
    assert bytes_of(out / "generations") == before


def test_a_pattern_is_remembered_as_one(
    files: Path, out: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files.parent)
    Path("more").mkdir()
    Path("more/a.md").write_text("Words of a page. They end.", "utf-8")
    pattern = str(files.parent / "more" / "*.md")  # the index was built from elsewhere
    assert update(out, ["more/*.md"], encoder=toy).manifest.sources[1:] == (pattern,)
    Path("more/b.md").write_text("Words of another page.", "utf-8")
    report = update(out, encoder=toy)
    assert (report.new, report.changed, report.gone) == (1, 0, 0)
    assert report.manifest.sources[1:] == (pattern,)
