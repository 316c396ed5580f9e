"""Work beside the caller's: one call, or the next items of an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1
"""How long a thread may go on unasked after nobody wants its items any more."""


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

    def result(self) -> T:
        """Wait for the call; return what it returned or raise what it raised."""
        self._thread.join()
        if isinstance(self._outcome, tuple):
            return self._outcome[0]
        raise self._outcome or AssertionError("unreachable")


def prefetch(items: Iterable[T], n_ahead: int) -> Iterator[T]:
    """Yield items in order, the next ones made meanwhile in a thread; what making them raises is raised in its turn.

    Args:
        items: Read in the thread, and no further once the caller stops.
        n_ahead: The most items that wait.
    """
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(n_ahead)
    stopped = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put((item,))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # whatever it is, the caller gets it
            put(error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        thread.join()
