"""Two reports of the same queries: differences, their p-values, and what cannot be compared."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from index.errors import InputError
from search.eval_compare import compare, render_comparison
from search.eval_report import score_run
from search.eval_set import EvalQuery
from search.tables import change, p_value

N_FA = 6


def report(n_first: int, *, lt_found: bool = True) -> dict[str, Any]:
    """Score six Persian questions, ``n_first`` with their document at rank 1, the others at 2; and a Lithuanian one."""
    queries = [EvalQuery(f"f{i}", "?", "fa") for i in range(N_FA)] + [EvalQuery("l", "?", "lt")]
    first = {f"f{i}": ["a", "b"] if i < n_first else ["b", "a"] for i in range(N_FA)}
    rankings = first | {"l": ["a"] if lt_found else []}
    run = {query_id: [(doc, 1.0) for doc in docs] for query_id, docs in rankings.items()}
    scored = score_run(queries, {q.query_id: {"a": 1} for q in queries}, run, {"a": "te", "b": "te"}, set_name="small")
    plain: dict[str, Any] = json.loads(json.dumps(scored.to_dict()))
    return plain


def test_differences_and_their_p_values() -> None:
    compared = compare(report(0), report(6))
    assert (compared.set_name, compared.n) == ("small", {"fa": 6, "lt": 1})
    assert list(compared.per_language) == ["fa", "lt"]
    for name, before in (("ndcg@10", 0.6309), ("map@100", 0.5), ("mrr@10", 0.5)):
        fa, lt, mean = compared.per_language["fa"][name], compared.per_language["lt"][name], compared.mean[name]
        assert (fa.first, fa.second, fa.difference) == pytest.approx((before, 1, 1 - before), abs=1e-4)
        assert fa.p == 2 / 2**6
        assert (lt.first, lt.second, lt.difference, lt.p) == (1, 1, 0, 1)
        assert (mean.first, mean.second) == pytest.approx(((1 + before) / 2, 1), abs=1e-4)
        assert mean.p == 2 / 2**6
    assert compared.mean["recall@10"].to_dict() == {"first": 1.0, "second": 1.0, "difference": 0.0, "p": 1.0}


def test_the_other_way_round() -> None:
    there, back = compare(report(1), report(4)), compare(report(4), report(1))
    for name, one in there.mean.items():
        assert (back.mean[name].first, back.mean[name].second) == (one.second, one.first)
        assert back.mean[name].p == one.p
    assert there.mean["map@100"].p == 2 / 2**3


def test_a_query_weighs_in_the_test_of_the_mean_as_in_the_mean() -> None:
    # Six questions are better by a half, the only one of another language is worse by 1.
    compared = compare(report(0), report(6, lt_found=False))
    one = compared.mean["map@100"]
    assert one.difference == pytest.approx(-0.25)
    # The six weigh 1/24 each, the one 1/2: it outweighs them by a quarter or more with any signs. Were all weighed
    # alike, they would outweigh it, and few signs be as far from 0.
    assert one.p == 1
    assert compared.per_language["fa"]["map@100"].p == 2 / 2**6


def changed(report: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(report) | changes


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"set": "large"}, r"^the reports are of different sets, 'small' and 'large'\."),
        ({"set": None}, r"^the second report has no set, or a query in it no language or measure \(set\)\. Write it"),
        ({"per_query": {"f0": {"lang": "fa"}}}, r"^the second report has no set, or .* \('ndcg@10'\)"),
        ({"per_query": []}, r"^the second report has no set, or "),
        ({"per_query": {}}, r"^the second report holds no query\."),
    ],
)
def test_what_is_no_report_of_the_same_set(second: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(report(0), changed(report(0), **second))


def test_other_queries() -> None:
    fewer, other = report(0), report(0)
    del fewer["per_query"]["f3"]
    other["per_query"]["l"]["lang"] = "ur"
    with pytest.raises(InputError, match=r"^the reports are of different queries: 'f3' is only in the first\."):
        compare(report(0), fewer)
    with pytest.raises(InputError, match=r"^the reports are of different queries: 'f3' is only in the second\."):
        compare(fewer, report(0))
    with pytest.raises(InputError, match=r"^query 'l' is in 'lt' in the first report and in 'ur' in the second\."):
        compare(report(0), other)


def test_plain_data() -> None:
    plain = compare(report(0), report(6)).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["set", "per_language", "mean"]
    assert (
        list(plain["mean"]) == ["n", "ndcg@10", "map@100", "recall@10", "mrr@10"] == list(plain["per_language"]["fa"])
    )
    assert (plain["mean"]["n"], plain["per_language"]["fa"]["n"]) == (7, 6)
    assert plain["per_language"]["fa"]["map@100"] == {"first": 0.5, "second": 1.0, "difference": 0.5, "p": 2 / 2**6}


def test_shown_as_tables() -> None:
    lines = render_comparison(compare(report(0), report(6)))
    assert lines[:9] == [
        "nDCG@10  queries  first  second  change      p",
        "fa             6  0.631   1.000  +0.369  0.031",
        "lt             1  1.000   1.000   0.000  1.000",
        "mean           7  0.815   1.000  +0.185  0.031",
        "",
        "mAP@100  queries  first  second  change      p",
        "fa             6  0.500   1.000  +0.500  0.031",
        "lt             1  1.000   1.000   0.000  1.000",
        "mean           7  0.750   1.000  +0.250  0.031",
    ]
    assert [line.split()[0] for line in lines[10:] if line] == [
        *("recall@10", "fa", "lt", "mean"),
        *("MRR@10", "fa", "lt", "mean"),
    ]
    worse = render_comparison(compare(report(6), report(0)))
    assert worse[1].split() == ["fa", "6", "1.000", "0.631", "-0.369", "0.031"]


def test_small_numbers_do_not_look_like_none() -> None:
    assert [p_value(p) for p in (1, 0.0494, 0.001, 0.0009, 2 / 10_001)] == [
        "1.000",
        "0.049",
        "0.001",
        "<0.001",
        "<0.001",
    ]
    assert [change(d) for d in (0.0006, -0.0006, 0.0004, -0.0004)] == ["+0.001", "-0.001", "0.000", "0.000"]
