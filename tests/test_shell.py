"""``tongues shell``: questions and commands over a toy index, and the real command at a real terminal."""

from __future__ import annotations

import codecs
import os
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.errors import QueryError, SettingsError
from index.records import Document
from search.rank_settings import RankSettings
from search.searcher import Searcher
from search.shell import HELP, PROMPT, Shell
from tests.builds import ROOT, command, environment, make_index
from tests.toys import ToyEncoder

TEXTS = {
    "en": ["fresh bread here", "bread and water", "cold water"],
    "lt": ["fresh duona", "bread duona"],
    "te-IN": ["bread rotti"],
}
COSINES = RankSettings("dense", "off")
"""What makes a score the cosine of two vectors."""
SECONDS = 60
"""The longest wait for anything at the terminal."""
# Takes the terminal it was given as its own, so that Ctrl-C reaches it as it reaches a program in a window.
AT_A_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


def corpus() -> list[Document]:
    return [
        Document(f"{lang}{i}", f"{lang}{i}.txt", text, lang=lang)
        for lang, texts in TEXTS.items()
        for i, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    out = tmp_path_factory.mktemp("toy") / "index"
    make_index(out, corpus())
    with Searcher.open(out, encoder=ToyEncoder()) as opened:
        yield opened


@pytest.fixture
def shell(searcher: Searcher) -> Shell:
    return Shell(searcher)


def shown(lines: list[str]) -> list[str]:
    """Return the texts and headings of an answer, in order; the first line repeats the question."""
    return [line.strip() for line in lines[1:] if line.startswith(("     ", "──"))]


def test_a_question_is_answered(shell: Shell) -> None:
    shell.settings = COSINES
    lines = shell.answer("bread and water")
    assert lines[0] == "en  bread and water"
    assert lines[1] == "  1  1.000  en  en1.txt en1:0-15"
    assert lines[2] == "     bread and water"
    assert len(shown(lines)) == 6
    assert lines[-1] == ""


def test_k_limits_the_passages(shell: Shell) -> None:
    shell.settings = COSINES
    assert shell.answer(":k 2") == ["2 passages"]
    assert shown(shell.answer("bread and water")) == ["bread and water", "cold water"]
    assert len(shown(shell.answer("bread"))) == 2
    assert shell.answer(":k 100000000000") == ["100000000000 passages"]
    assert len(shown(shell.answer("bread"))) == 6


def test_lang_filters_until_it_is_cleared(shell: Shell) -> None:
    assert shell.answer(":lang LT, te") == ["languages: LT, te"]
    assert sorted(shown(shell.answer("bread"))) == ["bread duona", "bread rotti", "fresh duona"]
    assert shell.answer(":lang te") == ["languages: te"]
    assert shown(shell.answer("bread")) == ["bread rotti"]
    assert shell.answer(":lang") == ["languages: all"]
    assert len(shown(shell.answer("bread"))) == 6


@pytest.mark.parametrize("value", ["xx", "en,xx", "e", ",", "the best"])
def test_an_unknown_language_changes_nothing(shell: Shell, value: str) -> None:
    shell.answer(":lang lt")
    with pytest.raises(QueryError, match=r"the index holds .*en, lt, te-IN\.|it holds en, lt, te-IN\."):
        shell.answer(f":lang {value}")
    assert sorted(shown(shell.answer("bread"))) == ["bread duona", "fresh duona"]


def test_per_language_groups_until_it_is_cleared(shell: Shell) -> None:
    assert shell.answer(":k 3") == ["3 passages"]
    assert shell.answer(":per-language 1") == ["1 passages of each language"]
    lines = shown(shell.answer("bread duona"))
    assert lines[:2] == ["── lt ──", "bread duona"]
    assert sorted(lines[2::2]) == ["── en ──", "── te-IN ──"]
    assert shell.answer(":per-language") == ["the 3 best of all"]
    lines = shown(shell.answer("bread duona"))
    assert (len(lines), "── lt ──" in lines) == (3, False)
    shell.answer(":per-language 2")
    shell.answer(":k 4")  # a number of passages is of all again
    assert len(shown(shell.answer("bread"))) == 4


@pytest.mark.parametrize("name", ["k", "per-language"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "1 2", "²", "0x10", "9" * 5000])
def test_numbers_that_are_none_change_nothing(shell: Shell, name: str, value: str) -> None:
    with pytest.raises(QueryError, match=f":{name} needs a number of at least 1"):
        shell.answer(f":{name} {value}")
    assert (shell.k, shell.per_language) == (10, None)


def test_k_needs_a_number(shell: Shell) -> None:
    with pytest.raises(QueryError, match=":k needs a number"):
        shell.answer(":k")


def test_mode_and_balance_are_those_of_the_search(shell: Shell, searcher: Searcher) -> None:
    for mode in ("lexical", "dense", "hybrid"):
        assert shell.answer(f":mode  {mode} ") == [f"mode: {mode}"]
        for balance in ("off", "full", "auto"):
            assert shell.answer(f":balance {balance}") == [f"balance: {balance}"]
            assert shell.settings == RankSettings(mode, balance)
            found = searcher.search("bread duona", settings=RankSettings(mode, balance))
            assert shown(shell.answer("bread duona")) == [hit.text for hit in found]
    shell.answer(":mode lexical")
    assert shell.answer("nowhere") == ["en  nowhere", "     nothing found", ""]


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        (":mode", "mode is ''; give one of dense, hybrid, lexical."),
        (":mode Dense", "mode is 'Dense'; give one of dense, hybrid, lexical."),
        (":mode dense off", "mode is 'dense off'; give one of"),
        (":balance", "balance is ''; give one of off, auto, full."),
        (":balance 0.5", "balance is '0.5'; give one of off, auto, full."),
    ],
)
def test_a_mode_or_balance_there_is_not_changes_nothing(shell: Shell, asked: str, choices: str) -> None:
    shell.answer(":mode dense")
    with pytest.raises(SettingsError, match=re.escape(choices)):
        shell.answer(asked)
    assert shell.settings == RankSettings("dense", "auto")


