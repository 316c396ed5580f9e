"""Passages for the tests of Milvus, a Milvus server in a process of its own, and a way to it that fails."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index.config import IndexKind
from index.milvus_place import MilvusPlace
from index.milvus_store import MilvusContents, MilvusReader
from index.milvus_writer import MilvusWriter
from index.sentence_vectors import FoundSentences
from index.stored import Occurrence, StoredPassage
from index.vectors import to_int8, unit_rows

if TYPE_CHECKING:
    from index.records import Vectors

DIM = 24
LANGS = ("en", "fa", "lt", "te", "ur")
TEXTS = {
    "en": "Refunds are paid within 14 days. \"Quoted\" \\ 'and' {braces}\ttab\nline.",
    "fa": "هفت روز کاری برای پشیمانی؛ مصرف‌کننده حق دارد.",
    "lt": "Ką daryti, jei siunta sugadinta? Grąžinkite ją per keturiolika dienų.",
    "te": "చెడిపోయిన ఫ్రిజ్: కొన్నవారు ఏం చేయవచ్చు? ఆన్‌లైన్‌లో దాఖలు చేయండి.",
    "ur": "فریج خراب نکلے تو پہلے نوٹس، پھر دعویٰ۔",
}


class Made:
    """Passages that differ in everything, in five languages by turns, with vectors of any direction."""

    def __init__(self, n: int, seed: int = 1, dim: int = DIM, spread: float = 1.0) -> None:
        """Make passages; with a small spread their vectors lie in heaps, as those of a model do."""
        rng = np.random.default_rng(seed)
        self.n, self.dim = n, dim
        heaps = (1 - spread) * rng.normal(size=(40, dim))
        self.vectors: Vectors = unit_rows(heaps[rng.integers(0, 40, n)] + spread * rng.normal(size=(n, dim)))
        self.passages = [_passage(row) for row in range(n)]
        counts = [row % 4 for row in range(n)]  # some have no sentences
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        spans = rng.integers(0, 2**31 - 1, (int(starts[-1]), 2)).astype(np.int32)
        self.sentences = FoundSentences(_as_kept(unit_rows(rng.normal(size=(len(spans), dim)))), spans, starts)
        self.codes = np.arange(n) % len(LANGS)

    def contents(self, kind: IndexKind = IndexKind.FLAT) -> MilvusContents:
        counts = np.bincount(self.codes, minlength=len(LANGS)).tolist()
        return MilvusContents(LANGS, tuple(counts), self.dim, kind)

    def nearest(self, query: Vectors, k: int, codes: Sequence[int] | None = None) -> list[int]:
        """Work out in float64 what a search has to find, shape of the query (dim,)."""
        scores = self.vectors.astype(np.float64) @ query.astype(np.float64)
        rows = np.arange(self.n) if codes is None else np.flatnonzero(np.isin(self.codes, codes))
        return [int(row) for row in rows[np.lexsort((rows, -scores[rows]))][:k]]

    def write(self, place: MilvusPlace, kind: IndexKind = IndexKind.FLAT) -> str:
        """Write them as the next generation and switch to it; returns the collection."""
        with MilvusWriter.begin(place, self.dim, kind) as writer:
            writer.append(range(self.n), self.passages, self.vectors, self.sentences)
            writer.finish(self.n)
            writer.switch()
            return writer.collection

    def read(self, place: MilvusPlace, collection: str, patience: float = 5.0) -> MilvusReader:
        return MilvusReader.open(place, collection, self.contents(), patience)


def _passage(row: int) -> StoredPassage:
    lang = LANGS[row % len(LANGS)]
    places = tuple(
        Occurrence(f"{lang}/{row}.txt", f"d{row}.{i}", TEXTS[lang][:9], i, i + 90) for i in range(1 + row % 3)
    )
    metadata = {"ســال": 1390 + row, "tags": [TEXTS[lang], None, 1.5], "nested": {"a": {}}} if row % 2 else {}
    return StoredPassage(
        f"{row:020x}", lang, TEXTS[lang] if row % 3 else "", f"{row} {TEXTS[lang]}", places, len(places) + row, metadata
    )


def _as_kept(vectors: Vectors) -> Vectors:
    """Return what is read back of vectors of sentences: they are kept in int8."""
    rows = to_int8(vectors).astype(np.float32)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """The embedded Milvus as a server, in a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._args = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder)]
        self._args += ["--host", "127.0.0.1", "--port", str(self.port)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def place(self, name: str, port: int | None = None) -> MilvusPlace:
        return MilvusPlace.parse(f"milvus:http://127.0.0.1:{port or self.port}#{name}")


class Proxy:
    """Hands on what is sent to a port.

    ``refuse`` closes so many of the next connections, and all there are now; ``lose`` breaks the connection when the
    next answer comes, so that what was asked is done but not answered.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._left = 0
        self.refused = 0
        self.lost = 0
        self._is_losing = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def refuse(self, n: int) -> None:
        self._left = n
        for pair in self._pairs:
            _shut(*pair)
        self._pairs = []

    def lose(self) -> None:
        self._is_losing.set()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if len(data) > 40 and self._is_losing.is_set():  # less is no answer, but what keeps a connection
                    self._is_losing.clear()
                    self.lost += 1
                    break
                client.sendall(data)
        _shut(server, client)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                if self._left:
                    self._left -= 1
                    self.refused += 1
                    client.close()
                    continue
                pair = client, socket.create_connection(("127.0.0.1", self._to))
                self._pairs.append(pair)
                self._threads.append(threading.Thread(target=_hand_on, args=pair))
                self._threads.append(threading.Thread(target=self._answer, args=pair[::-1]))
                for thread in self._threads[-2:]:
                    thread.start()

    def close(self) -> None:
        _shut(self._listener)
        self.refuse(0)
        for thread in self._threads:
            thread.join()


def _hand_on(a: socket.socket, b: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := a.recv(65_536):
            b.sendall(data)
    _shut(a, b)


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextlib.contextmanager
def through(proxy: Proxy) -> Iterator[Proxy]:
    try:
        yield proxy
    finally:
        proxy.close()
