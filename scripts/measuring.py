"""What the benchmarks share: the machine they ran on, processes with their memory, medians. For Linux."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from index.version import __version__

LIBRARIES = ("torch", "sentence-transformers", "openvino", "nncf", "tokenizers", "faiss-cpu", "numpy")


def machine(threads: int) -> dict[str, Any]:
    """Return what a reader must know to compare figures: versions, commit, processor, threads, day."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "version": __version__,
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def run(args: Sequence[str], **environment: str) -> tuple[float, float]:
    """Run a program to its end; returns its wall-clock seconds and the most memory it held, in MB.

    Raises:
        subprocess.CalledProcessError: When it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(args))
    return seconds, usage.ru_maxrss / 1000


def summary(values: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """Return the median of a figure with all its values."""
    return {"median": round(statistics.median(values), digits), "values": [round(value, digits) for value in values]}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def write_results(path: Path, record: dict[str, Any]) -> None:
    """Write a benchmark's raw figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
