"""Measures an index with a set: makes the index or takes the one kept, asks every query, scores the documents found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.cache import make_once
from index.config import BuildSettings, FieldNames
from index.encoder import Encoder
from index.errors import InputError
from index.files import home
from index.manifest import FORMAT_VERSION, Manifest, record_file
from index.progress import SILENT, Progress
from index.records import Document, Rejected
from index.store import Store
from index.version import __version__
from search.eval_report import EvalReport, score_run
from search.eval_set import EvalQuery, EvalSet
from search.rank_settings import RankSettings
from search.rerank import MOST
from search.trec import Run

if TYPE_CHECKING:
    from search.hits import Hit
    from search.searcher import Searcher

N_DOCUMENTS = 100
"""How many documents of a query are kept: as many as the deepest measure looks at."""
_FIRST_K = 150
"""Passages asked for at first: enough where few documents have two among them. Twice as many take half as long again,
and asking the few others once more costs less."""
_MORE = 4
_BATCH = 256
"""Queries asked together: as many as the searcher holds at once."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of asking a set's queries.

    Attributes:
        report: The measures.
        run: For each query, the first 100 documents found, without the one that the query was made of.
    """

    report: EvalReport
    run: Run


def kept_index(eval_set: EvalSet, settings: BuildSettings, encoder: Encoder, progress: Progress = SILENT) -> Path:
    """Return an index of a set's corpus, built first when none is kept of this corpus, encoder, settings and version.

    It is kept in the folder ``eval`` of ``index.files.home``.

    Args:
        eval_set: Whose corpus.
        settings: Chunking, field names and encoding; their model is that of the encoder.
        encoder: Makes the vectors.
        progress: Told how far the build is.

    Raises:
        InputError: When nothing of the corpus can be indexed.
        StoreError: When the index cannot be written.
    """
    of_build = dataclasses.asdict(settings)
    # Not how the model was asked for but what it is: a folder's weights may change, and threads decide nothing.
    of_build["model"] = dataclasses.asdict(encoder.fingerprint)
    of_corpus: str | list[tuple[str, str]]
    try:
        if eval_set.corpus.is_dir():  # ids of documents are their names in it
            files = sorted(path for path in eval_set.corpus.rglob("*") if path.is_file())
            of_corpus = [(path.relative_to(eval_set.corpus).as_posix(), record_file(path).sha256) for path in files]
        else:
            of_corpus = record_file(eval_set.corpus).sha256
    except OSError as error:
        raise InputError(f"{eval_set.corpus}: cannot be read ({error.strerror or error}). Check its rights.") from error
    decides = json.dumps([of_corpus, of_build, __version__, FORMAT_VERSION], sort_keys=True)
    key = hashlib.sha256(decides.encode()).hexdigest()[:16]

    def make(folder: Path) -> dict[str, Any]:
        from index.builder import build

        report = build([eval_set.corpus], folder, settings=settings, encoder=encoder, progress=progress)
        return {"documents": report.documents, "passages": report.passages}

    return make_once(home() / "eval" / f"{eval_set.name}-{key}", make, progress)


def check_index(eval_set: EvalSet, directory: str | os.PathLike[str]) -> None:
    """Check that an index holds documents of a set's corpus and no others.

    Raises:
        InputError: Naming the first document that is not in the corpus.
        StoreError: When the index cannot be read.
    """
    from index.readers.registry import read_file
    from index.readers.sources import find_files

    with Store.open(os.fspath(directory)) as store:
        indexed = store.documents.langs()
    files = [file for file in find_files([str(eval_set.corpus)]) if not isinstance(file, Rejected)]
    records = (record for file in files for record in read_file(file, fields=FieldNames()))
    others = indexed.keys() - {record.doc_id for record in records if isinstance(record, Document)}
    if others:
        raise InputError(
            f"{os.fspath(directory)}: holds {len(others):,} documents that are not in {eval_set.corpus}, such as "
            f"{min(others)!r}. Name an index of that corpus alone, or leave --index out to have one made."
        )


def evaluate(
    eval_set: EvalSet,
    searcher: Searcher,
    directory: str | os.PathLike[str],
    *,
    settings: RankSettings | None = None,
    rerank: str | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Ask all queries of a set and score the documents found.

    A document stands where its best passage does. A query without a language has the one it seems to be in.

    Args:
        eval_set: The set.
        searcher: An open index of its corpus.
        directory: The directory of that index.
        settings: How passages are ranked; the defaults when None.
        rerank: The name of the searcher's reranker, None when it has none.
        progress: Told how many queries are asked.

    Raises:
        InputError: When a document is found that is not in the index any more.
        StoreError: When the index cannot be read.
    """
    settings = settings or RankSettings()
    with Store.open(os.fspath(directory)) as store:
        doc_langs = store.documents.langs()
    queries = [
        query if query.lang else query._replace(lang=searcher.detect_language(query.text)) for query in eval_set.queries
    ]
    began = time.monotonic()
    run = _ask(searcher, queries, settings, progress, is_reranked=rerank is not None)
    seconds = time.monotonic() - began
    facts = {**_facts(searcher.manifest, settings), "rerank": rerank, "seconds": round(seconds, 2)}
    report = score_run(queries, eval_set.qrels, run, doc_langs, set_name=eval_set.name, settings=facts)
    return Evaluation(report, run)


