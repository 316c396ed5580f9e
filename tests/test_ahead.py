"""What is embedded before a build, without a cluster: tasks hold each text once, and none that is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from index.ahead import TASK_TEXTS, Corpus, Task, tasks_of
from index.builder import build
from index.config import BuildSettings
from index.embedded import Embedded
from index.encoder import Encoder
from index.layout import EMBEDDED
from index.progress import Progress
from index.readers.source_file import SourceFile
from index.readers.sources import find_files
from index.store import Store
from tests.toys import ToyEncoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for i in range(120):
        text = " ".join(f"Sentence {j} of document {i} is about number {i * j}." for j in range(12))
        (docs / f"{i:03d}.txt").write_text(f"{text} This sentence is in all of them, word for word.\n")
    return tmp_path


def corpus_of(folder: Path, *, takes_over: bool = False) -> Corpus:
    files = [file for file in find_files([str(folder / "docs")]) if isinstance(file, SourceFile)]
    return Corpus(files, folder / "index", BuildSettings(), takes_over)


def in_process(corpus: Corpus, encoder: Encoder, embedded: Embedded, progress: Progress) -> int:
    """Embed ahead as a cluster does, in this very process."""
    n_passages = 0
    store = Store.open(corpus.out) if corpus.takes_over else None
    for task in tasks_of(corpus, encoder, embedded, store):
        sent = Task.from_bytes(task.to_bytes())
        embedded.keep_encoded(sent.embed(encoder))
        n_passages += len(sent.passages)
    if store:
        store.close()
    return n_passages


def test_each_text_is_in_one_task(folder: Path, toy: ToyEncoder) -> None:
    corpus = corpus_of(folder)
    embedded = Embedded(corpus.out / EMBEDDED, toy.fingerprint)
    tasks = list(tasks_of(corpus, toy, embedded, None))
    sizes = [len(task.passages) + len(task.sentences) for task in tasks]
    assert sizes[:-1] == [TASK_TEXTS] * (len(tasks) - 1)
    assert len(tasks) > 2
    for kind in ("passages", "sentences"):
        counts = Counter(text for task in tasks for text in getattr(task, kind))
        assert set(counts.values()) == {1}
    assert sum("in all of them" in text for task in tasks for text in task.sentences) == 1
    assert sum(task.n_bytes for task in tasks) == sum(file.size for file in corpus.files)


def test_the_build_after_it_embeds_nothing_and_the_index_is_the_same(folder: Path) -> None:
    first, second = ToyEncoder(), ToyEncoder()
    plain = build(folder / "docs", folder / "plain", encoder=first)
    ahead = build(folder / "docs", folder / "index", encoder=second, ahead=in_process)
    assert (ahead.passages, ahead.embedded) == (plain.passages, plain.embedded)
    assert Counter(second.encoded) == Counter(first.encoded)  # the parallel texts of the balance are among them
    with Store.open(folder / "plain") as one, Store.open(folder / "index") as other:
        rows = range(one.n_rows)
        assert one.passages(rows) == other.passages(rows)
        assert np.array_equal(one.vectors()[np.array(rows)], other.vectors()[np.array(rows)])
        assert one.manifest.counts == other.manifest.counts
    assert not (folder / "index" / EMBEDDED).exists()


def test_only_what_is_not_known_becomes_a_task(folder: Path, toy: ToyEncoder) -> None:
    corpus = corpus_of(folder)
    embedded = Embedded(corpus.out / EMBEDDED, toy.fingerprint)
    tasks = list(tasks_of(corpus, toy, embedded, None))
    embedded.keep_encoded(tasks[1].embed(toy))
    after = Embedded(corpus.out / EMBEDDED, toy.fingerprint)  # as the next run has it
    left = list(tasks_of(corpus, toy, after, None))
    for kind in ("passages", "sentences"):
        expected = {text for task in tasks if task is not tasks[1] for text in getattr(task, kind)}
        assert {text for task in left for text in getattr(task, kind)} == expected


def test_what_the_index_holds_is_no_task_again(folder: Path, toy: ToyEncoder) -> None:
    build(folder / "docs", folder / "index", encoder=toy)
    (folder / "docs" / "new.txt").write_text("Something that nobody said before. And another sentence of it.")
    report = build(folder / "docs", folder / "index", encoder=toy, ahead=in_process)
    assert report.embedded == 1


def test_half_a_surrogate_pair_goes_through() -> None:
    task = Task(["half \ud83d of a pair", "లేఖ"], ["\udc00"], 7)
    assert Task.from_bytes(task.to_bytes()) == Task(task.passages, task.sentences)
