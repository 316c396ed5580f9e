"""A disk that is full at every moment of a writer's work: told, the old index as it was, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builds import ROOT, environment
from tests.faults import OPERATIONS


def run(*args: object) -> dict[str, int]:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.full_disk", *map(str, args)],
        capture_output=True,
        env=environment(OMP_NUM_THREADS="1"),
        cwd=ROOT,
        timeout=300,
        check=False,
        encoding="utf-8",
    )
    assert (result.returncode, result.stderr) == (0, "")
    told: dict[str, int] = json.loads(result.stdout)
    return told


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "collect"])
def test_no_room_for_a_file(operation: str, tmp_path: Path) -> None:
    told = run(operation, "file", tmp_path)
    assert told["full"] >= (4 if operation == "refit" else 10)
    assert told["full"] > 0.7 * told["cases"]


@pytest.mark.parametrize("operation", ["build", "update", "refit"])
def test_no_room_on_the_disk(operation: str, tmp_path: Path) -> None:
    # Where nothing may be mounted, files of such a size are refused in its place.
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tongues-test", str(disk)]
    is_mounted = os.name == "posix" and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        told = run(operation, "disk" if is_mounted else "file", disk)
    finally:
        if is_mounted:
            subprocess.run(["umount", str(disk)], check=True)
    assert told["full"] >= 8
