"""From a run to a report: what is scored, how it is averaged, and how it is shown."""

from __future__ import annotations

import json
import math

import pytest

from index.errors import InputError
from search.eval_report import EvalReport, render_report, score_run
from search.eval_set import EvalQuery

QUERIES = [
    EvalQuery("f1", "?", "fa"),
    EvalQuery("f2", "?", "fa"),
    EvalQuery("l1", "?", "lt"),
    EvalQuery("n", "?", "lt"),
]
QRELS = {"f1": {"a": 1, "b": 1, "c": 1}, "f2": {"a": 1, "x": 0}, "l1": {"c": 2}, "n": {"a": 0}}
LANGS = {"a": "fa", "b": "fa", "c": "te", "x": "und"}
RUN = {
    "f1": [("a", 0.9), ("b", 0.8), ("c", 0.7)],
    "f2": [("x", 0.9), ("a", 0.8)],
    "l1": [("x", 0.5), ("b", 0.5)],
    "n": [("a", 1.0)],
}


def report() -> EvalReport:
    return score_run(QUERIES, QRELS, RUN, LANGS, set_name="small", settings={"k": 100})


def test_rows_of_languages() -> None:
    rows = report().per_language
    assert list(rows) == ["fa", "lt"]
    second = 1 / math.log2(3)
    assert rows["fa"].n == 2
    assert rows["fa"].measures == pytest.approx(
        {"ndcg@10": (1 + second) / 2, "recall@10": 1.0, "mrr@10": 0.75, "map@100": 0.75}
        | {"success@1": 0.5, "success@3": 1.0, "success@10": 1.0}
    )
    assert rows["fa"].language_share == pytest.approx({"fa": (2 / 3 + 1 / 2) / 2, "te": 1 / 6, "und": 1 / 4})
    assert rows["lt"].n == 1  # "n" has no relevant document
    assert set(rows["lt"].measures.values()) == {0.0}
    assert rows["lt"].language_share == {"fa": 0.5, "te": 0.0, "und": 0.5}


def test_peer_is_of_the_queries_that_can_tell() -> None:
    # Only f1 has two languages with more than one document each: ranks 1, 2 and 3, H = 12 / 12 * (2 * 1 / 4 + 1).
    expected = math.erfc(math.sqrt(1.5 / 2))
    rows = report().per_language
    assert rows["fa"].peer == pytest.approx(expected)
    assert rows["fa"].peer_n == report().mean.peer_n == 1
    assert (rows["lt"].peer, rows["lt"].peer_n) == (None, 0)
    assert report().mean.peer == pytest.approx(expected)


def test_every_language_weighs_the_same_in_the_mean() -> None:
    rows, mean = report().per_language, report().mean
    assert mean.n == 3
    assert mean.measures == pytest.approx(
        {"ndcg@10": rows["fa"].measures["ndcg@10"] / 2, "recall@10": 0.5}
        | dict.fromkeys(("mrr@10", "map@100"), 0.375)
        | {"success@1": 0.25, "success@3": 0.5, "success@10": 0.5}
    )
    assert mean.language_share == pytest.approx({"fa": (7 / 12 + 1 / 2) / 2, "te": 1 / 12, "und": 3 / 8})


def test_the_document_a_query_was_made_of_is_left_out() -> None:
    langs = {"a-fa": "fa", "a-lt": "lt", "a-te": "te"}
    run = {"a-fa": [("a-fa", 1.0), ("a-lt", 0.9), ("a-te", 0.8)]}
    scored = score_run([EvalQuery("a-fa", "?", "fa")], {"a-fa": {"a-lt": 1, "a-te": 1}}, run, langs)
    assert scored.mean.measures["ndcg@10"] == pytest.approx(1)
    assert scored.mean.language_share == {"fa": 0.0, "lt": 0.5, "te": 0.5}
    assert scored.mean.peer is None  # one document in each language


