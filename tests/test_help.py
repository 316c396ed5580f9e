"""Help: every command's has the same parts, and its examples are commands that can be run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from index.sample_corpus import SAMPLES
from search.cli import main
from search.cli_help import GROUPS, STATUSES, Documented, split_examples
from tests.builds import environment
from tests.programs import Programs

EXAMPLES = [
    (name, line.strip())
    for name, command in sorted(main.commands.items())
    for line in split_examples(command.help or "")[1].splitlines()
]
RUN = ("build", "search", "info", "verify", "repair", "refit", "update", "shell", "doctor", "models", "completion")
"""Commands whose examples are run as they stand; those of the others take minutes, and are parsed."""


def shown(name: str) -> str:
    result = CliRunner().invoke(main, [name, "--help"], prog_name="tongues")
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_told_whole(name: str) -> None:
    command = main.commands[name]
    assert isinstance(command, Documented)
    text = shown(name)
    summary, _, more = split_examples(command.help or "")[0].partition("\n\n")
    assert 10 < len(summary) < 130
    assert "\n" not in summary
    assert summary.endswith((".", "."))
    headings = re.findall(r"^([A-Z][A-Za-z ]+):$", text, re.MULTILINE)
    wanted = ["Options", *GROUPS, "Examples", "Exit status", "Environment", "Files"]
    assert headings == [heading for heading in wanted if heading in headings]
    assert {"Options", "Examples", "Exit status"} <= set(headings)
    assert set(STATUSES) <= set(re.findall(r"^  (\d+)  ", text, re.MULTILINE))
    for option in command.params:
        if isinstance(option, click.Option):
            assert len(re.findall(rf"^  .*(?<![\w-]){re.escape(option.opts[-1])}(?![\w-])", text, re.MULTILINE)) >= 1
            assert option.help
    assert ("TONGUES_INDEX" in text) == any("--index" in one.opts for one in command.params)
    assert not [line for line in text.splitlines() if len(line) > 100 and not line.startswith("  tongues")]
    assert not re.search(r"\S {4}\S", more)  # no indent of the source within the text


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_every_example_can_be_parsed(name: str, line: str) -> None:
    inner = re.search(r"\$\((.*)\)", line)
    words = shlex.split(inner.group(1) if inner else line)
    words = words[: next((at for at, word in enumerate(words) if word in ("<", ">", ">>")), len(words))]
    assert words[:2] == ["tongues", name]
    with main.commands[name].make_context(f"tongues {name}", words[2:]) as context:
        assert context.params


def test_the_first_help_names_what_holds_for_all() -> None:
    text = CliRunner().invoke(main, ["--help"], prog_name="tongues").stdout
    for heading in ("Options:", "Commands:", "Exit status:", "Environment:"):
        assert f"\n{heading}\n" in text
    assert all(f"\n  {name} " in text for name in main.commands)


def test_a_group_of_one_option_stands_with_the_others() -> None:
    text = shown("verify")
    assert "What is asked:" not in text
    assert "--json" in shown("models").split("Examples:")[0].split("Options:")[1]


def test_the_examples_do_what_they_say(offline_folder: Path, tmp_path: Path) -> None:
    """All in one folder, in the order that a user would type them in."""
    programs = Programs(tmp_path / "bin")
    programs.add("nano")
    (programs.folder / "tongues").write_text(f"#!{sys.executable}\nfrom search.cli import run\nrun()\n", "utf-8")
    (programs.folder / "tongues").chmod(0o755)
    home, folder = tmp_path / "user", tmp_path / "work"
    for one in (folder, folder / "reports", folder / "new-letters", home / ".config" / "fish" / "completions"):
        one.mkdir(parents=True)
    for lang in ("lt", "te", "fa"):
        source = sorted((SAMPLES / lang).iterdir())[0]
        shutil.copy(source, folder / "reports" / f"{lang}{source.suffix}")
    (folder / "letters.jsonl").write_text('{"id": "1", "text": "Kada grąžinami pinigai? Per dvi savaites."}\n', "utf-8")
    (folder / "corpus.csv").write_text("number,body\n1,The shop answers letters within a day.\n", "utf-8")
    (folder / "new-letters" / "a.txt").write_text("A new letter about refunds.\n", "utf-8")
    (folder / "questions.txt").write_text("How are refunds paid?\n", "utf-8")
    pairs = [f'{{"lt": "Pinigai grąžinami {n}", "en": "Money is paid back {n}"}}\n' for n in range(12)]
    (folder / "sentences.jsonl").write_text("".join(pairs), "utf-8")
    changes = environment(
        PATH=f"{programs.folder}{os.pathsep}{os.environ['PATH']}", HOME=str(home), EDITOR="nano", TERM="dumb"
    )
    from index.files import home as cache

    changes["TONGUES_HOME"] = str(cache())
    ordered = [(name, line) for wanted in RUN for name, line in EXAMPLES if name == wanted]
    ordered = [one for one in ordered if "corpus.csv" not in one[1]]  # another index in the same place
    assert len(ordered) >= 20
    script = "set -e\n" + "\n".join(f"echo '== {number}' >&2\n{line}" for number, (_, line) in enumerate(ordered))
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=changes, capture_output=True, stdin=subprocess.DEVNULL, timeout=300
    )
    at = int(done.stderr.decode().rpartition("== ")[2].split()[0])
    assert done.returncode == 0, (ordered[at], done.stderr.decode()[-600:])
    (call,) = programs.calls()
    assert call[0] == "nano"
    assert Path(call[1][1]).is_relative_to(folder)
    assert "tongues completion bash" in (home / ".bashrc").read_text("utf-8")
