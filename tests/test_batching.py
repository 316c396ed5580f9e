"""The thread that searches: what waits is searched together, what is bad fails alone, a new index takes over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from index.errors import QueryError
from index.updater import update_documents
from search.searcher import Searcher
from search.server.batching import Engine
from search.server.metrics import Metrics
from search.server.settings import Limits
from tests.builds import documents, make_index
from tests.servers import HeldEncoder, Served, limited, served, until
from tests.toys import ToyEncoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_index(tmp_path / "index", documents("apples are red", "pears are green", "plums are blue"))
    return tmp_path / "index"


class Asking:
    """Questions asked at the same time, each from a thread of its own."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self.url = server.url
        self._threads: list[threading.Thread] = []
        self.answers: dict[str, httpx.Response] = {}

    def ask(self, query: str, **params: str | int) -> None:
        """Begin to ask."""

        def run() -> None:
            asked = {"q": query, **params}
            self.answers[query] = httpx.get(f"{self._server.url}/search", params=asked, timeout=60)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        until(lambda: self._server.figure("tongues_waiting") == len(self._threads))

    def wait(self) -> None:
        """Wait for all answers."""
        for thread in self._threads:
            thread.join(60)


def held(server: Served, encoder: HeldEncoder, ask: Callable[[Asking], None]) -> Asking:
    """Have questions wait while one is worked on; returns them answered."""
    asking = Asking(server)
    asking.ask("held")
    assert encoder.began.wait(30)
    ask(asking)
    encoder.let.set()
    asking.wait()
    return asking


def test_one_alone_is_answered_at_once_and_those_that_wait_together(folder: Path) -> None:
    encoder = HeldEncoder()

    def ask(asking: Asking) -> None:
        for word in ("apples", "pears", "plums"):
            asking.ask(word, k=1)
        asking.ask("green", k=2)

    with served(folder, encoder=encoder) as server:
        found = held(server, encoder, ask).answers
        assert server.figure("tongues_batch_queries_sum") == 5
    assert encoder.asked == [["held"], ["apples", "pears", "plums", "green"]]  # whatever their options
    texts = {word: [hit["text"] for hit in answer.json()["hits"]] for word, answer in found.items()}
    assert texts["apples"] == ["apples are red"]
    assert texts["pears"] == ["pears are green"]
    assert (len(texts["plums"]), len(texts["green"])) == (1, 2)


def test_a_batch_is_bounded(folder: Path) -> None:
    encoder = HeldEncoder()
    with served(folder, limited(max_batch=2), encoder) as server:

        def ask(asking: Asking) -> None:
            for n in range(5):
                asking.ask(f"word {n}")

        held(server, encoder, ask)
        many = httpx.post(f"{server.url}/search", json={"queries": ["a", "b", "c"]})  # of one request is not parted
        assert len(many.json()["results"]) == 3
    assert [len(texts) for texts in encoder.asked] == [1, 2, 2, 1, 3]


@pytest.mark.parametrize("bad", ["broken", "panic"])
def test_a_bad_one_fails_alone(folder: Path, bad: str) -> None:
    encoder = HeldEncoder()

    def ask(asking: Asking) -> None:
        for word in ("apples", bad, "plums"):
            asking.ask(word)

    with served(folder, encoder=encoder) as server:
        found = held(server, encoder, ask).answers
    assert {word: answer.status_code for word, answer in found.items()} == {
        "held": 200,
        "apples": 200,
        bad: 500,
        "plums": 200,
    }
    assert found["plums"].json()["hits"][0]["text"] == "plums are blue"
    assert found[bad].json()["error"].startswith("the server failed at this (error ")


def test_an_empty_one_does_not_even_wait(folder: Path) -> None:
    encoder = HeldEncoder()

    def ask(asking: Asking) -> None:
        asking.ask("apples")
        empty = httpx.get(f"{asking.url}/search", params={"q": " "}, timeout=10)
        assert (empty.status_code, empty.json()["error"]) == (400, "the query is empty; ask with at least one word.")
        many = httpx.post(f"{asking.url}/search", json={"queries": ["pears", ""]}, timeout=10)
        assert many.json()["error"] == "query 2 of 2 is empty; ask with at least one word."
        asking.ask("plums")

    with served(folder, encoder=encoder) as server:
        held(server, encoder, ask)
    assert encoder.asked == [["held"], ["apples", "plums"]]


