"""A call that runs beside its caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A call that runs in a thread of its own, which does not keep the program from ending."""

    def __init__(self, work: Callable[[], T]) -> None:
        """Begin."""
        self._work = work
        self._outcome: tuple[T] | BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = (self._work(),)
        except BaseException as error:  # whatever it is, the caller gets it
            self._outcome = error

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the call to end, no longer than this if it is given; returns whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the call; return what it returned or raise what it raised."""
        self._thread.join()
        if isinstance(self._outcome, tuple):
            return self._outcome[0]
        raise self._outcome or AssertionError("unreachable")
