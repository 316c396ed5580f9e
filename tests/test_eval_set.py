"""Sets to measure with: the forms that are read, what is counted, and messages with file, line and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from index.errors import InputError
from search.eval_set import EvalQuery, EvalSet, read_eval_set

QUERIES = '{"_id": "q1", "text": "kas?", "lang": "LT"}\n{"_id": "q2", "text": "what?"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td 2\t2\nq2\td3\t0\n"


def make(tmp_path: Path, files: dict[str, str | bytes | None] | None = None) -> Path:
    """Write a small set; ``files`` replaces, adds, or leaves out by None."""
    folder = tmp_path / "small"
    for name, content in (
        {"corpus.jsonl": "{}\n", "queries.jsonl": QUERIES, "qrels.tsv": QRELS} | (files or {})
    ).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_set_with_languages(tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert read_eval_set(folder) == EvalSet(
        name="small",
        corpus=folder / "corpus.jsonl",
        queries=(EvalQuery("q1", "kas?", "lt"), EvalQuery("q2", "what?", "")),
        qrels={"q1": {"d1": 1}, "q2": {"d 2": 2, "d3": 0}},
        queries_without_relevant=0,
        judgments_without_query=0,
    )


def test_what_says_nothing_is_counted_and_left_out(tmp_path: Path) -> None:
    queries = QUERIES + '\n{"_id": 3, "text": "drei?", "lang": "und"}\n{"_id": "q4", "text": "?", "lang": 7}\n'
    read = read_eval_set(
        make(tmp_path, {"queries.jsonl": queries, "qrels.tsv": QRELS + "3\td1\t0\nq9\td1\t1\nq9\td2\t1"})
    )
    assert [query.query_id for query in read.queries] == ["q1", "q2"] == list(read.qrels)
    assert (read.queries_without_relevant, read.judgments_without_query) == (2, 2)


def test_ids_may_be_numbers_and_lines_end_as_on_windows(tmp_path: Path) -> None:
    queries = '\ufeff{"_id": 3, "text": "drei\u2028?", "lang": "de-AT"}\r\n'
    read = read_eval_set(make(tmp_path, {"queries.jsonl": queries, "qrels.tsv": "\ufeffa\tb\tc\r\n3\td1\t1\r\n\r\n"}))
    assert read.queries == (EvalQuery("3", "drei\u2028?", "de-AT"),)
    assert read.qrels == {"3": {"d1": 1}}


@pytest.mark.parametrize(
    ("files", "relevant"),
    [
        ({"qrels/test.tsv": "a\tb\tc\nq1\ttest\t1\n", "qrels/dev.tsv": ""}, "test"),
        ({"qrels/dev.tsv": "a\tb\tc\nq1\tdev\t1\n"}, "dev"),
        ({"qrels.tsv": "a\tb\tc\nq1\tbeside\t1\n", "qrels/test.tsv": ""}, "beside"),
    ],
)
def test_where_judgments_are_looked_for(tmp_path: Path, files: dict[str, str | bytes | None], relevant: str) -> None:
    assert read_eval_set(make(tmp_path, {"qrels.tsv": None} | files)).qrels == {"q1": {relevant: 1}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"corpus.jsonl": None},
            "/corpus.jsonl: there is no such file. Put corpus.jsonl there, or name another folder.",
        ),
        (
            {"queries.jsonl": None, "queries.jsonl.gz": b""},
            "/queries.jsonl: there is no such file. Unpack queries.jsonl.gz.",
        ),
        ({"qrels.tsv": None}, ": there is neither qrels.tsv nor qrels/test.tsv. Put one there."),
        (
            {"qrels.tsv": None, "qrels/train.tsv": "", "qrels/dev.tsv": ""},
            "/qrels: holds dev.tsv, train.tsv and no test.tsv. Copy the one to use to ",
        ),
        ({"queries.jsonl": QUERIES + "{"}, "/queries.jsonl:3: is not JSON ("),
        ({"queries.jsonl": "[]"}, "/queries.jsonl:1: is not a JSON object; "),
        (
            {"queries.jsonl": b'{"_id": "q", "text": "\xff"}'},
            "/queries.jsonl:1: is not UTF-8 (byte 23). Save it as UTF-8.",
        ),
        ({"queries.jsonl": '{"id": "q", "text": "?"}'}, "/queries.jsonl:1: field '_id' is missing or empty. Write {"),
        ({"queries.jsonl": '{"_id": "q", "text": " "}'}, "/queries.jsonl:1: field 'text' is missing or empty."),
        ({"queries.jsonl": '{"_id": "q", "text": null}'}, "/queries.jsonl:1: field 'text' is missing or empty."),
        ({"queries.jsonl": '{"_id": "q", "text": ["?"]}'}, "/queries.jsonl:1: field 'text' is not text."),
        ({"queries.jsonl": '{"_id": true, "text": "?"}'}, "/queries.jsonl:1: field '_id' is not text."),
        (
            {"queries.jsonl": r'{"_id": "q", "text": "\ud83d"}'},
            "/queries.jsonl:1: field 'text' holds half of a character",
        ),
        (
            {"queries.jsonl": QUERIES + QUERIES},
            "/queries.jsonl:3: the _id 'q1' is there twice. Give every query its own.",
        ),
        (
            {"qrels.tsv": "q1\td1\t1\n"},
            "/qrels.tsv:1: the first line is not the header. Put one before it: query-id, corpus-id and score",
        ),
        (
            {"qrels.tsv": QRELS + "q2 d4 1"},
            "/qrels.tsv:5: 1 columns instead of three. Write query-id, corpus-id and score",
        ),
        ({"qrels.tsv": QRELS + "q2\t0\td4\t1"}, "/qrels.tsv:5: 4 columns instead of three."),
        ({"qrels.tsv": QRELS + "\nq2\td4\tyes"}, "/qrels.tsv:6: the score 'yes' is no whole number."),
        ({"qrels.tsv": QRELS + "q2\td4\t0.5"}, "/qrels.tsv:5: the score '0.5' is no whole number."),
        (
            {"qrels.tsv": QRELS + "q2\td3\t1"},
            "/qrels.tsv:5: document 'd3' is judged twice for query 'q2'. Keep one line.",
        ),
        ({"qrels.tsv": "a\tb\tc\nq1\td\t0\nq9\td\t1"}, "/qrels.tsv: no query of "),
        ({"qrels.tsv": ""}, "/qrels.tsv: no query of "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, files: dict[str, str | bytes | None], message: str
) -> None:
    folder = make(tmp_path, files)
    with pytest.raises(InputError, match=f"^{re.escape(f'{folder}{message}')}"):
        read_eval_set(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: is not a folder\. Name one that holds corpus\.jsonl, "):
        read_eval_set(tmp_path / "none")


def test_the_set_that_comes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = read_eval_set("samples")
    assert (ours.name, len(ours.queries), {query.lang for query in ours.queries}) == (
        "samples",
        60,
        {"en", "fa", "lt", "te", "ur"},
    )
    assert all((ours.corpus / doc).is_file() for docs in ours.qrels.values() for doc in docs)
    make(tmp_path).rename(tmp_path / "samples")  # a folder of the user's own comes first
    assert len(read_eval_set("samples").queries) == 2
