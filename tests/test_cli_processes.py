"""The command line in processes of its own: pipes, answers line by line, tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from tests.builds import ROOT, command, documents, environment, run


@pytest.fixture(scope="module")
def built(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"Sentence number {i} stands here." for i in range(900)]
    out = tmp_path_factory.mktemp("processes") / "index"
    build_documents(documents(*texts), out, settings=BuildSettings(model=ModelSettings(name=str(tiny_model))))
    return out


def test_answers_come_one_by_one_until_the_reader_has_seen_enough(built: Path) -> None:
    args = command("search", "--index", str(built), "-k", "900", "--json", "-")
    with subprocess.Popen(args, stdin=-1, stdout=-1, stderr=-1, env=environment(), cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for question in ("Sentence number 5 stands here.", "Sentence number 77 stands here."):
            process.stdin.write(f"{question}\n".encode())
            process.stdin.flush()
            answer = [json.loads(process.stdout.readline()) for _ in range(900)]  # before the next is asked
            assert answer[0]["text"] == answer[0]["query"] == question
        process.stdin.write(b"and one that nobody reads to its end\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()  # as `head -1` does
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_other_output_into_a_closed_pipe(built: Path) -> None:
    for args in (["info", "--json", "--index", str(built)], ["models"], ["verify", "--index", str(built)]):
        reading, writing = os.pipe()
        os.close(reading)
        result = subprocess.run(
            command(*args), stdout=writing, stderr=-1, env=environment(), cwd=ROOT, check=False, timeout=120
        )
        os.close(writing)
        assert (result.returncode, b"Error" in result.stderr, b"Traceback" in result.stderr) == (0, False, False)


def test_a_traceback_only_when_asked_for(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    plain = run(command("search", "--index", missing, "query"))
    assert (plain.returncode, plain.stdout) == (1, b"")
    assert plain.stderr.decode() == (
        f"Error: {missing}: there is no such directory. Make one with: tongues build PATH... --out {missing}\n"
    )
    debug = run(command("--debug", "search", "--index", missing, "query"))
    assert debug.returncode == 1
    assert b"Traceback" in debug.stderr
    assert b"NoIndexError" in debug.stderr


def test_text_is_utf8_whatever_the_locale_says(built: Path) -> None:
    args = [os.fsencode(arg) for arg in command("search", "--index", str(built), "-k", "1", "--json")]
    query = "žodis తెలుగు ".encode() + b"caf\xe9"  # its end is no text
    odd = {**environment(), "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run([*args, query], capture_output=True, env=odd, cwd=ROOT, check=False, timeout=120)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout.decode("utf-8"))["query"] == "žodis తెలుగు caf?"


def test_a_build_that_is_told_to_end_leaves_nothing_unpacked(tiny_model: Path, tmp_path: Path) -> None:
    room, packed = tmp_path / "room", tmp_path / "a.zip"
    room.mkdir()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "".join(f"Sentence number {i} stands here.\n\n" for i in range(200_000)))
    args = command("build", str(packed), "--out", str(tmp_path / "index"), "--model", str(tiny_model))
    env = environment(TMPDIR=str(room))
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=ROOT) as program:
        while not list(room.rglob("member.txt")):
            assert program.poll() is None
            time.sleep(0.02)
        program.terminate()
        assert program.wait(20) == 143
    assert list(room.iterdir()) == []
