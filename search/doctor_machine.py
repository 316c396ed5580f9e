"""What ``tongues doctor`` finds of the machine and of what is installed."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from index.files import home
from index.version import __version__
from search.doctor import Finding, State
from search.doctor_imports import broken_of

NEEDED = [
    "charset-normalizer",
    "click",
    "faiss-cpu",
    "filelock",
    "numpy",
    "platformdirs",
    "py3langid",
    "regex",
    "safetensors",
    "scipy",
    "sentence-transformers",
    "sentencex",
    "tokenizers",
    "tqdm",
    "watchfiles",
]
"""What the package needs everywhere."""
EXTRAS = {
    "formats": ("lxml", "lxml-html-clean", "pypdfium2", "pysubs2", "python-docx", "python-pptx", "trafilatura"),
    "serve": ("fastapi", "prometheus-client", "uvicorn"),
    "client": ("httpx",),
    "mcp": ("mcp",),
    "parquet": ("pyarrow",),
    "milvus": ("milvus-lite", "pymilvus"),
    "ray": ("ray",),
    "notebooks": ("ipykernel", "matplotlib", "nbclient", "nbformat"),
}
"""What each extra brings, as pyproject.toml has it."""
_NETWORK = ("9p", "afs", "ceph", "cifs", "fuse.rclone", "fuse.sshfs", "glusterfs", "lustre", "nfs", "smb", "virtiofs")
_LEAST_MEMORY = 1_000_000_000
"""Bytes: a search takes a quarter of it, a build may take all of it."""


def look_at_machine(threads: int) -> Iterator[Finding]:
    """Yield what is found of the machine.

    Args:
        threads: As many as were asked for; 0 for all cores.
    """
    yield Finding(
        "machine", "manytongues", State.OK, f"{__version__}, Python {platform.python_version()} at {sys.prefix}"
    )
    yield Finding("machine", "system", State.OK, f"{platform.system()} {platform.release()} on {platform.machine()}")
    yield _cores(threads)
    yield _memory()
    yield from _home()


def _cores(threads: int) -> Finding:
    n_cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_cores
    share = cpu_share(Path("/sys/fs/cgroup/cpu.max"))
    limits = [f"this process may use {allowed}"] if allowed < n_cores else []
    limits += [f"its group may use {share:.1f} of their time"] if share is not None and share < allowed else []
    limits += [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS",) if os.environ.get(name)]
    limits += [f"--threads {threads}"] if 0 < threads < allowed else []
    if limits:
        remedy = "Builds take as much longer; lift the limit if it is not meant."
        return Finding("machine", "cores", State.WARN, f"{n_cores}, but {', '.join(limits)}", remedy)
    return Finding("machine", "cores", State.OK, str(n_cores))


def cpu_share(path: Path) -> float | None:
    """Return how many cores' time a control group may use, None without a limit. Source: Linux, cgroup-v2, cpu.max."""
    try:
        quota, period = path.read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        total, free = 1024 * kilobytes["MemTotal"], 1024 * kilobytes["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        names = getattr(os, "sysconf_names", {})
        if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= names.keys():
            return Finding("machine", "memory", State.OK, "not known")
        return Finding(
            "machine", "memory", State.OK, told_size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        )
    text = f"{told_size(total)}, {told_size(free)} of it free"
    if free < _LEAST_MEMORY:
        return Finding("machine", "memory", State.WARN, text, "Builds take about 1 GB: end other programs before one.")
    return Finding("machine", "memory", State.OK, text)


def _home() -> Iterator[Finding]:
    """Yield what is found of the folder for models."""
    folder = home()
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if _is_there(path))
    used = f"{folder}" + ("" if there == folder.absolute() else " (not there yet)")
    free = shutil.disk_usage(there).free
    text = f"{used}, {told_size(free)} free"
    if not os.access(there, os.W_OK):
        remedy = "No model can be prepared, nor what was typed be kept. Mend its rights, or set TONGUES_HOME."
        yield Finding("machine", "cache", State.WARN, f"{text}; it cannot be written", remedy)
    elif network := network_drive(there):
        remedy = "Set TONGUES_HOME to a folder on a disk of this machine: models are read at every start."
        yield Finding("machine", "cache", State.WARN, f"{text}; on a network drive ({network})", remedy)
    else:
        yield Finding("machine", "cache", State.OK, text)


def _is_there(path: Path) -> bool:
    """Tell whether a path is there; what nobody lets us look at is as good as not."""
    try:
        return path.exists()
    except OSError:
        return False


def network_drive(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the kind of network drive that a path is on; "" when it is on none, or that cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    at = path.absolute().resolve()
    depth, found = -1, ""
    for _, point, kind, *_ in (line.split(" ") for line in lines if line.count(" ") > 2):
        folder = Path(point.replace("\\040", " "))
        if at.is_relative_to(folder) and len(folder.parts) >= depth:  # of two at one place, the later one is seen
            depth, found = len(folder.parts), kind
    return found if found.startswith(_NETWORK) else ""


def look_at_libraries() -> Iterator[Finding]:
    """Yield what is found of the libraries that are needed, and of those that extras bring: are they whole?"""
    versions = {name: version_of(name) for name in (*NEEDED, *itertools.chain(*EXTRAS.values()))}
    broken = broken_of(tuple(name for name, version in versions.items() if version is not None))
    missing = [name for name in NEEDED if versions[name] is None]
    unfit = [name for name in NEEDED if name in broken]
    if missing or unfit:
        remedy = " ".join(["pip install", *(["--force-reinstall"] if unfit else []), *missing, *unfit])
        yield Finding("libraries", "needed", State.FAIL, _told_lacks(missing, unfit, broken), remedy)
    else:
        told = [f"{name} {versions[name]}" for name in ("faiss-cpu", "numpy", "sentence-transformers", "tokenizers")]
        yield Finding("libraries", "needed", State.OK, f"all {len(NEEDED)}: {', '.join(told)}, …")
    for extra, names in EXTRAS.items():
        install = f"pip install 'manytongues[{extra}]'"
        absent = [name for name in names if versions[name] is None]
        unfit = [name for name in names if name in broken]
        if len(absent) == len(names):
            yield Finding("libraries", extra, State.OK, f"not installed; if you want it: {install}")
        elif absent or unfit:
            remedy = f"pip install --upgrade --force-reinstall {' '.join(unfit)}" if unfit else install
            yield Finding("libraries", extra, State.WARN, _told_lacks(absent, unfit, broken), remedy)
        else:
            yield Finding("libraries", extra, State.OK, ", ".join(f"{name} {versions[name]}" for name in names))


def _told_lacks(missing: Sequence[str], unfit: Sequence[str], broken: Mapping[str, str]) -> str:
    """Say which libraries are not installed, and which cannot be imported and why."""
    told = [f"not installed: {', '.join(missing)}"] if missing else []
    told += [f"cannot be imported: {', '.join(f'{name} ({broken[name]})' for name in unfit)}"] if unfit else []
    return "; ".join(told)


def version_of(distribution: str) -> str | None:
    """Return the installed version of a distribution, None when there is none; imports nothing of it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def told_size(n_bytes: float) -> str:
    """Return a size for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes:.0f} bytes"


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what cannot be looked at counts as none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