def test_explain_is_switched_on_and_off(shell: Shell) -> None:
    shell.settings = RankSettings("lexical")
    plain = shell.answer("bread and water")
    assert shell.answer(":explain") == ["explanations: on"]
    explained = shell.answer("bread and water")
    told = [line for line in explained if line.startswith("     dense ")]
    assert re.fullmatch(r"     dense 0\.000  balance \+0\.000  lexical \+0\.\d{3}  words: bread, and, water", told[0])
    assert len(told) == 5
    assert [line for line in explained if line not in told] == plain
    assert shell.answer(":explain") == ["explanations: off"]
    assert shell.answer("bread and water") == plain


@pytest.mark.parametrize("asked", [":unknown", ":", ":K 3", ": k 3", "::", ":quit now", ":k3"])
def test_an_unknown_command_is_told_with_the_way_to_those_there_are(shell: Shell, asked: str) -> None:
    with pytest.raises(QueryError, match=r"there is no command :.*; :help lists them"):
        shell.answer(asked)


@pytest.mark.parametrize("asked", [":help", ":h", ":?"])
def test_help_names_every_command(shell: Shell, asked: str) -> None:
    assert shell.answer(asked) == [HELP]
    for name in (":k ", ":lang", ":per-language", ":mode", ":balance", ":explain", ":help", ":quit"):
        assert name in HELP


def test_lines_one_after_another(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["\n", "  :k 1 \n", " bread and water \n", "\t\n", ":nothing\n", ":lang xx\n", ":k 0\n", "cold water\n"]
    shell.run(iter([*lines, ":quit\n", "bread\n"]))
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("     ")] == [
        "     bread and water",
        "     cold water",
    ]
    first, *errors, last = said.err.splitlines()
    assert all(re.fullmatch(r"\d+ ms", line) for line in (first, last))  # the answers
    assert len(errors) == 3
    assert all(line.startswith("Error: ") for line in errors)
    assert ":nothing" in errors[0]


