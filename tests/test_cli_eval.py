"""``tongues eval``: tables and JSON, indexes that are kept, runs, comparisons, and wrong usage."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from index.builder import build
from index.config import BuildSettings, ModelSettings
from search.cli import main
from search.eval_report import score_run
from search.eval_set import read_eval_set
from tests.eval_sets import read_run, write_set
from tests.tiny_models import make_cross_encoder

TEXTS = {"lt": "Kepykla parduoda duoną.", "fa": "نان تازه می‌فروشد.", "te": "బేకరీ తాజా రొట్టె అమ్ముతుంది."}
CORPUS = [{"_id": f"d-{lang}", "text": text, "lang": lang} for lang, text in TEXTS.items()]
QUERIES = [{"_id": f"q-{lang}", "text": text, "lang": lang} for lang, text in TEXTS.items()]
QRELS = {f"q-{lang}": {f"d-{lang}": 1} for lang in TEXTS}
KEYS = ["set", "settings", "without_hits", "unknown_documents", "per_language", "mean", "per_query"]
PLAIN = ("--mode", "dense", "--balance", "off")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("search.evaluate.home", lambda: tmp_path / "home")
    monkeypatch.delenv("TONGUES_INDEX", raising=False)
    return tmp_path / "home"


@pytest.fixture
def bread(tmp_path: Path) -> Path:
    write_set(tmp_path / "bread", CORPUS, QUERIES, QRELS)
    return tmp_path / "bread"


@pytest.fixture
def model(tiny_model: Path) -> str:
    return str(tiny_model)


def measure(*args: object, **environment: str) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, args)], env=environment, prog_name="tongues")


def stages(result: Result) -> tuple[bool, bool]:
    """Say whether something was indexed, and whether it was asked."""
    told = result.stderr.splitlines()
    return "indexing …" in told, "asking …" in told


def reports(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_as_a_table(bread: Path, model: str) -> None:
    result = measure(bread, "--model", model, *PLAIN)
    assert (result.exit_code, stages(result)) == (0, (True, True))
    heading, *lines = result.stdout.splitlines()
    assert re.fullmatch(
        rf"bread: 3 queries to 3 documents in 3 passages, in \d+\.\d s \({model} int8, dense, balance off, "
        r"max_tokens 192, .*\)",
        heading,
    )
    assert lines[:5] == [
        "query  queries  nDCG@10  recall@10  MRR@10  mAP@100  success@1  success@3  success@10  PEER@20",
        "fa           1    1.000      1.000   1.000    1.000      1.000      1.000       1.000        -",
        "lt           1    1.000      1.000   1.000    1.000      1.000      1.000       1.000        -",
        "te           1    1.000      1.000   1.000    1.000      1.000      1.000       1.000        -",
        "mean         3    1.000      1.000   1.000    1.000      1.000      1.000       1.000        -",
    ]
    assert lines[-1] == "mean   0.333  0.333  0.333"


def test_as_json(bread: Path, model: str) -> None:
    result = measure(bread, "--model", model, "--json", "-q", "--max-tokens", 40)
    assert result.stderr == ""
    (report,) = reports(result)
    assert list(report) == KEYS
    assert report["set"] == "bread"
    settings = report["settings"]
    assert (settings["model"], settings["mode"], settings["balance"]) == (model, "hybrid", "auto")
    assert (settings["rerank"], settings["chunking"]["max_tokens"], settings["passages"]) == (None, 40, 3)
    assert report["mean"]["ndcg@10"] == 1
    assert report["per_language"]["te"]["n"] == 1
    assert list(report["per_query"]) == ["q-lt", "q-fa", "q-te"]
    assert f"JSON keys: {', '.join(KEYS)}." in " ".join(measure("-h").stdout.split())


def test_an_index_is_kept_until_the_corpus_changes(bread: Path, model: str, home: Path) -> None:
    args = (bread, "--model", model, "--json", *PLAIN)
    first, second = measure(*args), measure(*args)
    assert (stages(first), stages(second)) == ((True, True), (False, True))
    assert reports(first)[0]["mean"] == reports(second)[0]["mean"]
    write_set(bread, CORPUS[:2], QUERIES, QRELS)
    third = measure(*args)
    assert stages(third) == (True, True)
    assert reports(third)[0]["unknown_documents"] == 1
    assert len([path for path in (home / "eval").iterdir() if path.is_dir()]) == 2


def test_several_sets(bread: Path, model: str) -> None:
    other = write_set(bread.parent / "two", CORPUS[:2], QUERIES[:2], {"q-lt": {"d-lt": 1}}).corpus.parent
    shown = measure(bread, other, "--model", model, "-q").stdout
    assert shown.startswith("bread: 3 queries")
    assert "\n\ntwo: 1 queries to 2 documents" in shown
    assert [report["set"] for report in reports(measure(other, bread, "--model", model, "--json"))] == ["two", "bread"]


def test_an_index_that_is_there(bread: Path, model: str, tmp_path: Path, home: Path) -> None:
    settings = BuildSettings(ModelSettings(model))
    build([bread / "corpus.jsonl"], tmp_path / "mine", settings=settings)
    (report,) = reports(measure(bread, "--index", tmp_path / "mine", "--json"))
    assert (report["mean"]["ndcg@10"], report["settings"]["model"]) == (1, model)
    assert not (home / "eval").exists()
    (tmp_path / "other.jsonl").write_text('{"_id": "stranger", "text": "x y"}')
    build([tmp_path / "other.jsonl"], tmp_path / "other", settings=settings)
    result = measure(bread, "--index", tmp_path / "other")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.search(r"^Error: .*other: holds 1 documents that are not in .*, such as 'stranger'\. ", result.stderr)
    # Where searches go by default says nothing of sets.
    assert measure(bread, "--model", model, TONGUES_INDEX=str(tmp_path / "other")).exit_code == 0


def test_what_could_not_be_used_is_told(bread: Path, model: str) -> None:
    write_set(
        bread,
        [*CORPUS, {"_id": "bad", "text": 5}],
        [*QUERIES, {"_id": "q", "text": "?"}],
        QRELS | {"nobody": {"d-lt": 1}},
    )
    told = measure(bread, "--model", model).stderr.splitlines()[-3:]
    assert told[:2] == [
        "bread: 1 queries left out: no document is relevant to them",
        "bread: 1 judgments left out: their queries are not in the set",
    ]
    assert told[2].startswith("bread: 1 documents not read: see `tongues info --rejected --index ")
    assert measure(bread, "--model", model, "-q").stderr == ""


def test_a_run(bread: Path, model: str, tmp_path: Path) -> None:
    file = tmp_path / "found.trec"
    (report,) = reports(measure(bread, "--model", model, "--json", "--run", file, *PLAIN))
    eval_set, run = read_eval_set(bread), read_run(file)
    assert [found[0][0] for found in run.values()] == ["d-lt", "d-fa", "d-te"]
    again = score_run(eval_set.queries, eval_set.qrels, run, {f"d-{lang}": lang for lang in TEXTS}).to_dict()
    assert again["mean"] == report["mean"]
    assert again["per_query"] == report["per_query"]


def test_reranked(bread: Path, model: str, tmp_path: Path, tiny_model: Path) -> None:
    pairs = make_cross_encoder(tmp_path / "pairs", tiny_model.with_name(f"{tiny_model.name}-parts"))
    (report,) = reports(measure(bread, "--model", model, "--rerank", pairs, "--json"))
    assert report["settings"]["rerank"] == str(pairs)
    assert report["mean"]["recall@10"] == 1
    assert f"reranked by {pairs}" in measure(bread, "--model", model, "--rerank", pairs).stdout
    assert measure(bread, "--model", model, "--rerank", model).exit_code == 1


def plain_report(name: str, values: list[float], **settings: object) -> str:
    measures = ("ndcg@10", "recall@10", "mrr@10", "map@100")
    queries = {f"q{i}": {"lang": "lt", **dict.fromkeys(measures, value)} for i, value in enumerate(values)}
    return json.dumps({"set": name, "settings": settings, "per_query": queries})


@pytest.fixture
def written(tmp_path: Path) -> tuple[str, str]:
    first, second = tmp_path / "off.json", tmp_path / "auto.json"
    lines = [plain_report("bread", [0.5] * 6, balance="off", seconds=1), plain_report("old", [1.0])]
    first.write_text("\n".join(lines))
    lines = [plain_report("new", [1.0]), plain_report("bread", [1.0] * 6, balance="auto", seconds=2)]
    second.write_text("\n".join(lines))
    return str(first), str(second)


def test_compared(written: tuple[str, str]) -> None:
    result = measure("--compare", *written)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:4] == [
        "bread: balance off → auto",
        "nDCG@10  queries  first  second  change      p",
        "lt             6  0.500   1.000  +0.500  0.031",
        "mean           6  0.500   1.000  +0.500  0.031",
    ]
    assert result.stderr == f"new: only in {written[1]}\nold: only in {written[0]}\n"
    (same,) = reports(measure("--compare", *written, "--json"))
    assert (same["set"], same["mean"]["ndcg@10"]["p"]) == ("bread", 2 / 2**6)
    assert measure("--compare", written[0], written[0]).stdout.startswith("bread: the same settings\n")


def test_compared_as_it_was_written(bread: Path, model: str, tmp_path: Path) -> None:
    for name, args in (("a", PLAIN), ("b", ("--mode", "lexical", "--balance", "off"))):
        (tmp_path / name).write_text(measure(bread, "--model", model, "--json", *args).stdout, "utf-8")
    result = measure("--compare", tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 0
    assert result.stdout.startswith("bread: mode dense → lexical\n")
    assert "1.000" in result.stdout


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "x.json: is empty. Write it with: tongues eval SET --json > FILE"),
        ("bread: 3 queries\n", "x.json:1: is no report. Write the file with: tongues eval SET --json > FILE"),
        ("[]", "x.json:1: is no report."),
        ('{"set": ["bread"]}', "x.json:1: is no report."),
        ('{"set": "bread"}\n{"set": "bread"}', "x.json:2: the set 'bread' is there twice. Keep one of its lines."),
        ('{"set": "bread"}', "the second report has no set, or a query in it no language or measure"),
        ('{"set": "other"}', "x.json of other. Compare two reports of one set."),
    ],
)
def test_what_cannot_be_compared(content: str, problem: str, written: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    result = measure("--compare", written[0], tmp_path / "x.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ([], "name a SET, or two files to --compare."),
        (["-q"], "name a SET, or two files to --compare."),
        (["a", "b", "--index", "x"], "--index is of one SET; measure the 2 one by one."),
        (["a", "b", "--run", "x"], "--run is of one SET; measure the 2 one by one."),
        (["a", "--index", "x", "--max-tokens", "64"], "--max-tokens decides how an index is made; drop it or --index."),
        (["x/a", "b", "y/a"], "2 SETs are called 'a', so their reports could not be told apart; rename one."),
        (["a", "--compare", "x", "y"], "--compare reads what was measured before; drop a SET."),
        (["--compare", "x", "y", "--run", "z", "--mode", "dense"], "drop --mode and --run."),
        (["--compare", "x"], "requires 2 arguments"),
        (["a", "--mode", "other"], "'other' is not one of"),
    ],
)
def test_wrong_usage(args: list[str], problem: str) -> None:
    result = measure(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in " ".join(result.stderr.split())


def test_a_set_that_is_not_there_costs_no_time(tmp_path: Path, bread: Path, home: Path, model: str) -> None:
    result = measure(bread, tmp_path / "none", "--model", model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {tmp_path / 'none'}: is not a folder.")
    assert not (home / "eval").exists()
