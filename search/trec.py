"""TREC run files: ``query Q0 document rank score tag``, one line a document found."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from index.errors import InputError
from index.files import write_error, write_text
from index.lines import placed_lines

Run: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]
"""The documents found for each query id, best first: id and score."""

TAG = "manytongues"


def write_run(path: str | os.PathLike[str], run: Run, *, tag: str = TAG) -> None:
    """Write a run: the whole file or, when it cannot be written, none of it.

    Scores are written so that reading gives the same numbers. trec_eval goes by them and not by the ranks; where two
    are equal it takes the later id first, whatever the order here.

    Args:
        path: The file; one that is there is replaced.
        run: Documents by query; none is there twice, and scores fall or stay from one to the next.
        tag: The name of the run.

    Raises:
        InputError: For an id or tag that is empty or holds white space, which separates the columns, a document that
            is there twice, and a score that rises or is no number.
        StoreError: When the file cannot be written.
    """
    _check_name(tag, "the tag")
    lines = []
    for query_id, found in run.items():
        _check_name(query_id, "the query id")
        seen: set[str] = set()
        last = math.inf
        for rank, (doc_id, score) in enumerate(found, 1):
            _check_name(doc_id, f"query {query_id}: the document id")
            if doc_id in seen:
                raise InputError(f"query {query_id}: document {doc_id} is there twice. Keep its better rank alone.")
            if not math.isfinite(score) or score > last:
                raise InputError(
                    f"query {query_id}: the score of rank {rank} is {score}. "
                    "Sort by finite scores, highest first: readers of runs go by them."
                )
            seen.add(doc_id)
            last = score
            lines.append(f"{query_id} Q0 {doc_id} {rank} {float(score)!r} {tag}\n")
    try:
        write_text(Path(path), "".join(lines))
    except OSError as error:
        raise write_error(error, Path(path)) from error


def read_run(path: str | os.PathLike[str]) -> dict[str, list[tuple[str, float]]]:
    """Read a run: documents by query, in order of their scores, equal ones in order of their ranks.

    Raises:
        InputError: When the file cannot be read or is empty, or a line is not of six columns, has a rank or score that
            is no number, or names a document again.
    """
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for where, line in placed_lines(Path(path)):
        columns = line.split()
        if len(columns) != 6:
            raise InputError(f"{where}: {len(columns)} columns. Write six: query Q0 document rank score tag.")
        query_id, _, doc_id, rank, score, _ = columns
        documents = found.setdefault(query_id, {})
        if doc_id in documents:
            raise InputError(f"{where}: document {doc_id} is there twice for query {query_id}. Keep one of its lines.")
        documents[doc_id] = (-_score(score, where), _rank(rank, where))
    if not found:
        raise InputError(f"{path}: is empty. Write one line for each document found.")
    return {
        query_id: [(doc_id, -minus) for doc_id, (minus, _) in sorted(documents.items(), key=lambda item: item[1])]
        for query_id, documents in found.items()
    }


def _check_name(name: str, what: str) -> None:
    if name.split() != [name]:
        raise InputError(
            f"{what} {name!r} {'holds white space' if name else 'is empty'}. "
            "Give it a name without: white space separates the columns of a run."
        )


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{where}: the score {text!r} is no finite number. Write it in the fifth column.")
    return score


def _rank(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"{where}: the rank {text!r} is no whole number. Write it in the fourth column.") from error
