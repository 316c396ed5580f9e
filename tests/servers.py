"""Servers for tests: one in a thread over a toy encoder, or the program itself. Both on loopback, both ended."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from index.encoder import Encoder
from search.searcher import Searcher
from search.server.app import make_app
from search.server.batching import Engine
from search.server.metrics import Metrics
from search.server.serving import address_of, bound, listen, make_server
from search.server.settings import Limits, ServerSettings
from tests.builds import ROOT, command, environment
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers.

    Attributes:
        url: Where, without a slash at its end.
        engine: What searches.
        port: The port of ``url``.
    """

    url: str
    engine: Engine
    port: int

    def figure(self, name: str) -> float:
        """Return one of the server's own figures."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@contextlib.contextmanager
def served(index: Path, settings: ServerSettings | None = None, encoder: Encoder | None = None) -> Iterator[Served]:
    """Serve an index from a thread until the block ends."""
    settings = settings or ServerSettings(port=0)
    metrics, began = Metrics(), threading.Event()
    with bound(settings) as taken:
        searcher = Searcher.open(index, encoder=encoder or ToyEncoder())
        engine = Engine(searcher, str(index), settings.limits, metrics)
        server = make_server(make_app(engine, settings, metrics), settings.limits, began.set)
        engine.when_broken = server.end
        listen(taken)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            assert began.wait(60)
            url = address_of(taken).rstrip("/")
            yield Served(url, engine, taken.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(30)
            engine.stop()
    assert not thread.is_alive()


def limited(port: int = 0, **limits: float) -> ServerSettings:
    """Return settings of a server with these limits."""
    return ServerSettings(port=port, limits=Limits(**limits))  # type: ignore[arg-type]


def until(holds: object, seconds: float = 30.0) -> None:
    """Wait until a call returns something true.

    Raises:
        AssertionError: When it does not in time.
    """
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.01)


class PanicError(BaseException):
    """As libraries written in Rust raise it: no Exception."""


class HeldEncoder(ToyEncoder):
    """Begins to encode a query that holds the word "held" only once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.began = threading.Event()
        self.asked: list[list[str]] = []
        """The queries that were encoded together."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        if any("held" in text for text in texts):
            self.began.set()
            assert self.let.wait(60)
        if any("panic" in text for text in texts):
            raise PanicError("while a query was encoded")
        if any("broken" in text for text in texts):
            raise ZeroDivisionError(f"while {texts[0]} was encoded")
        return super().encode_queries(texts)


@contextlib.contextmanager
def program(*args: str, **changes: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``tongues serve`` as a user does; gives the process and where it says that it listens."""
    with subprocess.Popen(
        command("serve", *args), stdout=-1, stderr=-1, text=True, encoding="utf-8", env=environment(**changes), cwd=ROOT
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("http://"), line + process.stderr.read()
            yield process, line.split()[0].rstrip("/")
        finally:
            process.kill()
