"""A call beside its caller: what comes back of it, and when."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from index.background import Background
from tests.builds import ROOT, environment


@pytest.mark.parametrize("value", [3, None, (), (1, 2), ValueError("returned, not raised")])
def test_the_result_is_what_the_call_returned(value: object) -> None:
    call = Background(lambda: value)
    assert call.result() is value
    assert call.result() is value  # as often as it is asked for


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration, MemoryError])
def test_whatever_is_raised_comes_out_unchanged(kind: type[BaseException]) -> None:
    error = kind("why")

    def fail() -> None:
        raise error

    call = Background(fail)
    assert call.wait(60)  # waiting alone raises nothing
    for _ in range(2):
        with pytest.raises(kind) as raised:
            call.result()
        assert raised.value is error
    assert any(entry.name == "fail" for entry in raised.traceback)  # where it went wrong


def test_it_runs_beside_its_caller_in_another_thread() -> None:
    go_on = threading.Event()

    def work() -> int:
        assert go_on.wait(60)
        return threading.get_ident()

    call = Background(work)
    assert not call.wait(0)
    assert not call.wait(0.02)
    go_on.set()
    assert call.wait()
    assert call.wait(0)
    assert call.result() != threading.get_ident()


def test_the_result_is_waited_for() -> None:
    began = time.monotonic()

    def work() -> float:
        time.sleep(0.2)
        return time.monotonic()

    assert Background(work).result() - began >= 0.2


@pytest.mark.parametrize("n", [1, 20])
def test_each_call_has_its_own_result(n: int) -> None:
    def returning(i: int) -> Callable[[], int]:
        return lambda: i

    calls = [Background(returning(i)) for i in range(n)]
    assert [call.result() for call in calls] == list(range(n))


def test_a_call_that_never_ends_does_not_keep_the_program_from_ending() -> None:
    code = "import threading; from index.background import Background; Background(threading.Event().wait); print('end')"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    assert (result.stdout.split(), result.stderr) == ([b"end"], b"")
