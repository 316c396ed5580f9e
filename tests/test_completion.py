"""Shell completion: what is offered, and that real shells complete it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from index.config import OFFLINE_MODEL
from search.cli import main
from search.completion import languages_of
from search.completion_words import offered_languages
from tests.builds import documents, environment, make_index
from tests.terminals import CTRL_C, at_a_terminal

HEAVY = ("faiss", "numpy", "openvino", "sqlite3", "tokenizers", "torch", "regex")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two indexes, one in a folder whose name has a space, and folders that are none."""
    folder = tmp_path_factory.mktemp("completion")
    made = [
        *documents("bread", "water", "milk"),
        *documents("duona", "vanduo", lang="lt"),
        *documents("రొట్టె", lang="te-IN"),
    ]
    unlike = [one.__class__(f"{one.lang}{one.doc_id}", one.source, one.text, lang=one.lang) for one in made]
    make_index(folder / "my-index", unlike)
    (folder / "my-reports").mkdir()
    (folder / "notes").mkdir()
    shutil.copytree(folder / "my-index", folder / "with space" / "other-index")
    (folder / "report.txt").write_text("x")
    return folder


def offers(*words: str, last: str = "") -> list[str]:
    """Return what completes a line: its words, and the last one as far as it is typed."""
    found = ShellComplete(main, {}, "tongues", "_TONGUES_COMPLETE").get_completions(list(words), last)
    return [f"<{item.type}>" if item.type != "plain" else item.value for item in found]


def test_commands_options_and_choices() -> None:
    assert offers(last="sea") == ["search"]
    assert set(offers()) == set(main.commands)
    assert offers("search", last="--per") == ["--per-language"]
    assert offers("search", "--mode") == ["dense", "hybrid", "lexical"]
    assert offers("build", "--kind", last="iv") == ["ivf-sq", "ivf-pq"]
    assert offers("completion") == ["bash", "zsh", "fish"]
    assert offers("build", last="rep") == ["<file>"]
    assert offers("search", "--model", last="e5") == [OFFLINE_MODEL]
    assert offers("search", "--model", last="/") == ["<dir>"]


def test_indexes_before_other_folders(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert offers("search", "--index") == ["my-index"]
    assert offers("search", "--index", last="my-") == ["my-index"]
    assert offers("search", "--index", last="my-r") == ["<dir>"]
    assert offers("info", "--index", last=f"{place}/my") == [f"{place}/my-index"]
    assert offers("info", "--index", last="with space/o") == ["with space/other-index"]
    assert offers("info", "--index", last="nowhere/") == ["<dir>"]
    assert offers("info", "--index", last="~/") == ["<dir>"]
    (place / "an index").symlink_to(place / "my-index")
    assert offers("info", "--index", last="an") == ["<dir>"]  # the shell quotes what needs it
    (place / "an index").unlink()


def test_languages_are_those_of_the_index_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.delenv("TONGUES_INDEX", raising=False)
    assert offers("search", "--index", "my-index", "--lang") == ["en", "lt", "te-IN"]
    assert offers("search", "--index", "my-index", "--lang", last="L") == ["lt"]
    assert offers("search", "--index", "my-index", "--lang", last="lt,") == ["lt,en", "lt,te-IN"]
    assert offers("search", "--lang") == []
    assert offers("search", "--index", "notes", "--lang") == []
    monkeypatch.setenv("TONGUES_INDEX", "my-index")
    assert offers("search", "--lang", last="t") == ["te-IN"]
    (place / "notes" / "CURRENT").write_text("g000001")
    assert languages_of("notes") == []
    (place / "notes" / "CURRENT").unlink()


def test_a_list_goes_on_with_what_is_not_in_it() -> None:
    assert offered_languages(["en", "lt"], "") == ["en", "lt"]
    assert offered_languages(["en", "lt"], "EN,l") == ["EN,lt"]
    assert offered_languages(["en", "lt"], "en,lt,") == []


def test_an_unknown_shell_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["completion", "csh"], prog_name="tongues")
    assert (result.exit_code, "'csh' is not one of 'bash', 'zsh', 'fish'" in result.stderr) == (2, True)
    assert isinstance(main.commands["completion"], click.Command)


# Real shells.


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program ``tongues``, as an installation has it."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "tongues").write_text(f"#!{sys.executable}\nfrom search.cli import run\nrun()\n")
    (folder / "tongues").chmod(0o755)
    return folder


def of_shell(programs: Path, **changes: str) -> dict[str, str]:
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return environment(PATH=path, TERM="dumb", PS1="READY> ", HOME=str(programs), LC_ALL="C.UTF-8", **changes)


def test_a_press_of_tab_loads_nothing_heavy(place: Path, programs: Path) -> None:
    code = (
        "import sys\nfrom search.cli import main\ntry:\n    main(prog_name='tongues')\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    line = "tongues search --index my-index --lang l"
    changes = {"_TONGUES_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "5"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=of_shell(programs, **changes), cwd=place, capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == ["plain,lt", "[]"]


@pytest.fixture
def bash(programs: Path, place: Path) -> Iterator[Any]:
    env = of_shell(programs, INPUTRC=os.devnull)
    with at_a_terminal(["bash", "--norc", "--noprofile"], env=env, cwd=place, columns=200) as (child, _):
        child.expect_exact("READY> ")
        child.sendline('eval "$(tongues completion bash)"; bind "set bell-style none"; echo done')
        child.expect_exact("done\r\nREADY> ")
        yield child


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("tongues sea\t", "tongues search "),
        ("tongues search --index my\t", "tongues search --index my-index "),
        ("tongues search --index 'with space'/o\t", "other-index"),
        ("tongues search --index my-index --lang lt,t\t", "--lang lt,te-IN "),
        ("tongues search --mode lex\t", "--mode lexical "),
        ("tongues build rep\t", "tongues build report.txt "),
        ("tongues build --out no\t", "tongues build --out notes/"),
    ],
)
def test_bash_completes(typed: str, completed: str, bash: Any) -> None:
    bash.send(typed)
    bash.expect_exact(completed.strip())
    bash.send(CTRL_C)


def test_the_script_of_each_shell_is_one_it_reads(programs: Path) -> None:
    """Zsh and fish are asked where they are installed; their scripts are click's own, so bash stands for them."""
    for shell, flag in (("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")):
        script = CliRunner().invoke(main, ["completion", shell], prog_name="tongues").stdout
        assert "_TONGUES_COMPLETE" in script
        assert script.isascii()
        if shutil.which(shell):
            (programs / shell).with_suffix(".script").write_text(script)
            done = subprocess.run([shell, flag, str(programs / f"{shell}.script")], capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b"")
