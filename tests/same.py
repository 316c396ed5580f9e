"""What two indexes of the same files must have in common, however each of them came to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from index.records import model_text
from index.store import Store
from index.verifier import verify
from search.rank_settings import RankSettings
from search.searcher import Searcher
from tests.toys import ToyEncoder

COSINES = RankSettings("dense", "off")
"""Lexical parts differ slightly as long as there are several segments, and so may the balance of new languages."""


def content(out: Path) -> dict[str, Any]:
    """Return all that an index holds, in an order of its own; its vectors must be the encoder's."""
    assert verify(out) == []
    with Store.open(out) as store:
        alive = store.alive()
        rows = np.arange(store.n_rows) if alive is None else np.flatnonzero(alive)
        passages = store.documents.passages(rows.tolist())
        texts = [model_text(one.context, one.text) for one in passages]
        np.testing.assert_array_equal(store.vectors()[rows], ToyEncoder().encode_passages(texts))
        sentences = store.sentences()
        found = sentences.stored(rows) if sentences else None
        manifest = store.manifest
        assert [manifest.languages[code] for code in store.lang_codes[rows]] == [one.lang for one in passages]
        return {
            "passages": {
                one.passage_id: (
                    one.text,
                    one.context,
                    one.lang,
                    sorted((place.source, place.doc_id, place.title, place.start) for place in one.occurrences),
                    sentences_of(found, at),
                )
                for at, one in enumerate(passages)
            },
            "counts": {
                name: getattr(manifest.counts, name)
                for name in ("documents", "passages", "duplicates", "left_out", "rejected", "languages")
            },
            "left out": sorted(store.documents.left_out()),
            "rejected": sorted(store.documents.rejected()),
            "files": [(file.source, file.doc_id, file.sha256) for file in store.documents.files()],
            "sources": manifest.sources,
        }


def sentences_of(found: tuple[Any, Any, Any] | None, at: int) -> tuple[list[Any], bytes]:
    """Return where the sentences of one of the passages found stand, and their vectors."""
    if found is None:
        return [], b""
    spans, starts, vectors = found
    one = slice(starts[at], starts[at + 1])
    return spans[one].tolist(), vectors[one].tobytes()


def scores(out: Path, query: str) -> dict[str, float]:
    """Return what meaning gives to each passage found for a query."""
    with Searcher.open(out, encoder=ToyEncoder()) as searcher:
        return {hit.passage_id: round(hit.dense, 6) for hit in searcher.search(query, 100, settings=COSINES)}


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, with the time of its last change."""
    return {
        path.relative_to(folder).as_posix(): f"{path.stat().st_mtime_ns} ".encode() + path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