def test_a_document_counts_at_its_first_place() -> None:
    run = {"q": [("x", 0.9), ("x", 0.8), ("a", 0.7), ("a", 0.6), ("b", 0.5)]}
    scored = score_run([EvalQuery("q", "?", "fa")], {"q": {"a": 1, "b": 1}}, run, LANGS)
    assert scored.mean.measures["map@100"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scored.mean.language_share == pytest.approx({"fa": 2 / 3, "te": 0, "und": 1 / 3})


def test_queries_for_which_nothing_was_found_count() -> None:
    run = {"f1": RUN["f1"], "f2": []}
    scored = score_run(QUERIES, QRELS, run, LANGS)
    assert scored.without_hits == 2
    assert scored.per_language["fa"].measures["recall@10"] == 0.5
    assert scored.per_language["fa"].language_share == pytest.approx({"fa": 2 / 3, "te": 1 / 3, "und": 0})
    assert set(scored.per_language["lt"].language_share.values()) == {0.0}


def test_relevant_documents_outside_the_corpus_are_counted() -> None:
    qrels = {"f1": QRELS["f1"] | {"gone": 1}, "f2": {"gone": 1, "judged": 0}, "l1": {"away": 1, "x": 1}}
    scored = score_run(QUERIES, qrels, RUN, LANGS)
    assert scored.unknown_documents == 2
    assert scored.per_language["fa"].measures["recall@10"] == pytest.approx(3 / 8)
    assert scored.per_language["fa"].peer == report().per_language["fa"].peer


def test_a_query_of_no_language_is_of_an_unknown_one() -> None:
    scored = score_run([EvalQuery("f1", "?")], QRELS, RUN, LANGS)
    assert list(scored.per_language) == ["und"] == [scores.lang for scores in scored.per_query.values()]


def test_what_cannot_be_scored() -> None:
    with pytest.raises(InputError, match=r"^query l1: no language is given of document 'x', which was found\. "):
        score_run(QUERIES[2:], QRELS, RUN, {"b": "fa", "c": "te"})
    with pytest.raises(InputError, match=r"^no query has a relevant document, so nothing can be scored\."):
        score_run(QUERIES[3:], QRELS, RUN, LANGS)


def test_plain_data() -> None:
    plain = json.loads(json.dumps(report().to_dict(), allow_nan=False))
    assert list(plain) == ["set", "settings", "without_hits", "unknown_documents", "per_language", "mean", "per_query"]
    assert (plain["set"], plain["settings"], plain["without_hits"], plain["unknown_documents"]) == (
        "small",
        {"k": 100},
        0,
        0,
    )
    assert plain["per_language"]["lt"] == {
        "n": 1,
        "ndcg@10": 0.0,
        "recall@10": 0.0,
        "mrr@10": 0.0,
        "map@100": 0.0,
        "success@1": 0.0,
        "success@3": 0.0,
        "success@10": 0.0,
        "language_share": {"fa": 0.5, "te": 0.0, "und": 0.5},
        "peer@20": None,
        "peer_n": 0,
    }
    assert plain["mean"].keys() == plain["per_language"]["lt"].keys()
    assert list(plain["per_query"]) == ["f1", "f2", "l1"]
    assert plain["per_query"]["f2"] == pytest.approx(
        {"lang": "fa", "ndcg@10": 1 / math.log2(3), "recall@10": 1.0, "mrr@10": 0.5, "map@100": 0.5}
        | {"success@1": 0.0, "success@3": 1.0, "success@10": 1.0}
    )


def test_shown_as_a_table() -> None:
    assert render_report(report()) == [
        "query  queries  nDCG@10  recall@10  MRR@10  mAP@100  success@1  success@3  success@10  PEER@20",
        "fa           2    0.815      1.000   0.750    0.750      0.500      1.000       1.000    0.221",
        "lt           1    0.000      0.000   0.000    0.000      0.000      0.000       0.000        -",
        "mean         3    0.408      0.500   0.375    0.375      0.250      0.500       0.500    0.221",
        "",
        "Languages of the first 10 documents:",
        "query     fa     te    und",
        "fa     0.583  0.167  0.250",
        "lt     0.500  0.000  0.500",
        "mean   0.542  0.083  0.375",
    ]


def test_shown_with_what_is_missing() -> None:
    lines = render_report(score_run(QUERIES, {"f1": {"gone": 1}, "f2": {"a": 1}}, {"f2": RUN["f2"]}, LANGS))
    assert lines[3] == "PEER@20 -: no query has relevant documents in several languages, and several in one."
    assert lines[-2:] == [
        "Queries for which nothing was found: 1.",
        "Relevant documents that are not in the corpus: 1.",
    ]
