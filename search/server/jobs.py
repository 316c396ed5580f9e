"""What a request asks of the thread that searches, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.rank_settings import Balance, Mode, RankSettings

if TYPE_CHECKING:
    from index.records import Vectors
    from search.hits import Hit
    from search.searcher import Searcher


class BusyError(Exception):
    """More requests wait than may, or one waited too long; the client should come back."""


class EndingError(Exception):
    """The server ends; what was asked of it is not answered."""

    def __init__(self) -> None:
        super().__init__("the server is ending. Ask again once it runs again.")


@dataclass(frozen=True, slots=True)
class Options:
    """How queries are searched; queries with equal options are searched together.

    Attributes:
        k: The most hits.
        lang: Only these languages, as ``te,fa``; None for all.
        per_language: This many hits of each language instead.
        mode: What a score is made of.
        balance: How far languages are evened out.
        explain: Give the words that count.
    """

    k: int = 10
    lang: str | None = None
    per_language: int | None = None
    mode: Mode = Mode.HYBRID
    balance: Balance = Balance.AUTO
    explain: bool = False

    @property
    def ranking(self) -> RankSettings:
        """The settings that the searcher takes."""
        return RankSettings(self.mode, self.balance)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for one query.

    Attributes:
        query: As asked.
        lang: The language it seems to be in.
        notice: What a person should know of how it was read, or "".
        hits: Best first.
    """

    query: str
    lang: str
    notice: str
    hits: list[Hit]


@dataclass(eq=False, slots=True)
class Job:
    """A request that waits.

    Attributes:
        future: Gets the result; belongs to the event loop.
        deadline: When its client is told to come back (``time.monotonic``).
        queries: What is searched for; empty when ``call`` is all there is to do.
        options: How.
        call: Something else that needs the searcher.
        dropped: Whether nobody waits for it any more.
        vectors: Of the queries, shape (n, dim), once they are there.
    """

    future: asyncio.Future[Any]
    deadline: float
    queries: tuple[str, ...] = ()
    options: Options = Options()
    call: Callable[[Searcher], Any] | None = None
    dropped: bool = False
    vectors: Vectors | None = None
