"""TREC run files: written whole, read back the same, and refused with the line that is wrong."""

from __future__ import annotations

import math
import re
from pathlib import Path

import ir_measures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.errors import InputError, StoreError
from search.trec import write_run
from tests.eval_sets import read_run

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda s: s.split() == [s])
found = st.lists(
    st.tuples(names, st.floats(allow_nan=False, allow_infinity=False)), max_size=6, unique_by=lambda pair: pair[0]
).map(lambda pairs: sorted(pairs, key=lambda pair: -pair[1]))
runs = st.dictionaries(names, found.filter(bool), min_size=1, max_size=4)


def test_a_run_is_written_as_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.trec"
    write_run(path, {"q1": [("d2", 0.1 + 0.2), ("ڈ-1", -1e-7)], "q2": [("d1", 1)], "q3": []})
    assert path.read_text("utf-8").splitlines() == [
        "q1 Q0 d2 1 0.30000000000000004 manytongues",
        "q1 Q0 ڈ-1 2 -1e-07 manytongues",
        "q2 Q0 d1 1 1.0 manytongues",
    ]
    theirs = ir_measures.read_trec_run(str(path))  # type: ignore[no-untyped-call]
    assert [tuple(doc) for doc in theirs] == [
        ("q1", "d2", 0.1 + 0.2),
        ("q1", "ڈ-1", -1e-7),
        ("q2", "d1", 1.0),
    ]
    write_run(path, {"q": [("d", 2)]}, tag="other")
    assert path.read_text() == "q Q0 d 1 2.0 other\n"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs)
def test_what_is_written_is_read(tmp_path: Path, run: dict[str, list[tuple[str, float]]]) -> None:
    write_run(tmp_path / "a.trec", run)
    assert read_run(tmp_path / "a.trec") == run
    assert list(read_run(tmp_path / "a.trec")) == list(run)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"q 1": [("d", 1.0)]}, "the query id 'q 1' holds white space. Give it a name without"),
        ({"": []}, "the query id '' is empty."),
        ({"q": [("d\u00a01", 1.0)]}, r"query q: the document id 'd\xa01' holds white space"),
        ({"q": [("d\n", 1.0)]}, r"query q: the document id 'd\n' holds white space"),
        ({"q": [("d", 1.0), ("e", 0.5), ("d", 0.0)]}, "query q: document d is there twice."),
        ({"q": [("d", 1.0), ("e", 1.5)]}, "query q: the score of rank 2 is 1.5. Sort by finite scores"),
        ({"q": [("d", math.inf)]}, "query q: the score of rank 1 is inf."),
        ({"q": [("d", math.nan)]}, "query q: the score of rank 1 is nan."),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, run: dict[str, list[tuple[str, float]]], message: str
) -> None:
    write_run(tmp_path / "a.trec", {"old": [("d", 1.0)]})
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        write_run(tmp_path / "a.trec", run)
    with pytest.raises(InputError, match=r"^the tag 'my run' holds white space"):
        write_run(tmp_path / "a.trec", {"q": [("d", 1.0)]}, tag="my run")
    assert [path.name for path in tmp_path.iterdir()] == ["a.trec"]
    assert read_run(tmp_path / "a.trec") == {"old": [("d", 1.0)]}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/a\.trec: cannot be written \(No such file or directory\)"):
        write_run(tmp_path / "none" / "a.trec", {})
