"""Writers that are killed at any moment: what was there stays or what is new is there, and nothing is done twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builds import ROOT, environment
from tests.faults import OPERATIONS

SEED = 1
N_STEPS, N_MOMENTS = 24, 12


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed(operation: str, tmp_path: Path) -> None:
    # One thread each, so that nothing but the process itself has to go on after it forks.
    numbers = (SEED, N_STEPS, N_MOMENTS)
    args = [sys.executable, "-W", "error", "-m", "tests.killed", operation, *map(str, numbers), str(tmp_path)]
    result = subprocess.run(
        args,
        capture_output=True,
        env=environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        cwd=ROOT,
        timeout=300,
        check=False,
        encoding="utf-8",
    )
    assert (result.returncode, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told["cases"] == N_STEPS + N_MOMENTS
    assert told["killed"] >= N_STEPS + N_MOMENTS // 2  # a moment may come after the end
    assert told["steps"] > N_STEPS
