"""How fast things are here and now, as ``tongues doctor`` measures it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.encoder import Encoder
from index.errors import TonguesError
from index.kinds import PQ_FROM, VectorIndexKind
from index.manifest import Manifest
from search.doctor import Finding, State
from search.doctor_model import SAME

if TYPE_CHECKING:
    from search.searcher import Searcher

_SLOW_START = 1.0
_SLOW_OPEN = 3.0
_SLOW_SEARCH = 0.3
"""Seconds above which a time is told as slow: ten times what is usual on two cores."""


def measure_start() -> Iterator[Finding]:
    """Yield how long the program takes to begin, in a process of its own."""
    began = time.perf_counter()
    try:
        started = subprocess.run(
            [sys.executable, "-B", "-c", "import search.cli"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
        )
        problem = "" if started.returncode == 0 else f"ended with status {started.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    seconds = time.perf_counter() - began
    if problem:
        remedy = "Install manytongues again."
        yield Finding("speed", "start", State.FAIL, f"python cannot import it ({problem})", remedy)
    elif seconds > _SLOW_START:
        remedy = "Python's files may be on a slow disk or watched by another program, or the cores be busy."
        yield Finding("speed", "start", State.WARN, f"{seconds:.2f} s", remedy)
    else:
        yield Finding("speed", "start", State.OK, f"{seconds:.2f} s")


def measure_index(directory: str, manifest: Manifest, encoder: Encoder) -> Iterator[Finding]:
    """Yield how long an index takes to open and to be asked."""
    from search.searcher import Searcher

    began = time.perf_counter()
    try:
        with Searcher.open(directory, encoder=encoder) as searcher:
            opened = time.perf_counter() - began
            times = [_ask(searcher, SAME[number % 2]) for number in range(6)]
    except TonguesError as error:
        yield Finding("speed", "search", State.FAIL, str(error))
        return
    text = f"opened in {opened:.2f} s"
    if opened > _SLOW_OPEN:
        yield Finding("speed", "index opened", State.WARN, text, "Its disk may be slow, or memory short.")
    else:
        yield Finding("speed", "index opened", State.OK, text)
    warm = sorted(times[1:])[2]
    spoken = f"question to hits: first {1000 * times[0]:.0f} ms, then {1000 * warm:.1f} ms"
    if warm > _SLOW_SEARCH:
        yield Finding("speed", "search", State.WARN, spoken, _why_slow(manifest))
    else:
        yield Finding("speed", "search", State.OK, spoken)


def _ask(searcher: Searcher, question: str) -> float:
    """Return how many seconds a search takes."""
    began = time.perf_counter()
    searcher.search(question)
    return time.perf_counter() - began


def _why_slow(manifest: Manifest) -> str:
    """Return what most likely makes a search slow, and what to do."""
    rows = max(segment.rows for segment in manifest.segments)
    if manifest.store:
        return "Milvus answers more slowly than files on this machine do; build without --store for those."
    if manifest.kind == VectorIndexKind.FLAT and rows >= PQ_FROM:
        return f"All of {rows:,} vectors are compared: build it with --kind auto."
    if len(manifest.segments) > 1:
        return f"{len(manifest.segments)} segments are searched one by one: build it again to have one."
    return (
        "Other programs may keep the cores or the disk busy, or memory be short: run this again when they have ended."
    )
