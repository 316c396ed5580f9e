"""A client answers as a searcher does, and tells what is wrong with a server."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import search
from index.errors import ExtraMissingError, QueryError, ServerError, SettingsError
from index.records import Document
from search.client import Client
from search.hits import Hit
from search.rank_settings import RankSettings, Weights
from search.searcher import Searcher
from search.server.settings import ServerSettings
from tests.builds import ROOT, environment, make_index
from tests.servers import HeldEncoder, Served, limited, served
from tests.toys import ToyEncoder

KEY = "k3y-that-nobody-guesses-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("client") / "index"
    text = "The harbour opens at dawn. Boats leave with the tide. " * 20
    made = [
        Document("a", "letters.jsonl", "refunds are paid within seven days", "Refunds", "en", {"year": 2024}),
        Document("b", "letters.jsonl", "pinigai grąžinami per savaitę", "", "lt"),
        Document("c", "docs/c.md", "refunds need a receipt", "", "en"),
        Document("d", "docs/d.md", "refunds need a receipt", "", "en"),
        Document("e", "long.txt", text, "", "en"),
    ]
    make_index(out, made)
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with served(folder) as running:
        yield running


@pytest.fixture(params=["searcher", "client"])
def asked(request: pytest.FixtureRequest, folder: Path, server: Served) -> Iterator[Searcher | Client]:
    """The one or the other: what is asserted holds for both."""
    if request.param == "client":
        with Client(server.url) as client:
            yield client
    else:
        with Searcher.open(folder, encoder=ToyEncoder()) as searcher:
            yield searcher


def test_a_search(asked: Searcher | Client) -> None:
    hits = asked.search("refunds receipt", 2, explain=True)
    assert all(type(hit) is Hit for hit in hits)
    assert [(hit.query, hit.rank, hit.lang) for hit in hits] == [("refunds receipt", n, "en") for n in (1, 2)]
    first = hits[0]
    assert (first.source, first.doc_id, first.n_places, first.terms) == ("docs/c.md", "c", 2, ("refunds", "receipt"))
    assert [(place.source, place.doc_id) for place in first.also_in] == [("docs/d.md", "d")]
    assert first.highlight == (first.start, first.end)
    assert hits[1].metadata == {"year": 2024}
    assert first.page is None


def test_filters_and_settings(asked: Searcher | Client) -> None:
    assert {hit.lang for hit in asked.search("refunds", lang="lt")} == {"lt"}
    assert {hit.lang for hit in asked.search("refunds", lang=["en", "lt"])} == {"en", "lt"}
    assert len(asked.search("refunds", per_language=1)) == 2
    words = asked.search("savaitę", settings=RankSettings("lexical"))
    assert [hit.doc_id for hit in words] == ["b"]
    assert set(asked.languages) == {"en", "lt"}


def test_many_queries(asked: Searcher | Client) -> None:
    queries = [f"refunds {n}" for n in range(70)]  # more than go into one request
    found = asked.search_batch(queries, 1)
    assert [hits[0].query for hits in found] == queries
    assert asked.search_batch([]) == []
    with pytest.raises(TypeError, match="takes a list of queries"):
        asked.search_batch("refunds")


def test_a_passage_in_its_place(asked: Searcher | Client) -> None:
    hit = next(hit for hit in asked.search("harbour tide") if hit.start > 0)
    found = asked.passage(hit.passage_id, context=1)
    assert (found.text, found.start, found.source) == (hit.text, hit.start, "long.txt")
    assert found.before[0].start < found.start
    assert found.before[0].text
    assert asked.passage(hit.passage_id).before == ()


def test_what_cannot_be_asked(asked: Searcher | Client) -> None:
    with pytest.raises(QueryError, match=r"^the query is empty; ask with at least one word\.$"):
        asked.search("  ")
    with pytest.raises(QueryError, match=r"^the index holds no passage in 'xx'; it holds en, lt\.$"):
        asked.search("refunds", lang="xx")
    with pytest.raises(QueryError, match=r"the index holds no passage '0{20}'; take the passage_id of a hit"):
        asked.passage("0" * 20)
    for options in ({"k": 0}, {"per_language": 0}):
        with pytest.raises(QueryError, match=r"k|per_language"):
            asked.search("refunds", **options)  # type: ignore[arg-type]


def test_all_of_a_hit_comes_over(folder: Path, server: Served) -> None:
    with Searcher.open(folder, encoder=ToyEncoder()) as searcher, Client(server.url) as client:
        for query in ("refunds", "harbour tide", "pinigai"):
            assert client.search(query, explain=True) == searcher.search(query, explain=True)
            for hit in searcher.search(query):
                assert client.passage(hit.passage_id, context=2) == searcher.passage(hit.passage_id, context=2)


def test_weights_are_the_servers(server: Served) -> None:
    with Client(server.url) as client, pytest.raises(SettingsError, match="ranks with its own weights"):
        client.search("refunds", settings=RankSettings(weights=Weights(lexical=0.5)))


def test_a_key(folder: Path) -> None:
    with served(folder, ServerSettings(port=0, api_key=KEY)) as server:
        with Client(server.url, api_key=KEY) as client:
            assert client.search("refunds")
        for other in (None, "other"):
            with (
                Client(server.url, api_key=other) as client,
                pytest.raises(ServerError, match="wants its API key") as told,
            ):
                client.search("refunds")
            assert KEY not in str(told.value)


def test_a_key_as_its_file_holds_it(folder: Path) -> None:
    settings = ServerSettings(port=0, api_key=KEY)
    with served(folder, settings) as server, Client(server.url, api_key=f"{KEY}\n") as client:
        assert client.search("refunds")


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", "kéy-that-nobody-guesses", "two words"])
def test_a_key_that_is_none_is_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match=r"^api_key: no API key\.") as told:
        Client(api_key=key)
    assert key.split()[0] not in str(told.value)


def test_numbers_of_other_libraries(asked: Searcher | Client) -> None:
    assert len(asked.search("refunds", np.int64(2))) == 2  # type: ignore[arg-type]
    assert len(asked.search("refunds", per_language=np.int64(1))) == 2  # type: ignore[arg-type]


def test_an_empty_query_is_told_by_its_number(asked: Searcher | Client) -> None:
    queries = [f"refunds {n}" for n in range(70)]
    queries[40] = " "
    with pytest.raises(QueryError, match=r"^query 41 of 70 is empty; ask with at least one word\.$"):
        asked.search_batch(queries)


@pytest.mark.parametrize("passage_id", ["..", "", "/", "x", "0" * 19, "../languages", "0" * 20 + "\n"])
def test_ids_that_are_none(asked: Searcher | Client, passage_id: str) -> None:
    with pytest.raises(QueryError, match="the index holds no passage"):
        asked.passage(passage_id)


def test_half_a_character_cannot_be_sent(server: Served) -> None:
    with Client(server.url) as client, pytest.raises(QueryError, match="half a character"):
        client.search("\ud800")


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with (
        Client(url) as client,
        pytest.raises(ServerError, match=rf"^{url}: the server cannot be reached .*tongues serve"),
    ):
        client.search("refunds")


def test_a_server_that_is_busy_slow_or_broken(folder: Path) -> None:
    encoder = HeldEncoder()
    with served(folder, limited(max_concurrent=1), encoder) as server, Client(server.url, timeout=0.5) as client:
        with pytest.raises(ServerError, match="no answer came in time"):
            client.search("held")
        with pytest.raises(ServerError, match=r"status 429: the server is busy \(1 requests wait\)"):
            client.search("refunds")
        encoder.let.set()
    with served(folder, encoder=HeldEncoder()) as server, Client(server.url) as client:
        with pytest.raises(ServerError, match=r"status 500: the server failed at this \(error [0-9a-f]{12}\)"):
            client.search("broken")
        assert client.search("refunds")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", b"HTTP/1.1 200 OK\r\n\r\n<p>"])
def test_another_program_that_answers(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reply() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Client(url) as client, pytest.raises(ServerError, match="not as manytongues does"):
            client.passage("0" * 20)
        thread.join(20)


def test_addresses_that_are_none() -> None:
    for url in ("", "127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://[::1"):
        with pytest.raises(SettingsError, match="no address of a server"):
            Client(url)


def test_it_is_public_and_says_what_it_needs() -> None:
    assert search.Client is Client
    code = (
        "import sys; sys.modules['httpx'] = None\nfrom index import ExtraMissingError\nfrom search import Client\n"
        "try:\n    Client()\nexcept ExtraMissingError as error:\n    print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), cwd=ROOT, check=True, timeout=60
    )
    assert result.stdout.decode().endswith("pip install 'manytongues[client]'\n")
    assert issubclass(ExtraMissingError, Exception)
