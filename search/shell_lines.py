"""What is typed at the prompt of ``tongues shell``: line editing, history, and what Tab offers."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from index.files import home

PROMPT = "tongues> "
Complete = Callable[[str], list[str]]
"""From the line up to the cursor to what its last word can be."""
_HISTORY_LINES = 1000
_DELIMITERS = " \t,"


def read_lines(*, keep: bool = True, complete: Complete | None = None) -> Iterator[str]:
    """Yield what is typed: with a prompt and line editing at a terminal, plain lines otherwise.

    Args:
        keep: Recall what was typed before, and keep this for the next time.
        complete: Says what Tab offers.
    """
    if not at_terminal():  # a prompt among redirected answers would be one of them
        yield from sys.stdin
        return
    with _editing(keep, complete):
        while True:
            try:
                yield _ask()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:  # drops the line, as in other prompts
                print()


def at_terminal() -> bool:
    """Tell whether a person types and reads."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have an interrupt end the block, not the program: it raises ``KeyboardInterrupt`` and no more."""
    if threading.current_thread() is not threading.main_thread():  # interrupts are the main thread's
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ask() -> str:
    """Read one line; an interrupt meanwhile ends the line, not the program."""
    with interruptible():
        return input(PROMPT)


@contextlib.contextmanager
def _editing(keep: bool, complete: Complete | None) -> Iterator[None]:
    """Edit lines, and keep what was typed for the next time, for this user's eyes only."""
    try:
        import readline
    except ImportError:  # Windows edits lines by itself
        yield
        return
    if complete:
        readline.set_completer(_Completer(complete, readline.get_line_buffer, readline.get_endidx))
        readline.set_completer_delims(_DELIMITERS)
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    if not keep:
        yield
        return
    path = home() / "history"
    with contextlib.suppress(OSError):  # none yet, or not to be read
        readline.read_history_file(path)
    readline.set_history_length(_HISTORY_LINES)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a history that cannot be kept must not spoil the end
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.chmod(0o600)
            readline.write_history_file(path)


class _Completer:
    """Gives readline one offer after another."""

    def __init__(self, complete: Complete, line: Callable[[], str], end: Callable[[], int]) -> None:
        self._complete, self._line, self._end = complete, line, end
        self._offers: list[str] = []

    def __call__(self, text: str, state: int) -> str | None:
        if state == 0:
            self._offers = self._complete(self._line()[: self._end()])
        return self._offers[state] if state < len(self._offers) else None