def _facts(manifest: Manifest, settings: RankSettings) -> dict[str, Any]:
    """Return what a run is made with, as plain data."""
    return {
        "model": manifest.encoder.model,
        "precision": manifest.encoder.precision,
        "mode": str(settings.mode),
        "balance": str(settings.balance),
        "weights": dataclasses.asdict(settings.weights),
        "chunking": dict(manifest.settings.get("chunking", {})),
        "documents": manifest.counts.documents,
        "passages": manifest.counts.passages,
        "sentences": manifest.counts.sentences,
        "rejected": manifest.counts.rejected,
        "version": __version__,
    }


def _ask(
    searcher: Searcher, queries: Sequence[EvalQuery], settings: RankSettings, progress: Progress, *, is_reranked: bool
) -> Run:
    run: dict[str, list[tuple[str, float]]] = {}
    progress.start("asking", len(queries), "queries")
    try:
        for at in range(0, len(queries), _BATCH):
            batch = queries[at : at + _BATCH]
            found = _ask_together(searcher, batch, settings, is_reranked=is_reranked)
            run |= {query.query_id: found[query.query_id] for query in batch}
            progress.advance(len(batch))
    finally:
        progress.end()
    return run


def _ask_together(
    searcher: Searcher, queries: Sequence[EvalQuery], settings: RankSettings, *, is_reranked: bool
) -> dict[str, list[tuple[str, float]]]:
    """Return the first 100 documents of each query, asking for more passages where those found stand in fewer.

    A reranker is asked once: its scores are of what it has read.
    """
    found: dict[str, list[tuple[str, float]]] = {}
    enough = min(N_DOCUMENTS, searcher.manifest.counts.documents - 1)
    k = MOST if is_reranked else _FIRST_K
    while queries:
        again = []
        for query, of_query in _hits(searcher, queries, k, settings):
            documents = _documents(of_query, query.query_id)
            found[query.query_id] = documents[:N_DOCUMENTS]
            has_more = len(of_query) >= k and not is_reranked  # fewer hits than asked for are all there are
            if len(documents) < enough and has_more:
                again.append(query)
        queries = again
        k *= _MORE
    return found


def _hits(
    searcher: Searcher, queries: Sequence[EvalQuery], k: int, settings: RankSettings
) -> Iterator[tuple[EvalQuery, list[Hit]]]:
    """Yield the hits of each query; the more of them, the fewer queries are asked together."""
    n = max(1, _BATCH * _FIRST_K // max(k, _FIRST_K))
    for at in range(0, len(queries), n):
        part = queries[at : at + n]
        yield from zip(part, searcher.search_batch([query.text for query in part], k, settings=settings), strict=True)


def _documents(hits: Sequence[Hit], query_id: str) -> list[tuple[str, float]]:
    """Return the documents that hits stand in, each with the score of its best, without the query's own.

    All documents of one passage have its score, in the order they were read. A hit tells 21 places at most, so that
    those of a passage that stands in more (``n_places``) are not found by it.
    """
    best: dict[str, float] = {}
    for hit in hits:
        for doc_id in (hit.doc_id, *(place.doc_id for place in hit.also_in)):
            best.setdefault(doc_id, hit.score)
    best.pop(query_id, None)
    return list(best.items())
