"""A prompt that keeps index and model loaded: questions, and ":" commands about them and their answers."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from index.errors import QueryError, TonguesError
from search.completion_words import offered_languages
from search.paint import PLAIN, Paint
from search.rank_settings import Balance, Mode, RankSettings
from search.render import json_line, printable, render_answer, render_hits
from search.shell_lines import PROMPT, interruptible, read_lines

if TYPE_CHECKING:
    from search.hits import Hit
    from search.searcher import Searcher

__all__ = ["HELP", "PROMPT", "Shell", "read_lines"]

HELP = """Type a question, in any language. Commands:
  :next                 the next hits of the last question
  :more N [M]           hit N whole, with the M passages before and after it (1); te:2 names the 2nd of te
  :open N               open the source of hit N at the passage: in $VISUAL or $EDITOR, or a browser
  :again                the last question again, as things are set now
  :json                 the last hits as JSON, one object a line
  :k N                  N passages
  :lang LANGS           only these languages, for example te,fa; without LANGS all again
  :per-language N       the N best of each language; without N the best of all again
  :mode MODE            hybrid, dense (by meaning, languages balanced) or lexical (by words)
  :balance BALANCE      auto, off or full: how far languages are evened out
  :explain              show what scores are made of, or no longer
  :info                 what the index holds, and how it was made
  :help, :quit          this text; the end (also Ctrl-D)
