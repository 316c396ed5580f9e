"""Runs an operation on an index with too little room, again and again: python -m tests.full_disk OPERATION HOW FOLDER.

HOW is "file", where no file may be longer than this or that, or "disk", where FOLDER is a small disk of its own that is
filled up to this or that.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

from index import pipeline
from index.errors import NoIndexError, StoreError
from index.verifier import verify
from tests.faults import (
    DIM,
    OPERATIONS,
    NotingEncoder,
    contents,
    copy_index,
    do_not_wait_for_the_disk,
    is_kept,
    kept_keys,
    leftovers,
    noted,
    prepare,
)
from tests.toys import ToyEncoder

N_SIZES = 14
PAGE = 4096
"""What files on such a disk take a multiple of."""
REASONS = ("the disk is full", "disk is full)", "disk I/O error", "allows no file of this size")
"""The second and third are SQLite's."""


class FullDisk:
    """Runs one operation."""

    def __init__(self, operation: str, folder: Path) -> None:
        self.folder, self.run = folder, OPERATIONS[operation]
        self.corpus, self.template = folder / "corpus", folder / "template"
        prepare(operation, self.template, self.corpus)
        self.problems = verify(self.template) if self.template.exists() else []
        self.before = self.state(self.template)
        self.out, self.notes = folder / "index", folder / "notes"
        self.fresh()
        old = {path.stat().st_ino for path in self.out.rglob("*")}
        encoder = NotingEncoder(self.notes)
        self.run(self.out, self.corpus, encoder)
        encoder.close()
        self.embedded = noted(self.notes)
        self.after = contents(self.out)
        paths = [path for path in self.out.rglob("*") if path.is_file() and path.stat().st_ino not in old]
        self.sizes = sorted({path.stat().st_size for path in paths})
        self.taken = sum(-(-path.stat().st_size // PAGE) * PAGE for path in paths)

    def fresh(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self.notes.unlink(missing_ok=True)
        if self.template.exists():
            copy_index(self.template, self.out)

    def state(self, out: Path) -> dict[str, Any] | None:
        try:
            return contents(out) if not self.problems else None
        except NoIndexError:
            return None

    def attempt(self) -> bool:
        """Run the operation; returns whether there was too little room."""
        try:
            self.run(self.out, self.corpus, ToyEncoder(dim=DIM))
        except StoreError as error:
            said = str(error)
        else:
            return False
        assert any(reason in said for reason in REASONS), said
        assert "\n" not in said
        assert str(self.folder) in said
        return True

    def check(self) -> None:
        """Check that the old index is as it was, then run the operation with room."""
        if self.problems:
            problems = [problem.replace(str(self.template), str(self.out)) for problem in self.problems]
            assert verify(self.out) == problems
        elif self.before:
            assert verify(self.out) == []
            assert contents(self.out) == self.before
        else:
            assert self.state(self.out) is None
        kept = kept_keys(self.out)
        encoder = NotingEncoder(self.notes)
        self.run(self.out, self.corpus, encoder)
        encoder.close()
        assert noted(self.notes) == {text for text in self.embedded if not is_kept(text, kept)}
        assert verify(self.out) == []
        assert contents(self.out) == self.after
        assert leftovers(self.out) == []

    def case(self, how: str, room: int) -> bool:
        """Run the operation with so many bytes of room, for each file or in all; returns whether it was too little."""
        self.fresh()
        ballast = self.folder / "ballast"
        if how == "file":
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        else:
            ballast.write_bytes(bytes(max(0, shutil.disk_usage(self.folder).free - room)))
        try:
            is_full = self.attempt()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            ballast.unlink(missing_ok=True)
        if is_full:
            self.check()
        else:
            assert verify(self.out) == []
            assert contents(self.out) == self.after
        return is_full


def main() -> None:
    operation, how, folder = sys.argv[1:]
    pipeline.BATCH_PASSAGES = 8
    do_not_wait_for_the_disk()
    disk = FullDisk(operation, Path(folder))
    if how == "file":  # a byte too little for each file that is written, and for a header
        rooms = sorted({0, 100, *(size - 1 for size in disk.sizes)})
    else:
        rooms = [disk.taken * i // N_SIZES for i in range(N_SIZES + 1)]
    n_full = 0
    for room in rooms:
        try:
            n_full += disk.case(how, room)
        except BaseException:
            print(f"{operation}, {room} bytes of room", file=sys.stderr)
            raise
    print(json.dumps({"cases": len(rooms), "full": n_full}))


if __name__ == "__main__":
    main()
