"""What tests of faults share: a corpus in files, an encoder that notes what it embeds, and all that an index holds."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from index.builder import build
from index.config import BuildSettings, ChunkSettings
from index.embedded import PASSAGE, SENTENCE, text_key
from index.layout import CURRENT, EMBEDDED, GENERATIONS
from index.parallel import PARALLEL_TEXT
from index.progress import SILENT, Progress
from index.refit import refit
from index.repairer import repair
from index.store import Store
from index.updater import update
from index.verifier import verify
from search.rank_settings import Mode, RankSettings
from search.searcher import Searcher
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

SETTINGS = BuildSettings(chunking=ChunkSettings(max_tokens=60))
"""Passages of three sentences."""
QUERIES = ("apples of the second orchard", "kriaušės trečiame sode", "rain number eleven")
DIM = 64


class NotingEncoder(ToyEncoder):
    """Appends every text it embeds to a file, a call at a time, before it embeds them."""

    def __init__(self, notes: Path | None = None) -> None:
        super().__init__(dim=DIM)
        self._file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if notes else None

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        if self._file is not None:
            os.write(self._file, (json.dumps(list(texts)) + "\n").encode())
        return super().encode_passages(texts, progress)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def noted(notes: Path) -> set[str]:
    """Return the texts noted, but for the project's own that languages are compared by."""
    text = notes.read_text("utf-8", "replace") if notes.exists() else ""
    lines = text.split("\n")[:-1]  # a process may be killed while it notes
    return {text for line in lines for text in json.loads(line)} - _parallel_texts()


@functools.cache
def _parallel_texts() -> set[str]:
    lines = PARALLEL_TEXT.read_text("utf-8").splitlines()
    return {text for line in lines for text in json.loads(line).values()}


def text_of(name: str, number: int, version: int = 1) -> str:
    """Return a text of three passages, its sentences found nowhere else."""
    if number % 3 == 0:
        said = "Metai {n} atnešė obuolius ir kriaušes į {name} sodą, versija {v}, eilė {i} iš visų."
    else:
        said = "The year {n} brought apples and some rain to orchard {name} in version {v}, row {i} of it all."
    return " ".join(said.format(n=number, name=name, v=version, i=i) for i in range(9))


def write_corpus(folder: Path, files: dict[str, dict[int, int]]) -> None:
    """Write files of records, and remove others: names of files, each with versions of its documents by number."""
    folder.mkdir(exist_ok=True)
    for name, versions in files.items():
        records = [
            {"id": str(n), "text": text_of(name, n, version), "lang": "en" if n % 3 else "lt", "title": f"Row {n}"}
            for n, version in versions.items()
        ]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    for path in folder.iterdir():
        if path.stem not in files:
            path.unlink()


FIRST = {name: dict.fromkeys(range(4), 1) for name in ("ash", "beech", "cedar", "elm")}
"""What indexes are built of at first."""
SECOND = {"ash": {0: 1, 1: 1, 2: 2, 3: 1}, "beech": {0: 1, 2: 1, 3: 1, 7: 1}, "cedar": FIRST["cedar"], "fir": {5: 1}}
"""Two documents changed or gone in their files, a file gone, a new file and a new record."""


def texts_of(*versions: dict[str, dict[int, int]]) -> set[tuple[str, str, str]]:
    """Return file, document id and text of all documents of some states of the corpus."""
    return {
        (f"{name}.jsonl", str(n), text_of(name, n, version))
        for files in versions
        for name, documents in files.items()
        for n, version in documents.items()
    }


def contents(out: Path) -> dict[str, Any]:
    """Return all that an index holds and answers, in a form that can be compared.

    Left out are times, the file system's own words for files, and where in the database things lie.
    """
    with Store.open(out) as store:
        alive = store.alive()
        rows = list(range(store.n_rows)) if alive is None else np.flatnonzero(alive).tolist()
        vectors, of_store = store.vectors(), store.sentences()
        assert of_store is not None
        spans, starts, stored = of_store.stored(np.array(rows, np.int64))
        manifest = store.manifest
        passages = []
        for i, (row, passage) in enumerate(zip(rows, store.passages(rows), strict=True)):
            own = slice(int(starts[i]), int(starts[i + 1]))
            passages.append(
                {
                    "text": (passage.lang, passage.context, passage.text),
                    "places": [(o.source, o.doc_id, o.title, o.start, o.end) for o in passage.occurrences],
                    "vector": hashlib.sha256(np.asarray(vectors[np.array([row])]).tobytes()).hexdigest(),
                    "sentences": (spans[own].tolist(), hashlib.sha256(stored[own].tobytes()).hexdigest()),
                }
            )
        found = {
            "passages": sorted(passages, key=repr),
            "files": sorted((file.source, file.sha256) for file in store.documents.files()),
            "rejected": store.rejected(),
            "counts": (manifest.counts, manifest.dead, [(one.rows, one.kind) for one in manifest.segments]),
            "offsets": hashlib.sha256(np.asarray(store.offsets()).tobytes()).hexdigest(),
        }
    return {**found, "hits": hits(out)}


