"""Small indexes for tests, and how to run a program as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from index.builder import BuildReport, build_documents
from index.encoder import Encoder
from index.records import Document
from tests.toys import ToyEncoder

ROOT = Path(__file__).parents[1]


def documents(*texts: str, lang: str = "en") -> list[Document]:
    """Make one document of each text, named d1, d2, ..."""
    return [Document(f"d{i}", f"{i}.txt", text, lang=lang) for i, text in enumerate(texts, 1)]


def make_index(out: Path, made: Iterable[Document], encoder: Encoder | None = None) -> BuildReport:
    """Build an index of documents with the toy encoder."""
    return build_documents(made, out, encoder=encoder or ToyEncoder())


def command(*args: str) -> list[str]:
    """Return what runs ``tongues`` in a process of its own."""
    return [sys.executable, "-c", "from search.cli import run; run()", *args]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with the project importable and text as UTF-8."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "", "PYTHONDONTWRITEBYTECODE": "1", **changes}


def run(args: Sequence[str], *, stdin: str | bytes = b"", cwd: Path = ROOT) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, giving it standard input."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    return subprocess.run(args, input=given, capture_output=True, env=environment(), cwd=cwd, timeout=300, check=False)
