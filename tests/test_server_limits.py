"""Everything that a request may take is bounded, and who goes beyond is told."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from index.errors import SettingsError
from search.server.settings import Limits
from tests.builds import documents, make_index
from tests.servers import HeldEncoder, Served, limited, served, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("limits") / "index"
    make_index(out, documents("one word", "two words"))
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    small = limited(
        max_body=5000, max_url=600, max_headers=1000, max_query=100, max_queries=3, body_timeout=0.5, head_timeout=0.5
    )
    with served(folder, small) as running:
        yield running


def talk(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send bytes, pausing between them, and return all that comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for part in sent:
            connection.sendall(part)
            time.sleep(pause)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def post(port: int, *headers: str) -> bytes:
    lines = ["POST /search HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_query_that_is_too_long(server: Served) -> None:
    assert httpx.get(f"{server.url}/search", params={"q": "x" * 100}).status_code == 200
    answer = httpx.get(f"{server.url}/search", params={"q": "x" * 101})
    assert (answer.status_code, answer.json()["error"]) == (422, "q: String should have at most 100 characters")
    many = httpx.post(f"{server.url}/search", json={"queries": ["x"] * 4})
    assert (many.status_code, many.json()["error"][:36]) == (422, "queries: List should have at most 3 ")


def test_an_address_that_is_too_long(server: Served) -> None:
    answer = httpx.get(f"{server.url}/search", params={"q": "x" * 700})
    assert answer.status_code == 414
    assert answer.json()["error"].endswith("this server reads 600. Send POST /search.")


def test_headers_that_are_too_long(server: Served) -> None:
    answer = httpx.get(f"{server.url}/health", headers={"X-Long": "x" * 1000})
    assert answer.status_code == 431
    endless = talk(server.port, b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * 100_000)
    assert endless.startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_too_long_by_its_own_account(server: Served) -> None:
    answer = talk(server.port, post(server.port, "Content-Length: 5001"))  # and not a byte of it
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert b"longer than 5000 bytes" in answer
    odd = talk(server.port, post(server.port, "Content-Length: " + "9" * 19))
    assert odd.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_that_is_too_long(server: Served) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    answer = talk(server.port, post(server.port, "Transfer-Encoding: chunked"), chunk * 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    fits = b'{"queries": ["word"], "k": 1}'
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(fits), fits)
    answer = talk(server.port, post(server.port, "Transfer-Encoding: chunked", "Connection: close"), whole)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_come(server: Served) -> None:
    began = time.monotonic()
    answer = talk(server.port, post(server.port, "Content-Length: 100"), b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"not complete after 0.5 seconds" in answer
    assert time.monotonic() - began < 10


def test_a_body_that_comes_drop_by_drop(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(post(server.port, "Content-Length: 1000"))
        for _ in range(200):  # each within the time, all of them beyond it
            connection.sendall(b" ")
            if select.select([connection], [], [], 0.1)[0]:
                break
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [(), (b"GET /hea",), (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",)])
def test_a_request_that_never_ends(server: Served, sent: tuple[bytes, ...]) -> None:
    answer = talk(server.port, *sent)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"within 0.5 seconds" in answer


@pytest.mark.parametrize("request_line", ["GET /health", "HEAD /", "OPTIONS /", "GET /web/app.js"])
def test_a_body_that_nobody_awaits_holds_no_connection(server: Served, request_line: str) -> None:
    head = f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        with contextlib.suppress(ConnectionError):  # or this byte comes after the end
            connection.sendall(b"x")
            while connection.recv(65536):
                pass


def test_a_body_that_came_whole_leaves_the_connection_open(server: Served) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"
    last = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert talk(server.port, one, one, last, pause=0.1).count(b"HTTP/1.1 200 ") == 3


FILE = b"GET /web/app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def unread(port: int, n_requests: int, window: int) -> socket.socket:
    """Return a connection that has asked and takes nothing of the answers yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    connection.sendall(FILE * n_requests)
    return connection


def taken(connection: socket.socket, most: int, pause: float) -> int:
    """Return how many bytes come until the end, or until there are as many as these."""
    received = 0
    with contextlib.suppress(ConnectionError):
        while received < most and (part := connection.recv(65536)):
            received += len(part)
            time.sleep(pause)
    return received


@pytest.mark.parametrize(("rests", "come_whole"), [(1.5, False), (0.0, True)])
def test_answers_may_be_taken_slowly_but_not_never(folder: Path, rests: float, *, come_whole: bool) -> None:
    n = 1000
    with served(folder, limited(write_timeout=0.5)) as server:
        total = n * len(httpx.get(f"{server.url}/web/app.js").content)
        with unread(server.port, n, 65536) as connection:
            time.sleep(rests)
            began = time.monotonic()
            assert (taken(connection, total, 0.0 if rests else 0.01) >= total) is come_whole
            assert rests or time.monotonic() - began > 1


def test_a_connection_may_rest_between_requests(server: Served) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/health").status_code == 200
        time.sleep(0.8)
        assert client.get("/health").status_code == 200


def test_a_closed_connection_is_no_error(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    for sent in (post(server.port, "Content-Length: 100") + b"{", b"GET /search?q=word HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(sent)
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert server.figure("tongues_internal_errors_total") == 0
    assert caplog.text == ""


def test_more_than_may_wait_are_told_to_come_back(folder: Path) -> None:
    encoder = HeldEncoder()
    with served(folder, limited(max_concurrent=3), encoder) as server:
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(httpx.get(f"{server.url}/search", params={"q": "held"}, timeout=60).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: server.figure("tongues_waiting") == 3)
        refused = httpx.get(f"{server.url}/search", params={"q": "word"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"] == "the server is busy (3 requests wait). Ask again in a second."
        assert httpx.get(f"{server.url}/ready").status_code == 200  # what needs no search is answered meanwhile
        encoder.let.set()
        for thread in threads:
            thread.join(60)
        assert statuses == [200, 200, 200]
        assert httpx.get(f"{server.url}/search", params={"q": "word"}).status_code == 200
        assert server.figure("tongues_turned_away_total") == 1
        assert server.figure("tongues_waiting") == 0


def test_who_waits_too_long_is_told_and_nothing_is_done_for_him(folder: Path) -> None:
    encoder = HeldEncoder()
    with served(folder, limited(timeout=0.3), encoder) as server:
        first = httpx.get(f"{server.url}/search", params={"q": "held"}, timeout=60)
        second = httpx.get(f"{server.url}/search", params={"q": "left"}, timeout=60)
        for answer in (first, second):
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert answer.json()["error"].startswith("the answer took longer than 0.3 seconds")
        encoder.let.set()
        assert httpx.get(f"{server.url}/search", params={"q": "word"}).status_code == 200
        assert encoder.asked == [["held"], ["word"]]
        assert server.figure("tongues_timeouts_total") == 2


def test_limits_are_numbers_above_nothing() -> None:
    with pytest.raises(SettingsError, match=r"^max_body is 0; give a number above 0\.$"):
        Limits(max_body=0)
