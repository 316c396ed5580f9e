"""What a person at a terminal sees beside the results: progress, and errors as one line with an exit status."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from index.errors import TonguesError
from index.progress import SILENT, Progress

if TYPE_CHECKING:
    from tqdm import tqdm


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


def progress_for(quiet: bool) -> Progress:
    """Return what shows progress at the terminal, or nothing when quiet."""
    return SILENT if quiet else TerminalProgress()


class TerminalProgress:
    """A bar with rate and time left on standard error; where that is no terminal, one line a stage."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def start(self, label: str, total: int, unit: str) -> None:
        """Show a stage's bar, or its name where there is no terminal."""
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
        """Show a state behind the bar, or a notice on a line of its own where no bar is."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
