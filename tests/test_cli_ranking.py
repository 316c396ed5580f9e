"""How the command line ranks: its options against the library, what it explains, and the keys the docs promise."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from index.store import Store
from index.verifier import verify
from search.cli import main
from search.hits import Hit
from search.rank_settings import Balance, Mode, RankSettings
from search.searcher import Searcher
from tests.builds import ROOT

TEXTS = {
    "en.txt": "The bakery is open. It sells bread.",
    "fa.txt": "نانوایی باز است. نان می‌فروشد.",
    "te.txt": "బేకరీ తెరిచి ఉంది. రొట్టె అమ్ముతుంది.",
}
"""Two sentences each, few enough letters for the tiny model to read both."""
EXPLAINED = re.compile(r"     dense -?\d\.\d{3}  balance [+-]\d\.\d{3}  lexical [+-]\d\.\d{3}(  words: .+)?")


def tongues(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, list(args), input=stdin, prog_name="tongues")


def build(out: Path, model: Path, *args: str) -> Path:
    """Build an index of the texts by the command."""
    folder = out / "in"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    result = tongues("build", str(folder), "--out", str(out / "index"), "--model", str(model), "-q", *args)
    assert (result.exit_code, result.output) == (0, "")
    return out / "index"


@pytest.fixture(scope="module")
def built(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"), tiny_model)


def test_every_mode_and_balance_is_that_of_the_library(built: Path) -> None:
    with Searcher.open(built) as searcher:
        for mode in Mode:
            for balance in Balance:
                given = ["--mode", str(mode), "--balance", str(balance), "--json", "--explain"]
                result = tongues("search", "--index", str(built), *given, "bread bakery")
                assert (result.exit_code, result.stderr) == (0, "")
                hits = searcher.search("bread bakery", settings=RankSettings(mode, balance), explain=True)
                shown = [json.loads(line) for line in result.stdout.splitlines()]
                assert len(shown) == (1 if mode == Mode.LEXICAL else 3)
                for found, hit in zip(shown, hits, strict=True):
                    expected = json.loads(json.dumps(hit.to_dict()))
                    for part in ("score", "dense", "balance", "lexical"):
                        assert found.pop(part) == pytest.approx(expected.pop(part), abs=1e-5)
                    assert found == expected


@pytest.mark.parametrize("command", ["search", "shell"])
@pytest.mark.parametrize(
    ("option", "choices"), [("--mode", "'dense', 'hybrid', 'lexical'"), ("--balance", "'off', 'auto', 'full'")]
)
@pytest.mark.parametrize("value", ["", "Dense", "0.5"])
def test_wrong_values_are_told_with_the_right_ones(command: str, option: str, choices: str, value: str) -> None:
    query = ["bread"] if command == "search" else []
    result = tongues(command, "--index", "x", option, value, *query)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Error: Invalid value for '{option}': '{value}' is not one of {choices}." in result.stderr


@pytest.mark.parametrize("command", ["search", "shell"])
def test_help_tells_the_defaults(command: str) -> None:
    shown = " ".join(tongues(command, "-h").stdout.split())
    assert "--mode [dense|hybrid|lexical]" in shown
    assert "[default: hybrid]" in shown
    assert "--balance [off|auto|full]" in shown
    assert shown.count("[default: auto]") == 3  # of the backend and of colour, too


def test_a_query_whose_words_stand_nowhere(built: Path) -> None:
    result = tongues("search", "--index", str(built), "--mode", "lexical", "zzz")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line[4:] for line in result.stdout.splitlines()] == ["zzz", " nothing found", ""]
    assert tongues("search", "--index", str(built), "--mode", "lexical", "--json", "zzz").stdout == ""


def test_explain_adds_a_line_to_every_hit(built: Path) -> None:
    plain = tongues("search", "--index", str(built), "bread, bakery!").stdout.splitlines()
    explained = tongues("search", "--index", str(built), "--explain", "bread, bakery!").stdout.splitlines()
    told = [line for line in explained if EXPLAINED.fullmatch(line)]
    assert len(told) == 3
    assert [line for line in explained if line not in told] == plain
    (english,) = (line for line in told if "words:" in line)
    assert english.endswith("  words: bakery, bread")


def test_what_is_shown_begins_with_the_closest_sentence(built: Path) -> None:
    for name, text in TEXTS.items():
        first, second = re.split(r"(?<=\.) ", text)
        for sentence, shown in ((first, text), (second, f"… {second}")):
            result = tongues("search", "--index", str(built), sentence, "--lang", name[:2])
            assert result.stdout.splitlines()[2].strip(" \u2068\u2069") == shown
            (line,) = tongues(
                "search", "--index", str(built), sentence, "--lang", name[:2], "--json"
            ).stdout.splitlines()
            start, end = json.loads(line)["highlight"]
            assert text[start:end] == sentence


def test_the_keys_of_json_are_those_of_the_docs_in_their_order(built: Path) -> None:
    docs = (ROOT / "docs" / "searching.md").read_text("utf-8")
    table = docs.partition("`--json` prints one object a line:\n\n")[2].partition("\n\n")[0]
    documented = [key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])]
    line = tongues("search", "--index", str(built), "--json", "-k", "1", "bread").stdout
    assert list(json.loads(line)) == documented
    assert len(documented) == 20


def test_terms_are_filled_by_explain_alone(built: Path) -> None:
    def terms(*args: str) -> list[list[str]]:
        result = tongues("search", "--index", str(built), "--json", "--lang", "en", "sells bread", *args)
        return [json.loads(line)["terms"] for line in result.stdout.splitlines()]

    assert terms() == [[]]
    assert terms("--explain") == [["sells", "bread"]]


def test_an_index_without_sentences_is_built_and_answers(built: Path, tiny_model: Path, tmp_path: Path) -> None:
    without = build(tmp_path, tiny_model, "--no-sentences")
    for directory, n in ((without, 0), (built, 6)):
        assert verify(directory) == []
        with Store.open(directory) as store:
            assert store.manifest.counts.sentences == n
            assert (store.sentences() is None) == (n == 0)
    result = tongues("search", "--index", str(without), "--json", "bread")
    hits = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(hits) == 3
    assert all(hit["highlight"] == [hit["start"], hit["end"]] for hit in hits)
    assert all(list(hit) == [field.name for field in dataclasses.fields(Hit)] for hit in hits)
    for mode in Mode:
        assert tongues("search", "--index", str(without), "--mode", str(mode), "bread").exit_code == 0