Tab completes commands and what they take, the up arrow brings back earlier lines, Ctrl-C drops a question."""
_COMMANDS = [
    "again",
    "balance",
    "explain",
    "help",
    "info",
    "json",
    "k",
    "lang",
    "mode",
    "more",
    "next",
    "open",
    "per-language",
    "quit",
]
_MOST_DIGITS = 12


@dataclass(slots=True)
class Shell:
    """What is asked next, and how; and what was found last.

    Attributes:
        searcher: Answers.
        k: The most passages.
        lang: Only these languages, separated by commas; None for all.
        per_language: This many passages of each language instead; None for the best of all.
        settings: How passages are ranked.
        quiet: Tell nothing on standard error but errors.
        explain: Show what scores are made of.
        paint: Puts colours on answers.
        is_interactive: Whether a person is there: an interrupt then drops the question alone.
        asked: The last question, "" before the first.
        hits: All that was shown for it.
    """

    searcher: Searcher
    k: int = 10
    lang: str | None = None
    per_language: int | None = None
    settings: RankSettings = field(default_factory=RankSettings)
    quiet: bool = False
    explain: bool = False
    paint: Paint = PLAIN
    is_interactive: bool = False
    asked: str = ""
    hits: list[Hit] = field(default_factory=list)

    def run(self, lines: Iterator[str]) -> None:
        """Answer line by line on standard output until the lines or ":quit" end it; what goes wrong is told."""
        for line in lines:
            asked = line.strip()
            if asked in (":quit", ":q", ":exit"):
                return
            if not self.is_interactive:
                self._respond(asked)
                continue
            try:
                with interruptible():
                    self._respond(asked)
            except KeyboardInterrupt:
                print("\nDropped.", file=sys.stderr, flush=True)

    def _respond(self, asked: str) -> None:
        """Show what answers a line."""
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
            return self._obey(asked)
        if self.searcher.refresh() and not self.quiet:
            print("The index was updated: this is asked of the new one.", file=sys.stderr, flush=True)
        hits = self._search(asked, 1)
        self.asked, self.hits = asked, hits
        seen = self.searcher.detect_language(asked)
        lines = render_answer(
            asked,
            seen,
            hits,
            width=_width(),
            grouped=self.per_language is not None,
            explain=self.explain,
            paint=self.paint,
        )
        return [*lines, ""]

    def _search(self, asked: str, pages: int) -> list[Hit]:
        """Return the hits of a question, so many times as many as are shown at once."""
        each = None if self.per_language is None else self.per_language * pages
        return self.searcher.search(
            asked, self.k * pages, lang=self.lang, per_language=each, settings=self.settings, explain=self.explain
        )

    def _next(self) -> list[str]:
        """Return the hits after those that were shown: as many again."""
        if not self.asked:
            raise QueryError("nothing was asked yet; :next shows more hits of the last question.")
        at_once = self.per_language or self.k
        pages = 1 + -(-max((hit.rank for hit in self.hits), default=0) // at_once)
        shown = {hit.passage_id for hit in self.hits}
        # With more wanted, more are looked at, so that a hit may come that would have stood earlier: it is shown too.
        new = [hit for hit in self._search(self.asked, pages) if hit.passage_id not in shown]
        new = _renumbered(new, self.hits, at_once, grouped=self.per_language is not None)
        if not new:
            return ["     no more hits"]
        self.hits = [*self.hits, *new]
        grouped = self.per_language is not None
        return [*render_hits(new, width=_width(), grouped=grouped, explain=self.explain, paint=self.paint), ""]

    def _talk(self, asked: str, seconds: float) -> None:
        """Tell beside an answer how it came about."""
        for line in (self.searcher.notice(asked), f"{1000 * seconds:.0f} ms"):
            if line:
                print(line, file=sys.stderr, flush=True)

    def _obey(self, command: str) -> list[str]:
        name, _, value = command[1:].partition(" ")
        value = value.strip()
        of_answers: dict[str, Callable[[str], list[str]]] = {
            "next": lambda _: self._next(),
            "n": lambda _: self._next(),
            "more": self._more,
            "open": self._open,
            "again": lambda _: self._again(),
            "json": lambda _: [json_line(hit.to_dict()) for hit in self.hits],
            "info": lambda _: self._info(),
        }
        if name in of_answers:
            return of_answers[name](value)
        return [self._set(name, value)]

    def _set(self, name: str, value: str) -> str:
        """Change how questions are asked; returns what to say."""
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

    def _again(self) -> list[str]:
        if not self.asked:
            raise QueryError("nothing was asked yet; :again repeats the last question.")
        return self.answer(self.asked)

    def _more(self, value: str) -> list[str]:
        from search.opener import chosen_hit
        from search.render_passage import render_passage

        which, _, context = value.partition(" ")
        hit = chosen_hit(self.hits, which or "1")
        around = _number(context.strip(), "more", least=0) if context.strip() else 1
        return [*render_passage(self.searcher.passage(hit.passage_id, context=around), hit, self.paint), ""]

    def _open(self, value: str) -> list[str]:
        from search.opener import chosen_hit, open_hit

        return [printable(open_hit(chosen_hit(self.hits, value or "1"), self.searcher.manifest))]

    def _info(self) -> list[str]:
        from search.facts import facts

        return [f"{label:<10} {printable(value)}" for label, value in facts(self.searcher.manifest)]

    def complete(self, line: str) -> list[str]:
        """Return what the last word of a line, up to the cursor, can be: of commands and what they take."""
        if not line.startswith(":"):
            return []
        name, space, value = line[1:].partition(" ")
        last = value.replace(",", " ").split(" ")[-1]
        if not space:
            return [f":{one} " if one not in _ALONE else f":{one}" for one in _COMMANDS if one.startswith(name)]
        offers: list[str] = []
        match name:
            case "lang":
                offers = [one.rpartition(",")[2] for one in offered_languages(self.searcher.languages, value.strip())]
            case "mode":
                offers = list(Mode)
            case "balance":
                offers = list(Balance)
            case "open" | "more":
                ranks = [hit.rank for hit in self.hits]
                offers = [f"{hit.lang}:{hit.rank}" if ranks.count(hit.rank) > 1 else str(hit.rank) for hit in self.hits]
        return [one for one in offers if one.lower().startswith(last.lower())]


_ALONE = ("again", "explain", "help", "info", "json", "next", "quit")
"""Commands that take nothing."""


def _renumbered(new: list[Hit], shown: list[Hit], most: int, *, grouped: bool) -> list[Hit]:
    """Return the first hits that are new, of each language where they are grouped, ranked on from those shown."""
    ranks: dict[str, int] = {}
    for hit in shown:
        key = hit.lang if grouped else ""
        ranks[key] = max(ranks.get(key, 0), hit.rank)
    ends = dict(ranks)
    kept = []
    for hit in new:
        key = hit.lang if grouped else ""
        rank = ends.get(key, 0) + 1
        if rank <= ranks.get(key, 0) + most:
            ends[key] = rank
            kept.append(replace(hit, rank=rank))
    return kept


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _number(value: str, name: str, least: int = 1) -> int:
    if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < least:
        raise QueryError(f":{name} needs a number of at least {least}, in no more than {_MOST_DIGITS} digits.")
    return int(value)
