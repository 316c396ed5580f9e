"""``tongues shell`` after an answer: more of it, its sources, what Tab offers; and Ctrl-C at a real terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index.builder import build
from index.errors import InputError, QueryError
from search.paint import Paint
from search.rank_settings import RankSettings
from search.searcher import Searcher
from search.shell import PROMPT, Shell
from tests.builds import ROOT, environment
from tests.programs import Programs
from tests.terminals import CTRL_C, CTRL_D, EOF, at_a_terminal
from tests.toys import ToyEncoder

SECONDS = 60
LONG = "The bakery sells fresh bread every morning. " * 12 + "\n\nThe dairy next to it sells milk. " * 12


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    for number in range(9):
        (folder / f"{number}.txt").write_text(f"bread number {number}" + " water" * number + "\n", "utf-8")
    (folder / "long.txt").write_text(LONG, "utf-8")
    (folder / "lt.jsonl").write_text('{"text": "šviežia bread duona", "lang": "lt"}\n' * 1, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build([path.name for path in sorted(folder.iterdir())], "index", encoder=ToyEncoder())
    return folder


@pytest.fixture
def shell(directory: Path) -> Iterator[Shell]:
    with Searcher.open(directory / "index", encoder=ToyEncoder()) as searcher:
        yield Shell(searcher, k=3, settings=RankSettings("dense", "off"))


def heads(lines: list[str]) -> list[tuple[int, str]]:
    """Return rank and source of the hits shown."""
    return [(int(line.split()[0]), line.split()[3].split(":")[0]) for line in lines if line[:3].strip().isdecimal()]


def test_next_goes_on_until_all_were_shown(shell: Shell) -> None:
    with pytest.raises(QueryError, match="nothing was asked yet; :next"):
        shell.answer(":next")
    shown = heads(shell.answer("bread number"))
    everything = shell.searcher.search("bread number", 99, settings=shell.settings)
    while more := heads(shell.answer(":next")):
        assert len(more) <= 3
        shown += more
    assert [rank for rank, _ in shown] == list(range(1, len(everything) + 1))
    assert sorted(source for _, source in shown) == sorted(hit.source for hit in everything)
    assert len({hit.passage_id for hit in shell.hits}) == len(everything) == len(shell.hits)
    assert shell.answer(":n") == ["     no more hits"]
    assert [hit.rank for hit in shell.hits] == list(range(1, len(everything) + 1))


def test_next_goes_on_in_each_language(shell: Shell) -> None:
    shell.answer(":per-language 2")
    first = shell.answer("bread number")
    assert sorted(line for line in first if line.startswith("──")) == ["── en ──", "── lt ──"]
    lines = shell.answer(":next")
    assert [line for line in lines if line.startswith("──")] == ["── en ──"]  # lt has no more
    assert [rank for rank, _ in heads(lines)] == [3, 4]
    assert [rank for rank, _ in heads(shell.answer(":next"))] == [5, 6]


def test_more_shows_a_hit_whole(shell: Shell) -> None:
    with pytest.raises(QueryError, match="there is no hit 1 to open"):
        shell.answer(":more")
    shell.answer("fresh bread every morning bakery sells")
    (rank, source), *_ = heads(shell.answer(":more 1"))
    hit = shell.hits[0]
    assert (rank, source, hit.source) == (1, "long.txt", "long.txt")
    alone = "\n".join(shell.answer(":more 1 0"))
    assert all(line in alone for line in hit.text.split("\n"))
    around = "\n".join(shell.answer(":more 1 9"))
    assert around.count("The bakery sells") == LONG.count("The bakery sells")
    assert around.count("The dairy next") == LONG.count("The dairy next")
    for wrong in (":more 9", ":more x", ":more 1 -1", ":more 1 x"):
        with pytest.raises(QueryError):
            shell.answer(wrong)


def test_again_asks_as_things_are_set_now(shell: Shell) -> None:
    with pytest.raises(QueryError, match="nothing was asked yet; :again"):
        shell.answer(":again")
    first = shell.answer("bread duona")
    assert shell.answer(":again") == first
    shell.answer(":lang lt")
    assert [source for _, source in heads(shell.answer(":again"))] == ["lt.jsonl"]
    shell.answer(":next")
    assert shell.answer(":again")[0] == first[0]


def test_what_was_found_as_json(shell: Shell) -> None:
    assert shell.answer(":json") == []
    shell.answer("bread number")
    rows = [json.loads(line) for line in shell.answer(":json")]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert rows == [json.loads(json.dumps(hit.to_dict())) for hit in shell.hits]


def test_info_tells_of_the_index(shell: Shell) -> None:
    lines = shell.answer(":info")
    assert lines[0] == "documents  11"
    assert any(line.startswith("languages ") and "lt 1" in line for line in lines)


def test_open_opens_a_hit(shell: Shell, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(tmp_path / "bin")
    programs.add("nano")
    monkeypatch.setenv("VISUAL", str(programs.folder / "nano"))
    shell.answer("bread number")
    second = shell.hits[1].source
    assert shell.answer(":open 2") == [f"{directory / second}, line 1"]
    shell.answer(":per-language 1")
    shell.answer("bread duona")
    with pytest.raises(QueryError, match="several hits have the rank 1; say which of"):
        shell.answer(":open 1")
    assert shell.answer(":open lt:1") == [f"{directory / 'lt.jsonl'}, line 1"]
    assert [arguments for _, arguments in programs.calls()] == [
        ["+1", str(directory / second)],
        ["+1", str(directory / "lt.jsonl")],
    ]
    monkeypatch.setenv("VISUAL", "nowhere-at-all")
    with pytest.raises(InputError, match="cannot be run"):
        shell.answer(":open lt:1")


def test_an_answer_is_painted_alone(shell: Shell) -> None:
    plain = shell.answer("bread number")
    shell.paint = Paint(is_on=True)
    painted = shell.answer("bread number")
    assert painted != plain
    assert "\x1b[1;33mbread\x1b[0m" in "\n".join(painted)
    assert shell.answer(":k 3") == ["3 passages"]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        (":l", [":lang "]),
        (":ex", [":explain"]),
        (":m", [":mode ", ":more "]),
        (":lang ", ["en", "lt"]),
        (":lang l", ["lt"]),
        (":lang en,", ["lt"]),
        (":lang en, l", ["lt"]),
        (":lang xx", []),
        (":mode ", ["dense", "hybrid", "lexical"]),
        (":mode l", ["lexical"]),
        (":balance ", ["off", "auto", "full"]),
        (":open ", ["1", "2", "3"]),
        (":k ", []),
        ("bread", []),
        ("", []),
    ],
)
def test_what_tab_offers(line: str, offers: list[str], shell: Shell) -> None:
    shell.answer("bread number")
    assert shell.complete(line) == offers


def test_tab_offers_hits_of_every_language(shell: Shell) -> None:
    shell.answer(":per-language 2")
    shell.answer("bread number")
    assert sorted(shell.complete(":open ")) == ["2", "en:1", "lt:1"]


# At a real terminal.


@pytest.fixture
def typed_at(directory: Path) -> Iterator[tuple[Any, subprocess.Popen[bytes]]]:
    args = [sys.executable, "-m", "tests.slow_shell", str(directory / "index")]
    env = environment(TERM="dumb", INPUTRC=os.devnull)
    with at_a_terminal(args, env=env, cwd=ROOT, columns=100, seconds=SECONDS) as (child, process):
        child.expect_exact(PROMPT)
        yield child, process


def test_an_interrupt_drops_a_question(typed_at: tuple[Any, subprocess.Popen[bytes]]) -> None:
    typed, process = typed_at
    typed.sendline("a slow one")
    typed.expect_exact("computing")
    typed.send(CTRL_C)
    typed.expect_exact("Dropped.")
    typed.expect_exact(PROMPT)
    typed.sendline("bread number 3")
    typed.expect_exact(" ms")
    assert "3.txt" in str(typed.before)
    typed.expect_exact(PROMPT)
    typed.sendline("slow again")
    typed.expect_exact("computing")
    typed.send(CTRL_C)
    typed.expect_exact("Dropped.")
    typed.expect_exact(PROMPT)
    typed.send(CTRL_D)
    typed.expect(EOF)
    assert process.wait(SECONDS) == 0


def test_tab_and_the_up_arrow_at_the_prompt(typed_at: tuple[Any, subprocess.Popen[bytes]]) -> None:
    typed, process = typed_at
    typed.send(":la\tl\t\r")
    typed.expect_exact("languages: lt")
    typed.expect_exact(PROMPT)
    typed.send(":mo\tle")  # both :mode and :more: nothing but what they share
    typed.send("\x15:mod\tle\t\r")
    typed.expect_exact("mode: lexical")
    typed.expect_exact(PROMPT)
    typed.sendline("duona")
    typed.expect_exact("lt.jsonl")
    typed.expect_exact(PROMPT)
    typed.send("\x1b[A\r")
    typed.expect_exact("lt.jsonl")
    typed.expect_exact(PROMPT)
    typed.send(":h\t\t\x15:he\t\r")
    typed.expect_exact("Type a question, in any language.")
    typed.expect_exact(PROMPT)
    typed.sendline(":quit")
    typed.expect(EOF)
    assert process.wait(SECONDS) == 0
