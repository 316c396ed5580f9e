"""Kills an operation on an index again and again: python -m tests.killed OPERATION SEED N_STEPS N_MOMENTS FOLDER.

A process that has loaded everything forks for each run, so that a run costs what the operation costs. It is killed at
a step, which is any call that makes, renames, links or removes a file, or after a time. Then the index is looked at,
and the operation run again to its end; every fifth time that is killed first, too.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from index import pipeline
from index.builder import build
from index.errors import IndexDamagedError, NoIndexError
from index.layout import CURRENT
from index.verifier import verify
from tests.faults import (
    DIM,
    FIRST,
    OPERATIONS,
    SECOND,
    SETTINGS,
    NotingEncoder,
    assert_true_to,
    build_all,
    contents,
    copy_index,
    do_not_wait_for_the_disk,
    is_kept,
    kept_keys,
    leftovers,
    noted,
    prepare,
    texts_of,
    write_corpus,
)
from tests.toys import ToyEncoder

STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "sqlite3.connect", "fcntl.flock"}
"""What Python tells its auditors of; files opened for writing besides."""


def is_step(event: str, args: tuple[Any, ...]) -> bool:
    return event in STEPS or (
        event == "open" and isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
    )


def die_at(step: int | None) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an auditor that ends the process just before a step, counted from 0; before none for None."""
    count = itertools.count()

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if is_step(event, args) and next(count) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return audit


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a run is killed: just before a step, or after some seconds."""

    step: int | None = None
    seconds: float | None = None


class Killer:
    """Runs one operation."""

    def __init__(self, operation: str, folder: Path) -> None:
        self.corpus, self.template = folder / "corpus", folder / "template"
        self.folder = folder
        self.run = OPERATIONS[operation]
        write_corpus(self.corpus, FIRST)
        build_all(folder / "warm", self.corpus, ToyEncoder(dim=DIM))  # nothing is loaded later
        self.operation = operation
        prepare(operation, self.template, self.corpus)
        self.before = self.state(self.template)
        self.problems = verify(self.template) if self.template.exists() else []
        out, notes = self.fresh()
        self.steps: list[str] = []
        self.seconds = self.record(out, notes)
        self.after = self.state(out)
        self.embedded = noted(notes)
        self.check_whole(out)

    def state(self, out: Path) -> dict[str, Any] | None:
        """Return what an index holds; None when there is none, or it is the damaged one that is to be repaired."""
        try:
            if self.operation == "repair" and verify(out):
                return None
            return contents(out)
        except NoIndexError:
            return None
        except IndexDamagedError as error:
            # Killed just before it switched to the first generation of all: complete, and not yet the current one.
            said = str(error)
        assert self.operation == "build"
        assert f"{CURRENT}: missing" in said
        return None

    def fresh(self) -> tuple[Path, Path]:
        """Return a fresh copy of what the operation begins with, and where embedded texts are to be noted."""
        out, notes = self.folder / "index", self.folder / "notes"
        shutil.rmtree(out, ignore_errors=True)
        notes.unlink(missing_ok=True)
        if self.template.exists():
            copy_index(self.template, out)
        return out, notes

    def record(self, out: Path, notes: Path) -> float:
        """Run the operation in a process that is not killed; returns how long it took, and sets its steps."""
        listed = self.folder / "steps"

        def list_steps() -> None:
            file = os.open(listed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

            def audit(event: str, args: tuple[Any, ...]) -> None:
                if is_step(event, args):
                    os.write(file, f"{event} {args[0]}\n".encode())

            sys.addaudithook(audit)

        began = time.monotonic()
        status = self.fork(out, notes, list_steps)
        assert status == 0, status
        self.steps = listed.read_text("utf-8").splitlines()
        return time.monotonic() - began

    def fork(
        self, out: Path, notes: Path, first: Callable[[], None] = lambda: None, seconds: float | None = None
    ) -> int:
        """Run the operation in a process of its own; returns the status that it ended with."""
        child = os.fork()
        if child == 0:
            try:
                encoder = NotingEncoder(notes)
                first()
                self.run(out, self.corpus, encoder)
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def killed(self, out: Path, notes: Path, kill: Kill) -> bool:
        """Run the operation and kill it; returns whether it was killed before its end."""
        status = self.fork(out, notes, lambda: sys.addaudithook(die_at(kill.step)), kill.seconds)
        assert status in (0, -signal.SIGKILL), status
        return status != 0

    def check_killed(self, out: Path) -> bool:
        """Check an index whose writer was killed; returns whether the new generation is the current one."""
        state = self.state(out)
        if state is not None:
            assert verify(out) == []
        elif out.exists() and self.problems:
            assert verify(out) == [problem.replace(str(self.template), str(out)) for problem in self.problems]
        assert state in (self.before, self.after), "neither the old nor the new generation"
        return state == self.after

    def check_whole(self, out: Path) -> None:
        """Check that an index holds what its files hold, as one built afresh does."""
        assert verify(out) == []
        state = contents(out)
        build([self.corpus], self.folder / "afresh", settings=SETTINGS, encoder=ToyEncoder(dim=DIM))
        afresh = contents(self.folder / "afresh")
        for name in ("passages", "files", "rejected"):
            assert state[name] == afresh[name], name
        assert len(state["hits"]) > 60
        assert_true_to(state["hits"], texts_of(FIRST, SECOND, {"oak": {1: 1}}))

    def case(self, kills: list[Kill]) -> int:
        """Kill the operation, look at the index, and run it to its end; returns how often it was killed."""
        out, notes = self.fresh()
        n_killed, is_new = 0, False
        for kill in kills:
            kept = kept_keys(out)
            notes.unlink(missing_ok=True)
            n_killed += self.killed(out, notes, kill)
            assert not any(is_kept(text, kept) for text in noted(notes)), "embedded again by a killed run"
            is_new = self.check_killed(out)
        kept = kept_keys(out)
        notes.unlink(missing_ok=True)
        encoder = NotingEncoder(notes)
        self.run(out, self.corpus, encoder)
        encoder.close()
        wanted = set() if is_new else {text for text in self.embedded if not is_kept(text, kept)}
        assert noted(notes) == wanted, "embedded again, or not at all"
        assert verify(out) == []
        assert contents(out) == self.after
        if not is_new:
            assert leftovers(out) == [], leftovers(out)
        return n_killed


def choose(steps: list[str], n: int, chance: random.Random) -> list[int]:
    """Return ``n`` steps: all that give a name to what was complete, and others by chance."""
    sure = [i for i, step in enumerate(steps) if step.startswith("os.rename") and "/embedded" not in step][:n]
    others = [i for i in range(len(steps)) if i not in sure]
    return sorted(sure + chance.sample(others, min(len(others), n - len(sure))))


def main() -> None:
    operation, seed, n_steps, n_moments, folder = sys.argv[1:]
    chance = random.Random(f"{operation} {seed}")
    pipeline.BATCH_PASSAGES = 8
    do_not_wait_for_the_disk()
    killer = Killer(operation, Path(folder))
    kills = [Kill(step=step) for step in choose(killer.steps, int(n_steps), chance)]
    kills += [Kill(seconds=chance.uniform(0, killer.seconds)) for _ in range(int(n_moments))]
    n_killed = 0
    for i, kill in enumerate(kills):
        again = [Kill(step=chance.randrange(len(killer.steps)))] if i % 5 == 4 else []
        try:
            n_killed += killer.case([kill, *again])
        except BaseException:
            print(f"{operation}, seed {seed}, {kill}, then {again}", file=sys.stderr)
            if kill.step is not None:
                print("\n".join(killer.steps[max(0, kill.step - 3) : kill.step + 1]), file=sys.stderr)
            raise
    print(json.dumps({"cases": len(kills), "killed": n_killed, "steps": len(killer.steps), "s": killer.seconds}))


if __name__ == "__main__":
    main()
