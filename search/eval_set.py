"""Sets to measure with: a corpus, queries in several languages, and which documents are relevant to each.

The form is that of BEIR with a language: ``corpus.jsonl``, ``queries.jsonl`` (both ``_id``, ``text``, ``lang``), and
``qrels.tsv`` or ``qrels/test.tsv``, whose lines after the header are query id, document id and grade.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from index.errors import InputError
from index.lines import placed_lines
from index.sample_corpus import SAMPLES, read_questions

SAMPLE_SET = "samples"
"""The name of the set that comes with the package: the sample corpus and its questions."""
_QREL_COLUMNS = "query-id, corpus-id and score, with tabs between"


class EvalQuery(NamedTuple):
    """A question of a set; ``lang`` is the BCP 47 tag declared, "" when there is none."""

    query_id: str
    text: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class EvalSet:
    """What one measurement asks, and what is right.

    Attributes:
        name: The name of its folder.
        corpus: The file of its documents, or the folder they are in.
        queries: Those with a relevant document, in the order of the file. The others say nothing and are left out.
        qrels: For each of these queries, the grades of the documents judged; above 0 is relevant.
        queries_without_relevant: How many queries were left out.
        judgments_without_query: How many judgments are of queries that the set does not hold.
    """

    name: str
    corpus: Path
    queries: tuple[EvalQuery, ...]
    qrels: Mapping[str, Mapping[str, int]]
    queries_without_relevant: int
    judgments_without_query: int


def read_eval_set(folder: str | os.PathLike[str]) -> EvalSet:
    """Read a set; ``samples`` is the one that comes with the package, where there is no folder of this name.

    The corpus is only looked for: it may be large, and reading it is for ``build``.

    Judgments are taken from ``qrels.tsv``, else from ``qrels/test.tsv``, else from the one file there is in ``qrels``.

    Raises:
        InputError: When a file is missing, cannot be read, or is not of the form, told with file, line and remedy; or
            when no query has a relevant document.
    """
    place = Path(folder)
    if not place.is_dir():
        if str(folder) == SAMPLE_SET:
            return _sample_set()
        raise InputError(
            f"{place}: is not a folder. Name one that holds corpus.jsonl, queries.jsonl and qrels.tsv, or "
            f"{SAMPLE_SET!r} for the sample corpus and its questions."
        )
    corpus = _file(place, "corpus.jsonl")
    every = _read_queries(_file(place, "queries.jsonl"))
    judged_in = _qrels_file(place)
    judged = _read_qrels(judged_in)
    queries = tuple(query for query in every if any(grade > 0 for grade in judged.get(query.query_id, {}).values()))
    if not queries:
        raise InputError(
            f"{judged_in}: no query of {place / 'queries.jsonl'} has a relevant document. Check that the ids are the "
            "same in both files, and that relevant documents have a score above 0."
        )
    known = {query.query_id for query in every}
    return EvalSet(
        name=place.resolve().name,
        corpus=corpus,
        queries=queries,
        qrels={query.query_id: judged[query.query_id] for query in queries},
        queries_without_relevant=len(every) - len(queries),
        judgments_without_query=sum(len(grades) for query_id, grades in judged.items() if query_id not in known),
    )


def _sample_set() -> EvalSet:
    questions = read_questions()
    return EvalSet(
        name=SAMPLE_SET,
        corpus=SAMPLES,
        queries=tuple(EvalQuery(question.query_id, question.text, question.lang) for question in questions),
        qrels={question.query_id: dict.fromkeys(question.relevant, 1) for question in questions},
        queries_without_relevant=0,
        judgments_without_query=0,
    )


def _file(place: Path, name: str) -> Path:
    path = place / name
    if path.is_file():
        return path
    packed = path.with_name(f"{name}.gz")
    remedy = f"Unpack {packed.name}" if packed.is_file() else f"Put {name} there, or name another folder"
    raise InputError(f"{path}: there is no such file. {remedy}.")


def _qrels_file(place: Path) -> Path:
    for path in (place / "qrels.tsv", place / "qrels" / "test.tsv"):
        if path.is_file():
            return path
    found = sorted((place / "qrels").glob("*.tsv"))
    if not found:
        raise InputError(f"{place}: there is neither qrels.tsv nor qrels/test.tsv. Put one there.")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{place / 'qrels'}: holds {names} and no test.tsv. Copy the one to use to {place}/qrels.tsv.")
    return found[0]


def _read_queries(path: Path) -> list[EvalQuery]:
    # The readers load what detects encodings, which a start of the program is not to wait for.
    from index.readers.fielded import language_tag
    from index.readers.jsonl import parse_object

    queries: dict[str, EvalQuery] = {}
    for where, line in placed_lines(path):
        try:
            record = parse_object(line)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        query_id, text = (_text(record, name, where) for name in ("_id", "text"))
        if query_id in queries:
            raise InputError(f"{where}: the _id {query_id!r} is there twice. Give every query its own.")
        lang = record.get("lang")
        queries[query_id] = EvalQuery(query_id, text, language_tag(lang) if isinstance(lang, str) else "")
    return list(queries.values())


def _text(record: Mapping[str, object], name: str, where: str) -> str:
    """Return a field that has to be there: text, or a number as its digits."""
    value = record.get(name, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        state = "is missing or empty" if value in ("", None) or isinstance(value, str) else "is not text"
        raise InputError(f'{where}: field {name!r} {state}. Write {{"_id": "1", "text": "...", "lang": "lt"}}.')
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise InputError(f"{where}: field {name!r} holds half of a character (a lone surrogate). Write it whole.")
    return value


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    has_header = False
    for where, line in placed_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 3:
            raise InputError(f"{where}: {len(columns)} columns instead of three. Write {_QREL_COLUMNS}.")
        query_id, doc_id, score = columns
        grade = _grade(score)
        if not has_header:
            if grade is not None:
                raise InputError(f"{where}: the first line is not the header. Put one before it: {_QREL_COLUMNS}.")
            has_header = True
            continue
        if grade is None:
            raise InputError(f"{where}: the score {score!r} is no whole number. Write 1 for relevant, 0 for not.")
        grades = qrels.setdefault(query_id, {})
        if doc_id in grades:
            raise InputError(f"{where}: document {doc_id!r} is judged twice for query {query_id!r}. Keep one line.")
        grades[doc_id] = grade
    return qrels


def _grade(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