def test_what_is_told_beside_an_answer(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    long = "bread " * 70  # the toy reads 64 words
    shell.run(iter([long]))
    notice, took = capsys.readouterr().err.splitlines()
    assert "6 tokens longer than the model reads" in notice
    assert re.fullmatch(r"\d+ ms", took)
    shell.quiet = True
    shell.run(iter([long, ":nothing"]))
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("Error: ")


@pytest.mark.parametrize("asked", [":quit", ":q", ":exit", "  :quit  "])
def test_the_end(shell: Shell, asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    def lines() -> Iterator[str]:
        yield asked
        raise AssertionError("nothing is read after the end")

    shell.run(lines())
    assert capsys.readouterr().out == ""


# The real command. Its model is real too, but tiny, and prepared beforehand.


@pytest.fixture(scope="module")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home with the model exported, and an index."""
    home = tmp_path_factory.mktemp("shell") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGUES_HOME", str(home))
        model = ModelSettings(str(tiny_model), backend="openvino", precision="fp32")
        build_documents(corpus(), home.with_name("index"), settings=BuildSettings(model=model))
    return home, home.with_name("index")


def run_shell(prepared: tuple[Path, Path], stdin: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    home, index = prepared
    return subprocess.run(
        command("shell", "--index", str(index), *args),
        input=stdin,
        env=environment(TONGUES_HOME=str(home)),
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def test_from_a_pipe_without_a_prompt(prepared: tuple[Path, Path]) -> None:
    (prepared[0] / "history").unlink(missing_ok=True)
    given = "\ufefffresh duona\n\n:nothing\n:lang te\nbread rotti\ncaf".encode() + b"\xe9"
    result = run_shell(prepared, given, "-k", "1", "-q")
    out = result.stdout.decode("utf-8")
    assert (result.returncode, PROMPT in out) == (0, False)
    lines = out.splitlines()
    assert [line.strip() for line in lines if line.startswith("     ")] == ["fresh duona", "bread rotti", "bread rotti"]
    assert "languages: te" in lines
    assert result.stderr.decode().startswith("Error: there is no command :nothing")
    assert len(result.stderr.splitlines()) == 1
    assert not (prepared[0] / "history").exists()


def test_wrong_from_the_beginning(prepared: tuple[Path, Path]) -> None:
    result = run_shell(prepared, b"bread\n", "--lang", "xx")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"Error: the index holds no passage in 'xx'")
    assert run_shell(prepared, b"", "-k", "3", "--per-language", "2").returncode == 2


class Terminal:
    """``tongues shell`` at a pseudo-terminal."""

    def __init__(self, prepared: tuple[Path, Path], *args: str) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        python, flag, code, *rest = command("shell", "--index", str(prepared[1]), *args)
        self.process = subprocess.Popen(
            [python, flag, AT_A_TERMINAL + code, *rest],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(TONGUES_HOME=str(prepared[0]), TERM="dumb", INPUTRC=os.devnull),
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(theirs)
        self._seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C until the next prompt comes.

        Python misses an interrupt between showing a prompt and waiting for keys; a person is never that quick.
        """
        ends_at = time.monotonic() + SECONDS
        self.type("\x03")
        while not self._comes(PROMPT, min(ends_at, time.monotonic() + 2)):
            assert time.monotonic() < ends_at, self._seen
            self.type("\x03")
        self.until(PROMPT)

    def until(self, what: str) -> str:
        """Return what comes up to and with a text; fails when it does not come in time."""
        assert self._comes(what, time.monotonic() + SECONDS), f"no {what!r} in {self._seen!r}"
        before, found, self._seen = self._seen.partition(what)
        return before + found

    def _comes(self, what: str, ends_at: float) -> bool:
        while what not in self._seen:
            if not select.select([self._ours], [], [], max(0, ends_at - time.monotonic()))[0]:
                return False
            try:
                self._seen += self._decoder.decode(os.read(self._ours, 4096))
            except OSError as error:  # the other end is closed
                raise AssertionError(f"ended without {what!r} after {self._seen!r}") from error
        return True

    def end(self) -> int:
        status = self.process.wait(SECONDS)
        os.close(self._ours)
        return status


@pytest.fixture
def at_terminal(prepared: tuple[Path, Path]) -> Iterator[Any]:
    opened: list[Terminal] = []

    def start(*args: str) -> Terminal:
        opened.append(Terminal(prepared, *args))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()


at_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")


@at_a_terminal
def test_a_terminal_with_history_and_interrupts(prepared: tuple[Path, Path], at_terminal: Any) -> None:
    terminal = at_terminal("-k", "1")
    assert "6 passages. :help, or a question" in terminal.until(PROMPT)
    terminal.type("fresh duona\r")
    assert "     fresh duona" in terminal.until(" ms\r\n")
    terminal.until(PROMPT)
    terminal.type("a line that is dro")
    terminal.until("is dro")
    for _ in range(4):  # on an empty line, too
        terminal.interrupt()
    terminal.type("bread rotti\r")
    assert "     bread rotti" in terminal.until(" ms\r\n")
    terminal.until(PROMPT)
    terminal.type("\x04")
    assert terminal.end() == 0
    history = prepared[0] / "history"
    assert [line for line in history.read_text("utf-8").splitlines() if line[0] != "_"] == [
        "fresh duona",
        "bread rotti",
    ]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600

    again = at_terminal("-q", "-k", "1")
    assert again.until(PROMPT) == PROMPT  # no banner
    again.type("\x10\x10\r")  # two lines back
    assert "     fresh duona" in again.until(f"\n{PROMPT}")
    again.type(":nothing\r")
    assert "Error: there is no command :nothing" in again.until(PROMPT)
    again.type("žąsis తెలుగు\r")
    again.until(f"\n{PROMPT}")
    again.type(":quit\r")
    assert again.end() == 0
    assert history.read_text("utf-8").splitlines()[-2:] == ["žąsis తెలుగు", ":quit"]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


@at_a_terminal
def test_a_history_that_cannot_be_kept_spoils_nothing(prepared: tuple[Path, Path], at_terminal: Any) -> None:
    history = prepared[0] / "history"
    history.unlink(missing_ok=True)
    history.mkdir()
    try:
        terminal = at_terminal()
        terminal.until(PROMPT)
        terminal.type(":help\r")
        assert "(also Ctrl-D)" in terminal.until(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0
    finally:
        history.rmdir()
