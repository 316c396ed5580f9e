"""``scripts/rebuild_index.py`` as a timer runs it: in a process of its own, from any folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from index.layout import CURRENT
from index.store import Store
from index.verifier import verify
from tests.builds import ROOT, run

GOOD = 'out = "index"\nsources = ["reports", "letters/*.jsonl"]\n'


def rebuild(*args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[bytes]:
    return run([sys.executable, str(ROOT / "scripts" / "rebuild_index.py"), *map(str, args)], cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name looks like a pattern, with texts in it."""
    base = tmp_path / "my [old] texts"
    (base / "reports").mkdir(parents=True)
    (base / "letters").mkdir()
    (base / "reports" / "a.txt").write_text("The bakery sells bread.")
    (base / "letters" / "b.jsonl").write_text('{"id": "1", "body": "Kepykla parduoda."}\n')
    return base


def test_paths_are_relative_to_the_configuration(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    config = folder / "nightly.toml"
    config.write_text(f'{GOOD}strict = true\n[model]\nname = "{tiny_model}"\n[fields]\ntext = "body"\n')
    result = rebuild(config, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr.decode().startswith(f"indexing …\n{folder}/index: 2 documents, 2 passages")
    with Store.open(folder / "index") as store:
        assert [p.text for p in store.documents.passages([0, 1])] == ["The bakery sells bread.", "Kepykla parduoda."]
        assert store.manifest.encoder.model == str(tiny_model)

    (folder / "reports" / "empty.txt").write_text("")
    result = rebuild("nightly.toml", "-q", cwd=folder)  # a name alone, from its own folder
    assert (result.returncode, result.stdout) == (1, b"")  # strict
    assert result.stderr.decode().startswith("not read: reports/empty.txt: is empty")
    assert (folder / "index" / CURRENT).read_text() == "g000001\n"
    assert verify(folder / "index") == []

    config.write_text(config.read_text().replace("reports", "missing"))
    result = rebuild(config, "-q", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.decode().startswith(f"Error: '{folder}/missing' ")
    assert len(result.stderr.splitlines()) == 1
    assert (folder / "index" / CURRENT).read_text() == "g000001\n"  # the old index is still in use


@pytest.mark.parametrize(("setting", "n_sentences"), [("", 2), ("sentences = true\n", 2), ("sentences = false\n", 0)])
def test_sentences_may_be_left_out(setting: str, n_sentences: int, folder: Path, tiny_model: Path) -> None:
    (folder / "reports" / "a.txt").write_text("The bakery is open. It sells bread.")
    config = folder / "nightly.toml"
    config.write_text(f'out = "index"\nsources = ["reports"]\n{setting}[model]\nname = "{tiny_model}"\n')
    assert rebuild(config, "-q").returncode == 0
    with Store.open(folder / "index") as store:
        assert (store.n_passages, store.manifest.counts.sentences) == (1, n_sentences)
        assert store.manifest.settings["sentences"] is (n_sentences > 0)
    assert verify(folder / "index") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            GOOD + "langs = 3\n",
            "unknown setting 'langs' (known: chunking, encoding, fields, kind, model, out, parallel, sentences, "
            "sources, store, strict, vectors).",
        ),
        (GOOD + "[chunking]\nmax_token = 3\n", "[chunking]: unknown setting 'max_token' (known: max_tokens, overlap"),
        (GOOD + '[chunking]\nmax_tokens = "many"\n', "[chunking]: max_tokens must be a whole number, not 'many'."),
        (GOOD + "[chunking]\nmax_tokens = 1\n", "[chunking]: max_tokens is 1; give a number of tokens from 16"),
        (GOOD + 'sentences = "no"\n', "sentences must be true or false, not 'no'."),
        (GOOD + 'strict = "yes"\n', "`strict` must be true or false."),
        (GOOD + "model = 3\n", "model is a table of settings, not 3."),
        ('sources = ["a"]\n', '`out` must name the index directory, for example out = "my-index".'),
        ('out = "index"\n', '`sources` must list at least one path, for example sources = ["reports"].'),
        ('out = "index"\nsources = "a"\n', "`sources` must list at least one path"),
        ('out = "index"\nsources = []\n', "`sources` must list at least one path"),
        ('out = "index"\nsources = [""]\n', "`sources` must list at least one path"),
        ("out = \n", "not valid TOML (Invalid value (at line 1, column 7))."),
    ],
)
def test_a_configuration_that_cannot_be_used(text: str, problem: str, folder: Path) -> None:
    config = folder / "c.toml"
    config.write_text(text)
    result = rebuild(config)
    assert (result.returncode, result.stdout) == (1, b"")
    message = result.stderr.decode()
    assert message.startswith(f"Error: {config}")
    assert problem in message
    assert len(message.splitlines()) == 1
    assert not (folder / "index").exists()


def test_no_configuration(tmp_path: Path) -> None:
    result = rebuild(tmp_path / "none.toml")
    assert result.returncode == 1
    assert result.stderr.decode() == (
        f"Error: {tmp_path}/none.toml: cannot be read (No such file or directory). Name a TOML file.\n"
    )
    (tmp_path / "latin.toml").write_bytes(b'out = "caf\xe9"\n')
    assert b"latin.toml: not valid TOML" in rebuild(tmp_path / "latin.toml").stderr


def test_wrong_usage_and_help() -> None:
    assert rebuild().returncode == 2
    assert rebuild("a.toml", "b.toml").returncode == 2
    shown = rebuild("-h")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"Rebuild the index that CONFIG.toml describes." in shown.stdout
