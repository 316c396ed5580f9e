"""Connections to Milvus that fail: tried again, bounded in time, and told with a remedy."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest

from index.config import IndexKind
from index.errors import SettingsError, StoreError
from index.milvus_collections import MilvusCollections
from index.milvus_place import TOKEN_ENV, MilvusPlace
from index.milvus_records import record_of
from index.milvus_store import MilvusReader
from index.milvus_writer import MilvusWriter
from tests.builds import ROOT, environment
from tests.milvus_toys import DIM, Made, Proxy, Server, free_port, through

MADE = Made(80)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server") / "data")
    yield started
    started.kill()


@pytest.mark.parametrize(
    ("text", "uri", "name"),
    [
        ("milvus:/a/b.db", "/a/b.db", "manytongues"),
        ("/a/b.db#letters", "/a/b.db", "letters"),
        ("milvus:http://localhost:19530", "http://localhost:19530", "manytongues"),
        ("milvus:https://x.example:443/mine#_a1", "https://x.example:443/mine", "_a1"),
        ("https://x.example/", "https://x.example", "manytongues"),
    ],
)
def test_places_are_read(text: str, uri: str, name: str) -> None:
    place = MilvusPlace.parse(text)
    assert (place.uri, place.name, place.is_file) == (uri, name, uri.endswith(".db"))
    assert MilvusPlace.parse(str(place)) == place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("milvus:", "names no place of Milvus"),
        ("milvus:/a/b.sqlite", "a file ends in .db"),
        ("milvus:ftp://host:1", "no address of a Milvus server"),
        ("milvus:http://:19530", "no address of a Milvus server"),
        ("milvus:http://host:port", "no address of a Milvus server"),
        ("milvus:/a/b.db#1st", "'1st' cannot name a collection"),
        ("milvus:/a/b.db#a-b", "'a-b' cannot name a collection"),
    ],
)
def test_what_is_no_place_is_told(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        MilvusPlace.parse(text)


def test_a_password_in_the_address_is_neither_kept_nor_shown() -> None:
    with pytest.raises(SettingsError, match=rf"would be kept with the index.*{TOKEN_ENV}") as told:
        MilvusPlace.parse("milvus:https://root:s3cret@host:19530")
    assert "s3cret" not in str(told.value)


def test_a_relative_path_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert MilvusPlace.parse("milvus:my.db").uri == str(tmp_path / "my.db")


def test_a_server_serves_as_a_file_does(server: Server) -> None:
    place = server.place("plain")
    with MADE.read(place, MADE.write(place)) as reader:
        assert reader.passages(range(80)) == MADE.passages
        assert reader.near(MADE.vectors[:9], 20, [0, 3])[8].tolist() == MADE.nearest(MADE.vectors[8], 20, [0, 3])


def test_a_kind_that_a_server_cannot_make_is_told(server: Server) -> None:
    with MilvusWriter.begin(server.place("kinds"), DIM, IndexKind.IVF_PQ) as writer:
        writer.append(range(80), MADE.passages, MADE.vectors, None)
        with pytest.raises(StoreError, match=r"making the ivf-pq index of kinds_g000001 failed .*Choose another kind"):
            writer.finish(80)


def test_refused_connections_are_tried_again(server: Server) -> None:
    with through(Proxy(server.port)) as proxy:
        place = server.place("refused", proxy.port)
        proxy.refuse(3)
        with MilvusWriter.begin(place, DIM) as writer:
            assert proxy.refused == 3
            for at in range(0, 80, 20):
                proxy.refuse(2)
                rows = slice(at, at + 20)
                writer.append(range(at, at + 20), MADE.passages[rows], MADE.vectors[rows], None)
            writer.finish(80)
            proxy.refuse(2)
            writer.switch()
        assert proxy.refused >= 5
        with MADE.read(place, writer.collection) as reader:
            proxy.refuse(3)
            assert reader.near(MADE.vectors[:1], 5)[0].tolist() == MADE.nearest(MADE.vectors[0], 5)
            proxy.refuse(1)
            assert reader.passages([4, 2]) == [MADE.passages[4], MADE.passages[2]]


def test_what_was_done_and_not_answered_is_not_done_twice(server: Server) -> None:
    with through(Proxy(server.port)) as proxy:
        connection = MilvusCollections(server.place("lost", proxy.port))
        record = record_of(0, MADE.passages[0], MADE.vectors[0], "")
        asked: list[Callable[[], None]] = [
            lambda: connection.create("lost_g000001", DIM),
            lambda: connection.upsert("lost_g000001", [record]),
            lambda: connection.build("lost_g000001", IndexKind.FLAT, {}),
            lambda: connection.point("lost", "lost_g000001", is_new=True),
            lambda: connection.create("lost_g000002", DIM),
            lambda: connection.point("lost", "lost_g000002", is_new=False),
            lambda: connection.drop("lost_g000001"),
        ]
        for n, ask in enumerate(asked, 1):
            if n == 4:
                assert connection.count("lost_g000001") == 1
            proxy.lose()
            ask()
            assert proxy.lost == n
        assert connection.aliases("lost_g000002") == ["lost"]
        assert "lost_g000001" not in connection.collections()
        connection.close()


def test_a_server_that_is_started_again_is_waited_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        place = server.place("again")
        with MADE.read(place, MADE.write(place), patience=20) as reader, futures.ThreadPoolExecutor() as pool:
            server.kill()
            found = pool.submit(reader.near, MADE.vectors[:1], 5)
            time.sleep(0.5)
            assert not found.done()
            server.start()
            assert found.result(timeout=20)[0].tolist() == MADE.nearest(MADE.vectors[0], 5)
            assert reader.passages([1]) == MADE.passages[1:2]
    finally:
        server.kill()


def test_a_server_that_is_away_is_told_in_time(server: Server) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"127.0.0.1:\d+#x: the server does not answer .*tried for 1 s\). Check that"):
        MilvusCollections(server.place("x", free_port()), patience=1)
    assert 0.5 < time.monotonic() - began < 3


def test_a_server_that_goes_away_is_told_in_time(server: Server) -> None:
    with through(Proxy(server.port)) as proxy:
        place = server.place("away", proxy.port)
        collection = MADE.write(place)
        with MADE.read(place, collection, patience=1) as reader:
            proxy.refuse(10**6)
            began = time.monotonic()
            with pytest.raises(StoreError, match="the server does not answer"):
                reader.near(MADE.vectors[:1], 3)
            assert 0.5 < time.monotonic() - began < 4
            proxy.refuse(0)
            assert reader.near(MADE.vectors[:1], 3)[0].tolist() == MADE.nearest(MADE.vectors[0], 3)


def test_a_server_that_never_answers_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        began = time.monotonic()
        with pytest.raises(StoreError, match="the server does not answer"):
            MilvusCollections(MilvusPlace(f"http://127.0.0.1:{silent.getsockname()[1]}"), patience=1)
        assert time.monotonic() - began < 4


def test_a_server_of_something_else_is_told() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever).start()
        try:
            with pytest.raises(StoreError, match="Check that it runs and that the address is right"):
                MilvusCollections(MilvusPlace(f"http://127.0.0.1:{other.server_port}"), patience=0.3)
        finally:
            other.shutdown()


class Guarded(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A server that lets nobody in but the holder of a token, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[object] = []

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        self.shown.append(dict(call.invocation_metadata).get("authorization"))
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
        )


def test_a_wrong_token_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[guarded])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        monkeypatch.setenv(TOKEN_ENV, "root:s3cret")
        began = time.monotonic()
        with pytest.raises(StoreError, match=rf"refuses this user. Set {TOKEN_ENV} to its token") as told:
            MilvusCollections(MilvusPlace(f"http://127.0.0.1:{port}"), patience=20)
        assert time.monotonic() - began < 5
        assert "s3cret" not in str(told.value)
        assert guarded.shown == [b"cm9vdDpzM2NyZXQ=" if isinstance(guarded.shown[0], bytes) else "cm9vdDpzM2NyZXQ="]
    finally:
        server.stop(None).wait()


def other_program(place: MilvusPlace, seconds: float) -> subprocess.Popen[bytes]:
    """Have another process open a file for so long."""
    code = f"""