def test_a_server_that_cannot_search_any_more_says_so_and_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(searcher: Searcher) -> bool:
        raise SystemExit

    with served(folder) as server:
        monkeypatch.setattr(Searcher, "refresh", fails)
        answer = httpx.get(f"{server.url}/search", params={"q": "plums"}, timeout=10)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json() == {"error": "the server is ending. Ask again once it runs again."}
        assert not server.engine.is_ready
        until(lambda: not reaches(server.url), 10)
        assert server.engine.is_broken
    assert "the thread that searches has ended" in caplog.text


def reaches(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def test_what_is_not_finished_at_the_end_is_told_to_come_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = HeldEncoder()
    with served(folder, limited(stop_timeout=1), encoder) as server:
        asking = Asking(server)
        asking.ask("held")
        assert encoder.began.wait(30)
    asking.wait()
    encoder.let.set()
    server.engine.stop()
    answer = asking.answers["held"]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "the server is ending. Ask again once it runs again."}
    assert [record for record in caplog.records if record.exc_info] == []


def test_the_place_of_the_index_is_cut_from_the_beginning_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(tmp_path / "index", documents("apples are red"))
    for directory, at in ((".", tmp_path / "index"), ("./index", tmp_path), ("index", tmp_path)):
        monkeypatch.chdir(at)
        with served(Path(directory)) as server:
            for query, told in (("", "the query is empty; ask with at least one word."), ("a", "no passage in 'xx'")):
                answer = httpx.get(f"{server.url}/search", params={"q": query, "lang": "xx"})
                assert told in answer.json()["error"]
            assert answer.json()["error"] == "the index holds no passage in 'xx'; it holds en."
            place = QueryError("index: written in format 1" if directory != "." else ".: written in format 1")
            assert server.engine.told(place) == "the index: written in format 1"


def test_an_update_takes_over_and_no_question_is_dropped(folder: Path) -> None:
    statuses: list[int] = []
    over = threading.Event()
    with served(folder) as server:

        def ask() -> None:
            with httpx.Client(base_url=server.url, timeout=60) as client:
                while not over.is_set():
                    statuses.append(client.get("/search", params={"q": "pears"}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(3):
            update_documents(folder, documents(*(f"figs {i}" for i in range(n + 1))), encoder=ToyEncoder())
        over.set()
        for thread in threads:
            thread.join(60)
        found = httpx.get(f"{server.url}/search", params={"q": "figs", "k": 1}).json()
        assert found["hits"][0]["text"].startswith("figs")
        assert server.figure("tongues_index_generation") == 4
        assert server.figure("tongues_index_passages") == 3
        assert server.figure("tongues_refreshes_total") >= 1
        assert server.figure("tongues_internal_errors_total") == 0
    assert set(statuses) == {200}


def test_a_generation_that_cannot_be_read_leaves_the_old_one(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(folder, limited(refresh_pause=0.01)) as server:
        assert httpx.get(f"{server.url}/search", params={"q": "pears"}).status_code == 200
        update_documents(folder, documents("figs are sweet"), encoder=ToyEncoder())
        newest = sorted((folder / "generations").iterdir())[-1]
        whole = (newest / "manifest.json").read_bytes()
        (newest / "manifest.json").write_bytes(b"{}")
        for _ in range(2):
            found = httpx.get(f"{server.url}/search", params={"q": "pears", "k": 1})
            assert (found.status_code, found.json()["hits"][0]["text"]) == (200, "pears are green")
        assert server.figure("tongues_refresh_failures_total") >= 1
        assert server.figure("tongues_index_generation") == 1
        assert "the one before serves on" in caplog.text
        assert "manifest.json" in caplog.text
        (newest / "manifest.json").write_bytes(whole)
        until(lambda: httpx.get(f"{server.url}/search", params={"q": "figs"}).status_code == 200, 5)
        until(lambda: server.figure("tongues_index_generation") == 2, 5)


def test_work_goes_on_until_what_waits_is_done(folder: Path) -> None:
    encoder = HeldEncoder()
    with served(folder, encoder=encoder) as server:
        asking = Asking(server)
        asking.ask("held")
        asking.ask("plums")
        assert encoder.began.wait(30)
        stopping = threading.Thread(target=server.engine.stop)
        stopping.start()
        until(lambda: not server.engine.is_ready)
        assert httpx.get(f"{server.url}/ready").status_code == 503
        assert httpx.get(f"{server.url}/search", params={"q": "late"}).status_code == 503
        encoder.let.set()
        asking.wait()
        stopping.join(30)
        assert [answer.status_code for answer in asking.answers.values()] == [200, 200]


def test_an_engine_that_never_began_closes_what_it_has(folder: Path) -> None:
    engine = Engine(Searcher.open(folder, encoder=ToyEncoder()), str(folder), Limits(), Metrics())
    engine.warm_up()
    engine.stop()
    assert not engine.is_ready
