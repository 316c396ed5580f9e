"""TREC run files: ``query Q0 document rank score tag``, one line a document found."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from index.errors import InputError
from index.files import write_error, write_text

Run: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]
"""The documents found for each query id, best first: id and score."""

TAG = "manytongues"


def write_run(path: str | os.PathLike[str], run: Run, *, tag: str = TAG) -> None:
    """Write a run: the whole file or, when it cannot be written, none of it.

    Scores are written with all their digits. trec_eval goes by them and not by the ranks; where two
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


def _check_name(name: str, what: str) -> None:
    if name.split() != [name]:
        raise InputError(
            f"{what} {name!r} {'holds white space' if name else 'is empty'}. "
            "Give it a name without: white space separates the columns of a run."
        )