import sys, time
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
connection = MilvusCollections(MilvusPlace(sys.argv[1]))
print("open", flush=True)
time.sleep({seconds})
connection.close()
"""
    args = [sys.executable, "-c", code, place.uri]
    env = environment(TMPDIR=str(Path(place.uri).parent))  # killed, it leaves its socket there
    process = subprocess.Popen(args, stdout=subprocess.PIPE, env=env, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def test_a_file_that_another_program_has_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = MilvusPlace(str(tmp_path / "a.db"))
    collection = MADE.write(place)
    with other_program(place, 60) as process:
        with pytest.raises(StoreError, match=r"another program has this file open.*wait for the other.*use a Milvus"):
            MADE.read(place, collection, patience=0.5)
        process.kill()
    with other_program(place, 1), MADE.read(place, collection, patience=20) as reader:  # waited for
        assert reader.passages([5]) == MADE.passages[5:6]
    assert capfd.readouterr().err == ""  # what was caught is not printed too


def test_a_file_is_opened_once_in_a_process_and_let_go_by_the_last(tmp_path: Path) -> None:
    place = MilvusPlace(str(tmp_path / "a.db"))
    collection = MADE.write(place)
    first, second = MADE.read(place, collection), MADE.read(place, collection)
    first.close()
    first.close()  # again does nothing
    assert second.passages([5]) == MADE.passages[5:6]
    second.close()
    with other_program(place, 0) as process:
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("is_long", [False, True])
def test_a_file_is_served_by_a_socket_of_this_user_or_by_a_port(is_long: bool, tmp_path: Path) -> None:
    temporary = tmp_path / ("t" * 100 if is_long else "t")
    temporary.mkdir()
    code = """
