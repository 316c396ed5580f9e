"""What a person at a terminal sees beside the results: progress, and errors as one line with an exit status."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from index.errors import TonguesError
from index.progress import SILENT, Progress

if TYPE_CHECKING:
    from tqdm import tqdm


_SECONDS_TO_END = 5.0
"""How long the program may take to end after an interrupt."""


def utf8_streams() -> None:
    """Read and write UTF-8 whatever the machine's own encoding; what is no text becomes a replacement character."""
    for stream, encoding in ((sys.stdin, "utf-8-sig"), (sys.stdout, "utf-8")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="replace")


@contextlib.contextmanager
def plain_errors(*, traceback: bool = False) -> Iterator[None]:
    """End the program with one line and a status: 1 for our errors, 130 when interrupted.

    Args:
        traceback: Let our errors through, for the traceback.
    """
    before = signal.getsignal(signal.SIGINT)
    interrupted = _interrupts_are_final() if threading.current_thread() is threading.main_thread() else [False]
    try:
        yield
    except TonguesError as error:
        if traceback:
            raise
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except BrokenPipeError:
        # The reader of our output has seen enough; nothing more may be said, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt as error:
        print("Interrupted.", *error.args, file=sys.stderr)
        raise SystemExit(130) from None
    except Exception:
        if not interrupted[0]:
            raise
        # An import that is interrupted half-way fails in ways of its own.
        print("Interrupted.", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let what the block has begun be ended in order when the program is told to end (SIGTERM), with status 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        timer = threading.Timer(_SECONDS_TO_END, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupts_are_final() -> list[bool]:
    """Have an interrupt end the program even where a library's import swallows it; returns whether one came, as [0]."""
    came = [False]

    def interrupt(number: int, frame: object) -> None:
        if not came[0]:
            came[0] = True
            # What is being written counts only once it is complete, so it may be left at any moment.
            timer = threading.Timer(_SECONDS_TO_END, os._exit, (130,))
            timer.daemon = True
            timer.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    return came


def progress_for(quiet: bool) -> Progress:
    """Return what shows progress at the terminal, or nothing when quiet."""
    return SILENT if quiet else TerminalProgress()


class TerminalProgress:
    """A bar with rate and time left on standard error; where that is no terminal, one line a stage."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._in_stage = False

    def start(self, label: str, total: int, unit: str) -> None:
        """Show a stage's bar, or its name where there is no terminal."""
        self._in_stage = True
        if not sys.stderr.isatty():
            print(f"{label} …", file=sys.stderr, flush=True)
            return
        from tqdm import tqdm

        scale = unit == "B"
        self._bar = tqdm(
            total=total or None,
            desc=label,
            unit=unit,
            unit_scale=scale,
            unit_divisor=1000,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
        )

    def advance(self, n: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(n)

    def note(self, text: str) -> None:
        """Show a state behind the bar, or a notice between stages on a line of its own."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif not self._in_stage:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        self._in_stage = False
        if self._bar is not None:
            self._bar.close()
            self._bar = None
