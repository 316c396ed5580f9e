"""``tongues serve`` as a program: what it says, how it ends, and the whole way once with the real model."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.sample_corpus import SAMPLES
from search.client import Client
from tests.builds import ROOT, command, documents, environment, run
from tests.servers import program, until


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("serve") / "index"
    texts = [f"Sentence number {i} stands here." for i in range(40)]
    build_documents(documents(*texts), out, settings=BuildSettings(model=ModelSettings(name=str(tiny_model))))
    return out


@pytest.mark.parametrize(
    ("number", "status", "told"), [(signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "Interrupted.\n")]
)
def test_a_signal_ends_it_in_order(folder: Path, number: signal.Signals, status: int, told: str) -> None:
    with program("--index", str(folder), "--port", "0") as (process, url):
        with httpx.Client(base_url=url) as client:  # whose connection stays open
            assert client.get("/search", params={"q": "number 7", "k": 1}).status_code == 200
            process.send_signal(number)
            assert process.wait(20) == status
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == ("", told)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_what_is_in_flight_is_finished_and_a_second_signal_ends_at_once(folder: Path) -> None:
    for second in (False, True):
        with program("--index", str(folder), "--port", "0") as (process, url):
            port = int(url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                body = b'{"queries": ["number"], "k": 1}'
                head = f"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
                connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
                until(lambda url=url: httpx.get(f"{url}/health").status_code == 200)  # so it has been read
                process.send_signal(signal.SIGTERM)
                until(lambda port=port: not listens(port))
                assert process.poll() is None  # it waits for the one that is in flight
                if second:
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(5) == 143
                    continue
                connection.sendall(body)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert process.wait(20) == 0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        began = time.monotonic()
        result = run(command("serve", "--index", str(folder), "--port", str(port)))
    assert result.returncode == 1
    assert result.stderr.decode() == (
        f"Error: --host 127.0.0.1 --port {port}: cannot be listened at (Address already in use). End the program that "
        "has it, or take another port; --port 0 takes a free one.\n"
    )
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ["--index", "no-such-index"],
            "Error: no-such-index: there is no such directory. Make one with: tongues build",
        ),
        (["--host", "0.0.0.0"], "Error: --host 0.0.0.0: others can reach this server there, so it needs an API key."),
        (["--host", "192.0.2.1", "--api-key-file", "KEY"], "Error: --host 192.0.2.1 --port 8080: cannot be listened"),
        (["--host", "no-such-name.invalid"], "Error: --host 'no-such-name.invalid': no address of this machine"),
        (["--api-key-file", "no-such-file"], "Error: no-such-file: the API key cannot be read"),
        (["--cors", "good.example"], "Error: --cors 'good.example': no origin."),
    ],
)
def test_what_it_cannot_begin_with(folder: Path, tmp_path: Path, args: list[str], told: str) -> None:
    (tmp_path / "key").write_text("k3y-that-nobody-guesses")
    given = [str(tmp_path / "key") if arg == "KEY" else arg for arg in args]
    index = [] if "--index" in given else ["--index", str(folder)]
    port = [] if "KEY" in args else ["--port", "0"]
    result = run(command("serve", *index, *port, *given))
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode().startswith(told)
    assert result.stderr.count(b"\n") == 1


def test_without_the_extra_it_says_what_to_install(folder: Path) -> None:
    without = "import sys; sys.modules['fastapi'] = None; from search.cli import run; run()"
    result = run([sys.executable, "-c", without, "serve", "--index", str(folder), "--port", "0"])
    assert result.returncode == 1
    assert result.stderr.decode().endswith("pip install 'manytongues[serve]'\n")
    assert result.stderr.decode().startswith("Error: serving cannot be done here (")


def test_beyond_this_machine_with_a_key(folder: Path, tmp_path: Path) -> None:
    key = "k3y-that-nobody-guesses"
    (tmp_path / "key").write_text(key)
    args = ["--index", str(folder), "--host", "0.0.0.0", "--port", "0", "--api-key-file", str(tmp_path / "key")]
    with program(*args) as (process, url):
        assert httpx.get(f"{url}/search?q=a", headers={"host": "search.example"}).status_code == 401
        headers = {"host": "search.example", "authorization": f"Bearer {key}"}
        assert httpx.get(f"{url}/search?q=a", headers=headers).status_code == 200
        process.terminate()
        assert process.stderr is not None
        assert key not in process.stderr.read()
        assert process.wait(20) == 0


def test_the_page_is_opened_when_asked_for(folder: Path, tmp_path: Path) -> None:
    told = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$1\" > '{told}'\n")
    browser.chmod(0o755)
    with program("--index", str(folder), "--port", "0", "--open", BROWSER=str(browser)) as (_, url):
        until(lambda: told.exists() and told.read_text() == f"{url}/\n")


def test_quiet_says_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    args = command("serve", "-q", "--index", str(folder), "--port", str(port))
    with subprocess.Popen(args, stdout=-1, stderr=-1, env=environment(), cwd=ROOT) as process:
        try:
            until(lambda: listens(port), 60)
            assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=60).status_code == 200
            process.terminate()
            assert process.communicate(timeout=20) == (b"", b"")
            assert process.returncode == 0
        finally:
            process.kill()


def test_the_whole_way_with_the_real_model(tmp_path: Path, offline_folder: Path) -> None:
    assert offline_folder.is_dir()
    out = tmp_path / "index"
    assert run(command("build", "-q", str(SAMPLES / "lt"), "--out", str(out))).returncode == 0
    with program("--index", str(out), "--port", "0") as (process, url), Client(url) as client:
        assert client.languages == ("lt",)
        question = "What should I do when a parcel arrives damaged?"
        client.search(question)
        times = []
        for n in range(10):
            began = time.perf_counter()
            hits = client.search(f"{question} {n}", 3)
            times.append(time.perf_counter() - began)
        assert hits[0].source.startswith("lt/")  # not where the samples are on this machine
        assert {hit.lang for hit in hits} == {"lt"}
        around = client.passage(hits[0].passage_id, context=1)
        assert around.text == hits[0].text
        assert min(times) < 1
        updating = threading.Thread(
            target=run, args=(command("update", "-q", "--index", str(out), str(SAMPLES / "fa")),)
        )
        updating.start()
        until(lambda: "fa" in client.languages, 120)
        updating.join(60)
        assert {hit.lang for hit in client.search(question, per_language=1)} == {"lt", "fa"}
        process.terminate()
        assert process.wait(20) == 0
