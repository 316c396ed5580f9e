"""A prompt that keeps index and model loaded: questions, and ":" commands that change how they are asked."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from index.errors import QueryError, TonguesError
from index.files import home
from search.rank_settings import RankSettings
from search.render import printable, render_answer

if TYPE_CHECKING:
    from search.searcher import Searcher

PROMPT = "tongues> "
HELP = """Type a question, in any language. Commands:
  :k N                  N passages
  :lang LANGS           only these languages, for example te,fa; without LANGS all again
  :per-language N       the N best of each language; without N the best of all again
  :mode MODE            hybrid, dense (by meaning, languages balanced) or lexical (by words)
  :balance BALANCE      auto, off or full: how far languages are evened out
  :explain              show what scores are made of, or no longer
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
        settings: How passages are ranked.
        quiet: Tell nothing on standard error but errors.
        explain: Show what scores are made of.
    """

    searcher: Searcher
    k: int = 10
    lang: str | None = None
    per_language: int | None = None
    settings: RankSettings = field(default_factory=RankSettings)
    quiet: bool = False
    explain: bool = False

    def run(self, lines: Iterator[str]) -> None:
        """Answer line by line on standard output until the lines or ":quit" end it; what goes wrong is told."""
        for line in lines:
            asked = line.strip()
            if asked in (":quit", ":q", ":exit"):
                return
            began = time.perf_counter()
            try:
                for shown in self.answer(asked) if asked else ():
                    print(shown)
                sys.stdout.flush()
                if asked and not self.quiet and not asked.startswith(":"):
                    self._talk(asked, time.perf_counter() - began)
            except TonguesError as error:
                print(printable(f"Error: {error}"), file=sys.stderr, flush=True)

    def answer(self, asked: str) -> list[str]:
        """Return the lines to show for a question or a command.

        Raises:
            QueryError: For what cannot be answered, and for an unknown command.
        """
        if asked.startswith(":"):
            return [self._obey(asked)]
        if self.searcher.refresh() and not self.quiet:
            print("The index was updated: this is asked of the new one.", file=sys.stderr, flush=True)
        hits = self.searcher.search(
            asked, self.k, lang=self.lang, per_language=self.per_language, settings=self.settings, explain=self.explain
        )
        width = shutil.get_terminal_size((100, 24)).columns
        seen = self.searcher.detect_language(asked)
        grouped = self.per_language is not None
        return [*render_answer(asked, seen, hits, width=width, grouped=grouped, explain=self.explain), ""]

    def _talk(self, asked: str, seconds: float) -> None:
        """Tell beside an answer how it came about."""
        for line in (self.searcher.notice(asked), f"{1000 * seconds:.0f} ms"):
            if line:
                print(line, file=sys.stderr, flush=True)

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
                value = "" if value == "all" else value
                if value:
                    self.searcher.check_langs(value)
                self.lang = value or None
                return f"languages: {value or 'all'}"
            case "per-language":
                self.per_language = _number(value, name) if value else None
                return f"{self.per_language} passages of each language" if value else f"the {self.k} best of all"
            case "mode":
                self.settings = RankSettings(value, self.settings.balance)
                return f"mode: {value}"
            case "balance":
                self.settings = RankSettings(self.settings.mode, value)
                return f"balance: {value}"
            case "explain":
                self.explain = not self.explain
                return f"explanations: {'on' if self.explain else 'off'}"
        raise QueryError(f"there is no command :{name}; :help lists them. A question does not begin with a colon.")


def _number(value: str, name: str) -> int:
    if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < 1:
        raise QueryError(f":{name} needs a number of at least 1, in no more than {_MOST_DIGITS} digits.")
    return int(value)


def read_lines(*, keep: bool = True) -> Iterator[str]:
    """Yield what is typed: with a prompt and line editing at a terminal, plain lines otherwise.

    Args:
        keep: Recall what was typed before, and keep this for the next time.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):  # a prompt among redirected answers would be one of them
        yield from sys.stdin
        return
    with _history(keep):
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
    if threading.current_thread() is not threading.main_thread():  # interrupts are the main thread's
        return input(PROMPT)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(PROMPT)
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history(keep: bool) -> Iterator[None]:
    """Edit lines, and keep what was typed for the next time, for this user's eyes only."""
    try:
        import readline
    except ImportError:  # Windows edits lines by itself
        yield
        return
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