def hits(out: Path, k: int = 8) -> list[dict[str, Any]]:
    """Return the hits of all queries in all modes, without offsets of the best sentence."""
    with Searcher.open(out, encoder=ToyEncoder(dim=DIM)) as searcher:
        return [
            {key: value for key, value in hit.to_dict().items() if key != "highlight"}
            for mode in Mode
            for of_query in searcher.search_batch(QUERIES, k, settings=RankSettings(mode=mode))
            for hit in of_query
        ]


def assert_true_to(found: list[dict[str, Any]], corpus: set[tuple[str, str, str]]) -> None:
    """Check that every hit is a span of the document it names."""
    for hit in found:
        texts = {text for name, doc_id, text in corpus if (name, doc_id) == (Path(hit["source"]).name, hit["doc_id"])}
        spans = {text[hit["start"] : hit["end"]] for text in texts}
        assert hit["text"] in spans, f"{hit['source']} {hit['doc_id']} does not hold {hit['text']!r}"


def kept_keys(out: Path) -> set[bytes]:
    """Return the keys of the texts in finished batches; each of their files must be whole."""
    keys: set[bytes] = set()
    for path in (out / EMBEDDED).rglob("*.npz"):
        with np.load(path) as file:
            for name in ("passage_keys", "sentence_keys"):
                keys.update(row.tobytes() for row in file[name])
    return keys


def is_kept(text: str, keys: set[bytes]) -> bool:
    """Tell whether a text is in finished batches. No passage of this corpus is a single sentence."""
    return text_key(PASSAGE, text) in keys or text_key(SENTENCE, text) in keys


def copy_index(source: Path, target: Path) -> None:
    """Copy an index directory; files that are one stay one."""
    first: dict[int, Path] = {}
    for folder, _, names in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir()
        for name in names:
            path, number = Path(folder, name), Path(folder, name).stat().st_ino
            if number in first:
                (there / name).hardlink_to(first[number])
            else:
                shutil.copyfile(path, there / name)
                first[number] = there / name


def leftovers(out: Path) -> list[str]:
    """Return the names of what no index should hold after a writer has ended."""
    generations = sorted(path.name for path in (out / GENERATIONS).iterdir())
    strange = [name for name in generations if not name.startswith("g")] + generations[:-2]
    return strange + [path.name for path in out.iterdir() if path.name not in (CURRENT, GENERATIONS, ".lock")]


def do_not_wait_for_the_disk() -> None:
    """Let nothing wait for the disk in this process.

    What a process has written is there when it is killed; only the power going would lose it.
    """
    os.fsync = lambda fd: None


def build_all(out: Path, corpus: Path, encoder: ToyEncoder) -> None:
    build([corpus], out, settings=SETTINGS, encoder=encoder)


def update_all(out: Path, corpus: Path, encoder: ToyEncoder) -> None:
    update(out, encoder=encoder)


def refit_all(out: Path, corpus: Path, encoder: ToyEncoder) -> None:
    refit(out, encoder, parallel="")


def repair_all(out: Path, corpus: Path, encoder: ToyEncoder) -> None:
    repair(out, encoder=encoder)


OPERATIONS: dict[str, Callable[[Path, Path, ToyEncoder], None]] = {
    "build": build_all,
    "build-over": build_all,
    "update": update_all,
    "collect": update_all,
    "refit": refit_all,
    "repair": repair_all,
}


def spoil(path: Path, at: float = 0.5) -> None:
    """Flip bits of a file in place, so wherever it is shared."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(int(size * at))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x55]))


def prepare(operation: str, out: Path, corpus: Path) -> None:
    """Make what an operation begins with: files, and an index unless it makes the first."""
    write_corpus(corpus, FIRST)
    encoder = ToyEncoder(dim=DIM)
    if operation != "build":
        build_all(out, corpus, encoder)
    if operation == "collect":
        readers = []
        for i in range(4):
            readers.append(Store.open(out))
            write_corpus(corpus, {**FIRST, "oak": {i: 1}})
            update_all(out, corpus, encoder)
        for reader in readers:
            reader.close()
    if operation in ("refit", "repair"):
        write_corpus(corpus, {**FIRST, "elm": {1: 1, 2: 1, 3: 1}, "oak": {1: 1}})
        update_all(out, corpus, encoder)
    if operation in ("build-over", "update", "collect"):
        write_corpus(corpus, SECOND)
    if operation == "repair":
        with Store.open(out) as store:
            names = list(store.manifest.files)
            folder = store.folder
        for name in names:
            if name.endswith(("vectors.npy", "langs.npy", "sentences.npy", "lexical-rows.npy", "dead.npy")):
                spoil(folder / name)
        assert len(verify(out)) >= 5
