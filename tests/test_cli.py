"""The command line as people and programs use it: output, talk, exit statuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from index.layout import CURRENT, FAISS
from index.store import current_generation
from index.version import __version__
from search.cli import main

COMMANDS = ["build", "update", "search", "shell", "info", "verify", "repair", "refit", "models", "demo", "eval"]
COMMANDS += ["doctor", "completion", "serve"]
COMMANDS += ["export", "import", "mcp"]
KEYS = ["query", "rank", "score", "lang", "source", "doc_id", "title", "passage_id", "start", "end", "text"]
KEYS += ["metadata", "also_in", "n_places", "highlight", "dense", "balance", "lexical", "terms", "locator"]
COSINES = ["--mode", "dense", "--balance", "off"]
"""What makes a score the cosine of two vectors."""
TEXTS = {
    "en.txt": "The bakery sells fresh bread.",
    "fa.md": "# نانوایی\n\nنان تازه می‌فروشد.",
    "te.txt": "బేకరీ తాజా రొట్టె అమ్ముతుంది.",
}


def tongues(*args: str, stdin: str | bytes = "", **environment: str) -> Result:
    return CliRunner().invoke(main, list(args), input=stdin, env=environment, prog_name="tongues")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def built(corpus: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "index"
    result = tongues("build", str(corpus), "--out", str(out), "--model", str(tiny_model))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("indexing …\n")
    assert f"{out}: 3 documents, 3 passages (en 1, fa 1, te 1), in " in result.stderr
    return out


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(name: str, flag: str) -> None:
    result = tongues(name, flag)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: tongues {name} ")
    if name in ("build", "search", "shell", "eval", "export", "import"):
        assert result.stdout.count(f"  tongues {name} ") >= 2  # examples


def test_help_of_all_and_version() -> None:
    result = tongues("--help")
    assert [word for word in COMMANDS if f"\n  {word} " in result.stdout] == COMMANDS
    assert sorted(main.commands) == sorted(COMMANDS)
    assert tongues("--version").stdout == f"tongues, version {__version__}\n"


def test_search_for_people(built: Path) -> None:
    result = tongues("search", "--index", str(built), *COSINES, TEXTS["en.txt"])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("en  The bakery")
    assert lines[1].startswith("  1  1.000  en  ")
    assert TEXTS["te.txt"] in result.stdout


def test_search_as_json(built: Path, corpus: Path) -> None:
    result = tongues("search", "--index", str(built), "--json", "-k", "2", *COSINES, TEXTS["te.txt"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert TEXTS["te.txt"] in result.stdout  # not escaped
    hits = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(hit) for hit in hits] == [KEYS, KEYS]
    assert [hit["rank"] for hit in hits] == [1, 2]
    first = hits[0]
    assert (first["source"], first["doc_id"], first["lang"]) == ((corpus / "te.txt").as_posix(), "te.txt", "te")
    assert (first["start"], first["end"]) == (0, len(TEXTS["te.txt"]))
    assert (first["highlight"], first["terms"]) == ([0, len(TEXTS["te.txt"])], [])
    assert (first["dense"], first["balance"], first["lexical"]) == (first["score"], 0, 0)
    assert first["score"] == pytest.approx(1, abs=1e-4)
    help_text = " ".join(tongues("search", "-h").stdout.split())
    assert f"JSON keys: {', '.join(KEYS)}." in help_text


def test_queries_from_standard_input(built: Path) -> None:
    result = tongues("search", "-", "--json", "-k", "1", stdin="\n نان تازه \n\t\nbread\n", TONGUES_INDEX=str(built))
    assert result.exit_code == 0
    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == ["نان تازه", "bread"]
    assert tongues("search", "--index", str(built), "-", stdin=" \n\n").stdout == ""


def test_standard_input_with_a_mark_and_broken_bytes(built: Path) -> None:
    given = b"\xef\xbb\xbfbread\r\nca\xfe\n"
    result = tongues("search", "--index", str(built), "-k", "1", "--json", "-", stdin=given)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == ["bread", "ca\ufffd"]


def test_filters(built: Path) -> None:
    def langs(*args: str) -> list[str]:
        result = tongues("search", "--index", str(built), "bread", "--json", *args)
        return sorted(json.loads(line)["lang"] for line in result.stdout.splitlines())

    assert langs("--lang", "te,FA") == ["fa", "te"]
    assert langs("--lang", "te") == ["te"]
    assert langs("--per-language", "2") == ["en", "fa", "te"]
    shown = tongues("search", "--index", str(built), "bread", "--per-language", "1").stdout
    assert [f"── {lang} ──" in shown for lang in ("en", "fa", "te", "lt")] == [True, True, True, False]


@pytest.mark.parametrize("lang", ["lt", "", "te,", "xx,te"])
def test_a_language_that_is_not_there(built: Path, lang: str) -> None:
    result = tongues("search", "--index", str(built), "bread", "--lang", lang)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith("holds en, fa, te.\n")


@pytest.mark.parametrize(
    "args",
    [
        ["search", "", "--index", "x"],
        ["search", "  ", "--index", "x"],
        ["search", "q"],
        ["search", "q", "--index", "x", "-k", "0"],
        ["search", "q", "--index", "x", "-k", "many"],
        ["search", "q", "--index", "x", "--per-language", "0"],
        ["search", "--index", "x"],
        ["search", "q", "--index", "x", "-k", "10", "--per-language", "2"],
        ["build", "--out", "x"],
        ["build", "a.txt"],
        ["build", "a.txt", "--out", "x", "--max-tokens", "few"],
        ["index"],
        ["models", "--what"],
    ],
)
def test_wrong_usage_is_status_2(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGUES_INDEX", raising=False)
    result = tongues(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: tongues" in result.stderr


def test_k_and_per_language_are_one_too_many() -> None:
    result = tongues("search", "q", "--index", "x", "-k", "10", "--per-language", "2")
    assert result.stderr.endswith("Error: -k is not used with --per-language; drop one.\n")


def test_an_interrupted_search_says_only_that(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.searcher.Searcher.search", interrupt)
    result = tongues("search", "--index", str(built), "bread")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Interrupted.\n")


def test_long_queries_are_noticed(built: Path) -> None:
    result = tongues("search", "--index", str(built), "word " * 2000, "--json")
    assert result.exit_code == 0
    assert "tokens longer than the model reads" in result.stderr
    assert len(result.stdout.splitlines()) == 3
    assert tongues("search", "--index", str(built), "word " * 2000, "-q").stderr == ""


def test_info(built: Path, tiny_model: Path, corpus: Path) -> None:
    shown = dict(line.split(maxsplit=1) for line in tongues("info", "--index", str(built)).stdout.splitlines())
    assert (shown["documents"], shown["passages"]) == ("3", "3")
    assert shown["languages"] == "en 1, fa 1, te 1"
    assert shown["model"] == f"{tiny_model}: 32 numbers a vector, reads 48 tokens, int8"
    assert shown["sources"] == str(corpus)
    data = json.loads(tongues("info", "--index", str(built), "--json").stdout)
    assert (data["format_version"], data["counts"]["languages"]) == (4, {"en": 1, "fa": 1, "te": 1})


def test_rejected_and_left_out_are_listed(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", str(tmp_path / "index")
    folder.mkdir()
    (folder / "a.md").write_text("null\n\nSome honest text.\n")
    (folder / "b\x1b[31m.txt").write_bytes(b"")
    args = ["build", str(folder), "--out", out, "--model", str(tiny_model), "-q"]
    result = tongues(*args)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"not read: {folder}/b[31m.txt: is empty")  # told even when quiet
    assert "\x1b" not in result.stderr
    assert tongues("info", "--index", out, "--rejected").stdout == result.stderr.removeprefix("not read: ")
    listed = tongues("info", "--index", out, "--left-out").stdout
    assert listed.startswith("template  ")
    assert listed.endswith("a.md:0-4  null\n")
    assert tongues("info", "--index", out, "--left-out", "--rejected").exit_code == 2
    strict = tongues(*args, "--strict")
    assert strict.exit_code == 1
    assert "not read: " in strict.stderr
    assert strict.stderr.endswith("left as it was. Mend them, or run it without strict.\n")
    (folder / "b\x1b[31m.txt").rename(folder / "b.png")  # of a format that nobody asked to read
    strict = tongues(*args, "--strict")
    assert (strict.exit_code, strict.stderr) == (0, "")
    assert "b.png: no reader for '.png' files" in tongues(*args[:-1], "--strict").stderr


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("missing.txt", None, "missing.txt' does not exist; check the spelling and the folder you are in."),
        ("empty.txt", b"", "empty.txt: is empty"),
        ("binary.txt", bytes(range(256)), "binary.txt: is binary"),
        ("bad.jsonl", b'{"text": "x"\n', "bad.jsonl:1: is not JSON"),
        ("list.jsonl", b"\n[]\n", "list.jsonl:2: is not a JSON object"),
        ("field.jsonl", b'{"id": 1, "title": "t"}\n', "field 'text' is missing (found: id, title); name another with"),
    ],
)
def test_input_that_cannot_be_read(
    name: str, content: bytes | None, problem: str, tiny_model: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = tongues("build", str(tmp_path / name), "--out", str(tmp_path / "o"), "--model", str(tiny_model), "-q")
    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "o" / CURRENT).exists()


def test_a_huge_line(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "huge.txt").write_text("word" * 5000 + " " + "žodis " * 3000)
    out = str(tmp_path / "index")
    assert tongues("build", str(tmp_path / "huge.txt"), "--out", out, "--model", str(tiny_model)).exit_code == 0
    result = tongues("search", "--index", out, "žodis", "-k", "1")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 4)


def test_verify(built: Path, tmp_path: Path) -> None:
    assert tongues("verify", "--index", str(built)).stdout == f"{built}: whole\n"
    copy = shutil.copytree(built, tmp_path / "copy")
    path = current_generation(copy) / "s000001" / FAISS
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    result = tongues("verify", "--index", str(copy))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {path}: damaged")
    missing = tongues("verify", "--index", str(tmp_path / "none"))
    assert (missing.exit_code, len(missing.stderr.splitlines())) == (1, 1)


def test_models_as_json() -> None:
    result = tongues("models", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr, rows[0]["name"]) == (0, "", "e5-small")
    assert all(list(row) == ["name", "state", "note"] for row in rows)
    assert [row["name"] for row in rows if row["name"] in tongues("models").stdout] == [row["name"] for row in rows]
