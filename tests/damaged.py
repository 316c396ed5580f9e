"""Damages an index in ways read from standard input, and tells how each was answered.

Run by python -m tests.damaged KIND FOLDER. One process does many cases, so that one which ends it, or holds it up, is
seen by whoever started it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from index import derived
from index.errors import IndexFormatError, StoreError, TonguesError
from index.kinds import VectorIndexKind
from index.layout import CURRENT, GENERATIONS, MANIFEST
from index.manifest import read_manifest
from index.repairer import repair
from index.store import current_generation
from index.verifier import verify
from tests.faults import (
    DIM,
    FIRST,
    assert_true_to,
    build_all,
    copy_index,
    do_not_wait_for_the_disk,
    hits,
    texts_of,
    update_all,
    write_corpus,
)
from tests.toys import ToyEncoder

CHANGED = {**FIRST, "ash": {0: 1, 1: 1, 2: 2, 3: 1}}
LONGEST_SECONDS = 60
"""What a case may take: some hundred times what it does."""
MOST_HITS = 200
"""More than there are passages, so that each is read."""


class Damager:
    """Holds a sound index of two segments and its hits."""

    def __init__(self, kind: VectorIndexKind, folder: Path) -> None:
        vars(derived)["suited_kind"] = lambda *_: kind
        self.folder, self.sound, self.corpus = folder, folder / "sound", folder / "corpus"
        for build_or_update, versions in ((build_all, FIRST), (update_all, CHANGED)):
            write_corpus(self.corpus, versions)
            build_or_update(self.sound, self.corpus, ToyEncoder(dim=DIM))
        self.generation = current_generation(self.sound).name
        manifest = read_manifest(current_generation(self.sound))
        assert [segment.kind for segment in manifest.segments] == [kind, kind]
        assert manifest.dead
        assert all(segment.sentences for segment in manifest.segments)
        self.names = [CURRENT, *(f"{GENERATIONS}/{self.generation}/{name}" for name in (MANIFEST, *manifest.files))]
        self.hits = hits(self.sound, MOST_HITS)
        self.texts = texts_of(FIRST, CHANGED)
        assert {hit["passage_id"] for hit in self.hits if hit["lexical"] == 0}
        assert len({hit["passage_id"] for hit in self.hits}) == manifest.counts.passages
        assert_true_to(self.hits, self.texts)

    def case(self, name: str, way: str, at: float, content: str, other: str) -> dict[str, Any]:
        """Damage a file and see what opening, verifying and repairing make of it.

        Args:
            name: The file, below the index directory.
            way: What is done to it.
            at: Where, as a part of its size.
            content: The bytes that are written, in hexadecimal.
            other: The file that it changes places with.

        Returns:
            How it was answered.
        """
        out = self.folder / "index"
        shutil.rmtree(out, ignore_errors=True)
        copy_index(self.sound, out)
        before = (out / name).read_bytes()
        damage(out / name, way, at, bytes.fromhex(content), out / other)
        if (out / name).exists() and (out / name).read_bytes() == before:
            return {"answer": "the same"}
        answer = self.use(out)
        is_seen = self.verify(out, {name, other} if way == "swapped" else {name})
        return {"answer": answer, "repair": self.repair(out) if is_seen else "nothing to do"}

    def use(self, out: Path) -> str:
        """Open and ask an index."""
        try:
            found = hits(out, MOST_HITS)
        except TonguesError as error:
            said, name = str(error), type(error).__name__
        else:
            assert_true_to(found, self.texts)
            return "right" if found == self.hits else "other passages"
        assert "\n" not in said
        assert str(out) in said
        return name

    def verify(self, out: Path, names: set[str]) -> bool:
        """Verify an index with damaged files; returns whether one was found, as it must be."""
        try:
            problems = verify(out)
        except IndexFormatError:
            assert f"{GENERATIONS}/{self.generation}/{MANIFEST}" in names  # which tells the version
            return True
        if not problems:
            assert names == {CURRENT}
            assert current_generation(out).is_dir()  # it names a generation that is whole
            return False
        assert any(name in problem for name in names for problem in problems), problems
        return True

    def repair(self, out: Path) -> str:
        """Repair an index; what it says must be so."""
        try:
            report = repair(out, encoder=ToyEncoder(dim=DIM))
        except StoreError as error:
            said, name = str(error), type(error).__name__
            assert "again" in said
            return name
        assert verify(out) == []
        found = hits(out, MOST_HITS)
        assert_true_to(found, self.texts)
        if report.lost:
            return "lost"
        if any("lexical" in one for one in report.mended):  # whose words are those of rows that are there
            assert rounded(found) == rounded(self.hits), report
            return "mended, words nearly"
        assert found == self.hits, report
        return "mended"


def rounded(found: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """Return hits in no order, without what words give to their scores."""
    names = ("query", "source", "doc_id", "start", "end", "text", "passage_id", "lang", "metadata")
    return sorted(tuple(str(hit[name]) for name in names) for hit in found)


def damage(path: Path, way: str, at: float, content: bytes, other: Path) -> None:
    """Damage a file, where it lies: whatever shares it is damaged too."""
    size = path.stat().st_size
    place = min(int(at * size), max(size - 1, 0))
    if way == "removed":
        path.unlink()
    elif way == "cut":
        os.truncate(path, place)
    elif way == "swapped":
        aside = path.with_name("aside")
        path.rename(aside)
        if other != path:
            other.rename(path)
        aside.rename(other)
    else:
        with path.open("r+b") as file:
            if way == "extended":
                file.seek(size)
                file.write(content)
            else:
                file.seek(place)
                old = file.read(1)
                file.seek(place)
                file.write(content[: size - place] if way == "overwritten" else flipped(old, content[0]))


def flipped(old: bytes, which: int) -> bytes:
    return bytes([byte ^ 1 << which % 8 for byte in old])


def main() -> None:
    do_not_wait_for_the_disk()
    damager = Damager(VectorIndexKind(sys.argv[1]), Path(sys.argv[2]))
    say = functools.partial(print, flush=True)
    say(json.dumps(damager.names))
    for line in sys.stdin:
        signal.alarm(LONGEST_SECONDS)
        try:
            answer = damager.case(**json.loads(line))
        except Exception:
            answer = {"wrong": traceback.format_exc()}
        signal.alarm(0)
        say(json.dumps(answer))


if __name__ == "__main__":
    main()
