"""The HTTP API: what it answers, and in which words it refuses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from index.records import Document
from search.rank_settings import RankSettings
from search.searcher import Searcher
from search.server.schema import BatchModel, LanguagesModel, PassageModel, SearchModel
from tests.builds import make_index
from tests.servers import HeldEncoder, Served, served
from tests.toys import ToyEncoder

LONG = "The harbour opens at dawn. Boats leave with the tide. " * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("server") / "index"
    made = [
        Document("a", "letters.jsonl", "refunds are paid within seven days", "", "en", {"year": 2024}),
        Document("b", "letters.jsonl", "pinigai grąžinami per savaitę", "", "lt", {"odd": 1.5}),
        Document("c", "/home/someone/docs/deep/c.md", "refunds need a receipt", "", "en"),
        Document("d", "/home/someone/docs/deep/d.md", "refunds need a receipt", "", "en"),
        Document("e", "long.txt", LONG, "", "en"),
    ]
    make_index(out, made)
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with served(folder, encoder=HeldEncoder()) as running:
        yield running


def test_hits_are_those_of_the_searcher(folder: Path, server: Served) -> None:
    asked = {"k": "3", "lang": "en", "mode": "dense", "balance": "off"}
    answer = httpx.get(f"{server.url}/search", params={"q": "refunds", **asked})
    found = answer.json()
    with Searcher.open(folder, encoder=ToyEncoder()) as searcher:
        hits = searcher.search("refunds", 3, lang="en", settings=RankSettings("dense", "off"))
        assert found["lang"] == searcher.detect_language("refunds")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert found["query"] == "refunds"
    assert found["notice"] == ""
    assert found["took_ms"] > 0
    assert [hit["text"] for hit in found["hits"]] == [hit.text for hit in hits]
    for sent, hit in zip(found["hits"], hits, strict=True):
        assert {**sent, "query": "refunds"} == {
            **hit.to_dict(),
            "source": hit.source.rpartition("/")[2],
            "also_in": [{**p, "source": p["source"].rpartition("/")[2]} for p in hit.to_dict()["also_in"]],
        }
    SearchModel.model_validate(found)


def test_several_queries_at_once(server: Served) -> None:
    queries = ["refunds", "pinigai", "harbour"]
    answer = httpx.post(f"{server.url}/search", json={"queries": queries, "k": 1, "explain": True})
    found = answer.json()
    BatchModel.model_validate(found)
    assert [one["query"] for one in found["results"]] == queries
    assert [one["hits"][0]["terms"] for one in found["results"]] == [["refunds"], ["pinigai"], ["harbour"]]
    alone = [httpx.get(f"{server.url}/search", params={"q": q, "k": 1, "explain": 1}).json() for q in queries]
    assert [one["hits"] for one in alone] == [one["hits"] for one in found["results"]]


def test_the_best_of_each_language(server: Served) -> None:
    found = httpx.get(f"{server.url}/search", params={"q": "refunds", "per_language": 1}).json()
    assert sorted((hit["lang"], hit["rank"]) for hit in found["hits"]) == [("en", 1), ("lt", 1)]


def test_an_absolute_source_tells_nothing_of_the_machine(server: Served) -> None:
    text = httpx.get(f"{server.url}/search", params={"q": "receipt", "k": 5}).text
    assert "someone" not in text
    hit = json.loads(text)["hits"][0]
    assert (hit["source"], [place["source"] for place in hit["also_in"]]) == ("c.md", ["d.md"])


def test_a_passage_with_its_neighbours(folder: Path, server: Served) -> None:
    with Searcher.open(folder, encoder=ToyEncoder()) as searcher:
        wanted = next(hit for hit in searcher.search("harbour tide", 10) if hit.start > 0)
        told = searcher.passage(wanted.passage_id, context=1).to_dict()
    answer = httpx.get(f"{server.url}/passages/{wanted.passage_id}", params={"context": 1})
    assert answer.json() == json.loads(json.dumps(told))
    assert answer.json()["before"]
    PassageModel.model_validate(answer.json())
    missing = httpx.get(f"{server.url}/passages/{'0' * 20}")
    assert (missing.status_code, missing.json()["error"][:28]) == (404, "the index holds no passage '")


def test_what_the_index_holds(server: Served) -> None:
    found = httpx.get(f"{server.url}/languages").json()
    LanguagesModel.model_validate(found)
    assert found["documents"] == 5
    assert found["limits"] == {"k": 100, "per_language": 20, "context": 10}
    assert [one["lang"] for one in found["languages"]] == ["en", "lt"]
    assert sum(one["passages"] for one in found["languages"]) == found["passages"]


def test_alive_ready_and_counted(server: Served) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/ready").json() == {"status": "ready"}
    httpx.get(f"{server.url}/search", params={"q": "secretword"})
    httpx.get(f"{server.url}/nowhere/secretword")
    figures = httpx.get(f"{server.url}/metrics")
    assert figures.headers["content-type"].startswith("text/plain")
    assert 'tongues_requests_total{method="GET",route="/search",status="200"}' in figures.text
    assert 'tongues_requests_total{method="GET",route="other",status="404"}' in figures.text
    assert "secretword" not in figures.text
    assert server.figure("tongues_index_generation") == 1
    assert server.figure("tongues_index_passages") == httpx.get(f"{server.url}/languages").json()["passages"]
    assert server.figure("tongues_batch_queries_count") > 0


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/search?q=", 400, "the query is empty; ask with at least one word."),
        ("/search?q=%20%09", 400, "the query is empty; ask with at least one word."),
        ("/search", 422, "q: Field required"),
        ("/search?q=a&k=0", 422, "k: Input should be greater than or equal to 1"),
        ("/search?q=a&k=101", 422, "k: Input should be less than or equal to 100"),
        ("/search?q=a&k=many", 422, "k: Input should be a valid integer"),
        ("/search?q=a&mode=odd", 422, "mode: Input should be 'dense', 'hybrid' or 'lexical'"),
        ("/search?q=a&per_lang=2", 422, "per_lang: is no parameter of this address; /openapi.json lists them"),
        ("/search?q=a&q=b", 422, "q: comes more than once; send it once"),
        ("/search?q=a&lang=en&lang=lt", 422, "lang: comes more than once; send it once (languages as te,fa)"),
        ("/passages/x?context=1&context=1", 422, "context: comes more than once"),
        ("/search?q=a&lang=xx", 400, "the index holds no passage in 'xx'; it holds en, lt."),
        ("/search?q=a&lang=,", 400, "no language is named; the index holds en, lt."),
        ("/passages/x?context=-1", 422, "context: Input should be greater"),
        ("/nothing", 404, "there is nothing at this address; /openapi.json lists what there is."),
        ("/docs", 404, "there is nothing at this address"),
        ("/web/../server/app.py", 404, "there is nothing at this address"),
        ("/web/%2e%2e%2fserver%2fapp.py", 404, "there is nothing at this address"),
        ("/web/index.html/", 404, "there is nothing at this address"),
    ],
)
def test_what_cannot_be_answered_is_told(server: Served, path: str, status: int, told: str) -> None:
    answer = httpx.get(httpx.URL(server.url + path.partition("?")[0]).copy_with(raw_path=path.encode()))
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(told)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body: Field required"),
        (b"{", "the body: is no JSON from character 1 on; mend it"),
        (b"[]", "the body: is no JSON object; send one, with the header Content-Type: application/json"),
        (b'{"queries": []}', "queries: List should have at least 1 item"),
        (b'{"queries": "refunds"}', "queries: Input should be a valid list"),
        (b'{"queries": ["\\ud800"]}', "queries.0: Input should be a valid string"),
        (b'{"queries": ["a"], "k": true}', "k: Input should be a valid integer"),
        (b'{"queries": ["a"], "explain": 0}', "explain: Input should be a valid boolean"),
        (b'{"queries": ["a"], "mode": "odd"}', "mode: Input should be 'dense', 'hybrid' or 'lexical'"),
        (b"[" * 100_000, ""),
    ],
)
def test_bodies_that_cannot_be_read(server: Served, body: bytes, told: str) -> None:
    answer = httpx.post(f"{server.url}/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"].startswith(told)


def test_a_method_that_is_not_taken(server: Served) -> None:
    answer = httpx.delete(f"{server.url}/search")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "POST"})
    assert "does not take this method" in answer.json()["error"]


def test_an_error_of_the_server_itself_tells_a_number_alone(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    answer = httpx.get(f"{server.url}/search", params={"q": "broken secretword"})
    assert answer.status_code == 500
    number = answer.json()["error"].partition("(error ")[2].partition(")")[0]
    assert len(number) == 12
    assert "ZeroDivision" not in answer.text
    assert str(Path.cwd()) not in answer.text
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert httpx.get(f"{server.url}/search", params={"q": "refunds"}).status_code == 200


def test_the_page_and_its_files(server: Served) -> None:
    page = httpx.get(f"{server.url}/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    again = httpx.get(f"{server.url}/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    same = httpx.get(f"{server.url}/web/index.html")
    assert same.content == page.content
    assert httpx.head(f"{server.url}/").headers["content-length"] == page.headers["content-length"]


def test_an_answer_over_a_kept_connection_does_not_wait_for_its_body(server: Served) -> None:
    times = []
    with httpx.Client(base_url=server.url) as client:
        for _ in range(30):
            began = time.perf_counter()
            client.get("/languages")
            times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 3] < 0.03  # TCP waits 0.04, but for the first few


@pytest.mark.parametrize("path", ["/", "/search?q=a", "/health", "/nothing", "/metrics"])
def test_what_every_answer_carries(server: Served, path: str) -> None:
    headers = httpx.get(server.url + path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_many_at_once_get_their_own_answers(server: Served) -> None:
    words = ["refunds", "pinigai", "harbour", "receipt", "tide", "dawn"]
    wrong: list[str] = []

    def ask(word: str) -> None:
        with httpx.Client(base_url=server.url) as client:
            for n in range(8):
                found = client.get("/search", params={"q": f"{word} {n}", "k": 1}).json()
                if found["query"] != f"{word} {n}" or word not in found["hits"][0]["text"].lower():
                    wrong.append(str(found))

    threads = [threading.Thread(target=ask, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