import os, sys
from index import milvus_local
address = milvus_local.open_file(sys.argv[1])
path = address.removeprefix("unix:")
print(address[:9], oct(os.stat(os.path.dirname(path)).st_mode)[-3:] if os.path.exists(path) else "")
milvus_local.close_file(sys.argv[1])
"""
    args, env = [sys.executable, "-c", code, str(tmp_path / "a.db")], environment(TMPDIR=str(temporary))
    shown = subprocess.run(args, capture_output=True, env=env, cwd=ROOT, timeout=60, check=True).stdout
    assert shown == (b"http://12 \n" if is_long else f"unix:{str(tmp_path)[:4]} 700\n".encode())
    assert list(temporary.iterdir()) == []


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"a.db: the embedded Milvus cannot open it \(Not a directory\)"):
        MilvusCollections(MilvusPlace(str(tmp_path / "file" / "a.db")), patience=5)
    (tmp_path / "b.db").write_text("something else")
    with pytest.raises(StoreError, match=r"b.db: the embedded Milvus cannot open it \(File exists\)"):
        MilvusCollections(MilvusPlace(str(tmp_path / "b.db")), patience=5)


@pytest.mark.parametrize("missing", ["pymilvus", "milvus_lite.adapter.grpc.server"])
def test_what_is_not_installed_is_told(missing: str, tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None  # as Python has it for what cannot be imported
from index.errors import ExtraMissingError
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
try:
    MilvusCollections(MilvusPlace(sys.argv[1]))
except ExtraMissingError as error:
    print(error)
"""
    args = [sys.executable, "-c", code, str(tmp_path / "a.db")]
    told = subprocess.run(args, capture_output=True, env=environment(), cwd=ROOT, timeout=60, check=True).stdout
    assert missing.encode() in told
    assert told.endswith(b"Install what it needs with: pip install 'manytongues[milvus]'\n")


def test_no_env_file_is_read_and_nothing_is_left_running(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MILVUS_URI=http://elsewhere:19530\n")  # pymilvus would take it
    code = """
import os, sys
from index.milvus_collections import MilvusCollections
from index.milvus_place import MilvusPlace
connection = MilvusCollections(MilvusPlace(sys.argv[1]))
connection.create("a", 4)
print([name for name in os.environ if name in ("MILVUS_URI", "PYTHON_DOTENV_DISABLED")], connection.collections())
"""  # it ends without closing
    args = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.db")]
    env = environment(TMPDIR=str(tmp_path))
    ended = subprocess.run(args, capture_output=True, env=env, cwd=tmp_path, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == (b"[] ['a']\n", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "a.db"]


def test_requests_of_several_threads_are_answered(server: Server) -> None:
    place = server.place("threads")
    with MADE.read(place, MADE.write(place)) as reader, futures.ThreadPoolExecutor(4) as pool:

        def ask(row: int) -> bool:
            rows = reader.near(MADE.vectors[row : row + 1], 7)[0]
            found = np.array_equal(reader.vectors(rows), MADE.vectors[rows])
            return found and rows.tolist() == MADE.nearest(MADE.vectors[row], 7)

        assert all(pool.map(ask, range(40)))
    with pytest.raises(StoreError, match="this index was closed"):
        MilvusReader.near(reader, MADE.vectors[:1], 7)
