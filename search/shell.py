"""A prompt that keeps index and model loaded: questions, and ":" commands that change how they are asked."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from index.errors import QueryError, TonguesError
from index.files import home
from search.render import render_answer

if TYPE_CHECKING:
    from search.searcher import Searcher

PROMPT = "tongues> "
HELP = """Type a question, in any language. Commands:
  :k N                  N passages
  :lang LANGS           only these languages, for example te,fa; without LANGS all again
  :per-language N       the N best of each language; without N the best of all again
  :help, :quit          this text; the end (also Ctrl-D)"""
_HISTORY_LINES = 1000
_MOST_DIGITS = 12


@dataclass(slots=True)
class Shell:
    """What is asked next, and how.

    Attributes:
        searcher: Answers.
        k: The most passages.
        lang: Only these languages, separated by commas; None for all.
        per_language: This many passages of each language instead; None for the best of all.
    """

    searcher: Searcher
    k: int = 10
    lang: str | None = None
    per_language: int | None = None

    def run(self, lines: Iterator[str]) -> None:
        """Answer line by line on standard output until the lines or ":quit" end it; what goes wrong is told."""
        for line in lines:
            asked = line.strip()
            if asked in (":quit", ":q", ":exit"):
                return
            try:
                for shown in self.answer(asked) if asked else ():
                    print(shown)
            except TonguesError as error:
                print(f"Error: {error}", file=sys.stderr)
            sys.stdout.flush()

    def answer(self, asked: str) -> list[str]:
        """Return the lines to show for a question or a command.

        Raises:
            QueryError: For what cannot be answered, and for an unknown command.
        """
        if asked.startswith(":"):
            return [self._obey(asked)]
        began = time.perf_counter()
        hits = self.searcher.search(asked, self.k, lang=self.lang, per_language=self.per_language)
        took = time.perf_counter() - began
        width = shutil.get_terminal_size((100, 24)).columns
        seen = self.searcher.detect_language(asked)
        shown = render_answer(asked, seen, hits, width=width, grouped=self.per_language is not None)
        return [*shown, f"{len(hits)} passages in {1000 * took:.0f} ms", ""]

    def _obey(self, command: str) -> str:
        name, _, value = command[1:].partition(" ")
        value = value.strip()
        match name:
            case "help" | "h" | "?":
                return HELP
            case "k":
                self.k, self.per_language = _number(value, name), None
                return f"{self.k} passages"
            case "lang":
                if value:
                    self.searcher.check_langs(value)
                self.lang = value or None
                return f"languages: {value or 'all'}"
            case "per-language":
                self.per_language = _number(value, name) if value else None
                return f"{self.per_language} passages of each language" if value else f"the {self.k} best of all"
        raise QueryError(f"there is no command :{name}; :help lists them. A question does not begin with a colon.")


def _number(value: str, name: str) -> int:
    if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < 1:
        raise QueryError(f":{name} needs a number of at least 1, in no more than {_MOST_DIGITS} digits.")
    return int(value)


def read_lines() -> Iterator[str]:
    """Yield what is typed: with a prompt, line editing and history at a terminal, plain lines otherwise."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with _history():
        while True:
            try:
                yield _ask()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:  # drops the line, as in other prompts
                print()


def _ask() -> str:
    """Read one line; an interrupt meanwhile ends the line, not the program."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(PROMPT)
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Keep what was typed for the next time, for this user's eyes only."""
    try:
        import readline
    except ImportError:  # Windows edits lines by itself
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
            readline.write_history_file(path)
