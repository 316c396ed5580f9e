"""The one thread that searches: takes what waits, searches equal questions together, goes over to new generations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from index.background import Background
from index.errors import TonguesError
from search.checks import check_queries
from search.rank_settings import Mode
from search.server.jobs import Answer, BusyError, EndingError, Job, Options
from search.server.sources import Shortener

if TYPE_CHECKING:
    from index.records import Vectors
    from search.searcher import Searcher
    from search.server.metrics import Metrics
    from search.server.settings import Limits

T = TypeVar("T")
Outcome = tuple[Job, Any, Exception | None]
log = logging.getLogger(__name__)


class Engine:
    """Owns the searcher, which is for one thread at a time, and answers requests in the order they came.

    A request that comes while nothing is worked on is begun at once. While a batch is worked on, others wait, and the
    next batch takes all of them, up to a bound: the more there is to do, the cheaper each is. While the model computes
    the vectors of one batch, the one before is ranked.
    """

    def __init__(self, searcher: Searcher, directory: str, limits: Limits, metrics: Metrics) -> None:
        self._searcher = searcher
        self._place = f"{Path(directory)}: "  # as errors begin that tell where
        self._limits = limits
        self._metrics = metrics
        self._waiting: deque[Job] = deque()
        self._n_open = 0  # counted in the event loop alone
        self._open: set[Job] = set()  # as this
        self.when_broken: Callable[[], None] = lambda: None
        """Called in the event loop when nothing can be searched any more."""
        self.is_broken = False
        """Whether that is so."""
        self._wake = threading.Condition()
        self._embedding = threading.Lock()  # the model is for one thread at a time
        self._stopping = False
        self._next_refresh = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.shown = Shortener(searcher.manifest.sources)
        """Shortens the sources of the generation that is read."""
        self._thread = threading.Thread(target=self._run_to_the_end, name="search", daemon=True)

    def warm_up(self) -> None:
        """Search one and many, so that no question pays for what is made at the first one; before ``start``."""
        for n in (1, self._limits.max_batch):
            self._answers(["What is asked first?"] * n, Options())

    def start(self) -> None:
        """Begin to work; in the event loop that asks."""
        self._loop = asyncio.get_running_loop()
        self._tell_generation()
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, begin nothing new, and close the searcher."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._loop is not None:
            self._thread.join(self._limits.stop_timeout)
        if not self._thread.is_alive():
            self._searcher.close()

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered."""
        return self._thread.is_alive() and not self._stopping and not self.is_broken

    def told(self, error: Exception) -> str:
        """Return an error's message without the place of the index on this machine."""
        text = str(error)
        return f"the index: {text.removeprefix(self._place)}" if text.startswith(self._place) else text

    async def search(self, queries: Sequence[str], options: Options) -> list[Answer]:
        """Answer queries together with whatever else waits.

        Raises:
            BusyError: When too many requests wait, or this one waited too long.
            EndingError: When the server ends.
            QueryError: When they cannot be answered.
            TonguesError: When the index cannot be read.
        """
        check_queries(queries)  # one that is refused later has all that wait with it searched one by one
        found: list[Answer] = await self._submit(queries=tuple(queries), options=options)
        return found

    async def call(self, work: Callable[[Searcher], T]) -> T:
        """Do something else that needs the searcher, in its turn.

        Raises:
            BusyError, EndingError: As ``search``.
            TonguesError: What the work raises.
        """
        found: T = await self._submit(call=work)
        return found

    async def _submit(self, **what: Any) -> Any:
        loop = asyncio.get_running_loop()
        if not self.is_ready:
            raise EndingError
        if self._n_open >= self._limits.max_concurrent:
            self._metrics.turned_away.inc()
            raise BusyError(f"the server is busy ({self._n_open} requests wait)")
        job = Job(loop.create_future(), time.monotonic() + self._limits.timeout, **what)
        self._n_open += 1
        self._metrics.waiting.set(self._n_open)
        self._open.add(job)
        with self._wake:
            self._waiting.append(job)
            self._wake.notify()
        timer = loop.call_later(self._limits.timeout, self._expire, job)
        try:
            return await job.future
        finally:
            job.dropped = True
            timer.cancel()
            self._open.discard(job)
            self._n_open -= 1
            self._metrics.waiting.set(self._n_open)

    def _expire(self, job: Job) -> None:
        if not job.future.done():
            self._metrics.timeouts.inc()
            job.future.set_exception(BusyError(f"the answer took longer than {self._limits.timeout:g} seconds"))

    def _run_to_the_end(self) -> None:
        try:
            self._run()
        except BaseException as error:
            log.critical("the thread that searches has ended, so the server ends", exc_info=error)
            assert self._loop is not None
            self.is_broken = True
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                self._loop.call_soon_threadsafe(self._give_up)

    def _give_up(self) -> None:
        _resolve([(job, None, EndingError()) for job in self._open])
        self.when_broken()

    def _run(self) -> None:
        batch = self._take()
        self._embed(batch)
        while batch:
            following = self._take(wait=False)
            ahead = Background(partial(self._embed, following)) if following else None
            self._work(batch)
            if ahead:
                ahead.result()
            else:
                following = self._take()
                self._embed(following)
            batch = following

    def _embed(self, batch: Sequence[Job]) -> None:
        """Have the model compute the vectors of a batch; where it cannot, the search tells why, query by query."""
        jobs = [job for job in batch if job.call is None and job.options.mode != Mode.LEXICAL and not job.dropped]
        if not jobs:
            return
        try:
            with self._embedding:
                vectors = self._searcher.embed([query for job in jobs for query in job.queries])
        except BaseException as error:
            log.debug("a batch could not be embedded: %r", error)
            return
        start = 0
        for job in jobs:
            job.vectors = vectors[start : start + len(job.queries)]
            start += len(job.queries)

    def _work(self, batch: Sequence[Job]) -> None:
        """Answer a batch."""
        self._refresh()
        groups: dict[Options, list[Job]] = {}
        for job in batch:
            if job.dropped or time.monotonic() > job.deadline:
                continue
            if job.call is None:
                groups.setdefault(job.options, []).append(job)
            else:
                self._deliver([_outcome(job, partial(job.call, self._searcher))])
        for options, jobs in groups.items():
            self._deliver(self._search_together(jobs, options))

    def _take(self, *, wait: bool = True) -> list[Job]:
        """Wait for work; return what waits, up to the queries of a batch, or nothing at the end.

        Args:
            wait: Whether to wait; nothing is returned where nothing waits, otherwise.
        """
        with self._wake:
            while wait and not self._waiting and not self._stopping:
                self._wake.wait()
            batch: list[Job] = []
            n_queries = 0
            while self._waiting:
                n_queries += len(self._waiting[0].queries)
                if batch and n_queries > self._limits.max_batch:
                    break
                batch.append(self._waiting.popleft())
            return batch

    def _search_together(self, jobs: Sequence[Job], options: Options) -> list[Outcome]:
        """Answer jobs by one search; where that cannot be, each by its own, so that a bad one fails alone."""
        try:
            queries = [query for job in jobs for query in job.queries]
            found = iter(self._answers(queries, options, _together([job.vectors for job in jobs])))
            return [(job, [next(found) for _ in job.queries], None) for job in jobs]
        except BaseException:
            with self._embedding:
                return [_outcome(job, partial(self._answers, job.queries, options)) for job in jobs]

    def _answers(self, queries: Sequence[str], options: Options, vectors: Vectors | None = None) -> list[Answer]:
        searcher = self._searcher
        self._metrics.batches.observe(len(queries))
        found = searcher.search_batch(
            queries,
            options.k,
            lang=options.lang,
            per_language=options.per_language,
            settings=options.ranking,
            explain=options.explain,
            vectors=vectors,
        )
        return [
            Answer(query, searcher.detect_language(query), searcher.notice(query), hits)
            for query, hits in zip(queries, found, strict=True)
        ]

    def _refresh(self) -> None:
        """Go over to the newest generation; where it cannot be read, the old one serves on."""
        if time.monotonic() < self._next_refresh:
            return
        try:
            if self._searcher.refresh():
                self._metrics.refreshes.inc()
                self._tell_generation()
                log.info("a new generation of the index is read: %d passages", self._n_passages())
        except Exception as error:
            self._next_refresh = time.monotonic() + self._limits.refresh_pause
            self._metrics.refresh_failures.inc()
            told = error if isinstance(error, TonguesError) else repr(error)
            log.error("a newer generation of the index cannot be read; the one before serves on: %s", told)

    def _n_passages(self) -> int:
        return self._searcher.manifest.counts.passages

    def _tell_generation(self) -> None:
        self.shown = Shortener(self._searcher.manifest.sources)
        self._metrics.passages.set(self._n_passages())
        self._metrics.generation.set(self._searcher.generation)

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Hand results to the event loop, all of a batch at once."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_resolve, outcomes)
        except RuntimeError:  # the loop has ended: nobody waits any more
            log.debug("nobody waits for %d answers", len(outcomes))


def _together(vectors: Sequence[Vectors | None]) -> Vectors | None:
    """Return vectors of several jobs in one array; None where one has none."""
    import numpy as np

    known = [one for one in vectors if one is not None]
    return np.concatenate(known) if len(known) == len(vectors) else None


def _outcome(job: Job, work: Callable[[], Any]) -> Outcome:
    try:
        return job, work(), None
    except Exception as error:  # whatever it is, the one who asked is told
        return job, None, error
    except BaseException as error:  # so a library in Rust tells that it failed; it must not end the thread
        failed = RuntimeError(f"a library failed: {error!r}")
        failed.__cause__ = error
        return job, None, failed


def _resolve(outcomes: Sequence[Outcome]) -> None:
    for job, result, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
