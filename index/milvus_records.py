"""What a passage is in Milvus: the fields of its record, and how texts and sentences of any length fit into them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from index.guarded import parse_json
from index.sentence_vectors import FoundSentences
from index.stored import Occurrence, StoredPassage
from index.vectors import to_int8

if TYPE_CHECKING:
    from index.records import Vectors

ROW, LANG, VECTOR, SENTENCES = "row", "lang", "vector", "sentences"
PASSAGE_ID, CONTEXT, TEXT, PLACES, N_PLACES, METADATA = (
    "passage_id",
    "context",
    "text",
    "places",
    "n_places",
    "metadata",
)
PASSAGE_FIELDS = (LANG, PASSAGE_ID, CONTEXT, TEXT, PLACES, N_PLACES, METADATA)
FIELDS = (ROW, VECTOR, SENTENCES, *PASSAGE_FIELDS)
LONG_FIELDS = (SENTENCES, CONTEXT, TEXT, PLACES, METADATA)
"""Arrays of texts, to be read one behind the other: a text alone, or JSON, may have 65,535 bytes at most."""
PIECE = 65_535
"""Bytes of UTF-8 in one text. Source: Milvus's limit for VARCHAR, in an array too."""
MOST_PIECES = 4096
"""Source: Milvus's limit for the elements of an array; requests are limited to less than so many full pieces."""
_PLACES_KEPT = 21


def pieces(text: str) -> list[str]:
    """Cut a text into pieces that fit into a VARCHAR each, at borders of characters; one at least."""
    raw = text.encode()
    if len(raw) <= PIECE:
        return [text]
    parts, start = [], 0
    while start < len(raw):
        end = min(start + PIECE, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        parts.append(raw[start:end].decode())
        start = end
    return parts


def record_of(row: int, passage: StoredPassage, vector: Vectors, sentences: str) -> dict[str, Any]:
    """Return the record of a passage.

    Args:
        row: Its row.
        passage: As stored; places after the first 21 are not kept, their number is.
        vector: Shape (dim,), a unit vector.
        sentences: What ``pack_sentences`` gives.
    """
    places = [[o.source, o.doc_id, o.title, o.start, o.end] for o in passage.occurrences[:_PLACES_KEPT]]
    return {
        ROW: row,
        LANG: passage.lang,
        VECTOR: vector,
        PASSAGE_ID: passage.passage_id,
        CONTEXT: pieces(passage.context),
        TEXT: pieces(passage.text),
        PLACES: pieces(json.dumps(places, ensure_ascii=False)),
        N_PLACES: passage.n_places,
        METADATA: pieces(json.dumps(dict(passage.metadata), ensure_ascii=False, allow_nan=False)),
        SENTENCES: pieces(sentences),
    }


def size_of(record: Mapping[str, Any]) -> int:
    """Return about how many bytes a record takes in a request."""
    return 1000 + 4 * len(record[VECTOR]) + sum(len(part.encode()) for name in LONG_FIELDS for part in record[name])


def passage_of(record: Mapping[str, Any]) -> StoredPassage:
    """Return the passage of a record.

    Raises:
        KeyError, TypeError, ValueError: When it is no such record.
    """
    places: Any = parse_json("".join(record[PLACES]))
    metadata: Any = parse_json("".join(record[METADATA]))
    return StoredPassage(
        passage_id=str(record[PASSAGE_ID]),
        lang=str(record[LANG]),
        context="".join(record[CONTEXT]),
        text="".join(record[TEXT]),
        occurrences=tuple(Occurrence(*place) for place in places),
        n_places=int(record[N_PLACES]),
        metadata=metadata,
    )


def pack_sentences(sentences: FoundSentences) -> list[str]:
    """Return the sentences of each passage as text: the spans as int32, then the vectors in int8, in base64.

    Milvus has no field of bytes, and no list of vectors that the embedded one has too. Nothing is lost: the unit
    vectors of ``index.sentence_vectors`` are int8 rows whose largest number was 127.
    """
    import numpy as np

    spans, vectors, starts = np.asarray(sentences.spans, "<i4"), to_int8(sentences.vectors), sentences.starts
    return [
        base64.b64encode(spans[a:b].tobytes() + vectors[a:b].tobytes()).decode()
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]


def unpack_sentences(packed: Sequence[Sequence[str]], dim: int) -> FoundSentences:
    """Return the sentences of passages from the field of their records.

    Raises:
        ValueError: When one holds no sentences of vectors of ``dim`` numbers.
    """
    import numpy as np

    spans, vectors, counts = [np.empty((0, 2), "<i4")], [np.empty((0, dim), np.int8)], [0]
    for parts in packed:
        try:
            raw = base64.b64decode("".join(parts), validate=True)
        except binascii.Error as error:
            raise ValueError(f"its sentences are not base64 ({error})") from error
        n, left = divmod(len(raw), 8 + dim)
        if left:
            raise ValueError(f"its sentences take {len(raw)} bytes, which no number of them does")
        spans.append(np.frombuffer(raw, "<i4", 2 * n).reshape(n, 2))
        vectors.append(np.frombuffer(raw, np.int8, n * dim, offset=8 * n).reshape(n, dim))
        counts.append(n)
    rows = np.concatenate(vectors).astype(np.float32)
    rows /= np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), 1.0)[:, None]  # as index.sentence_vectors does
    return FoundSentences(rows, np.concatenate(spans).astype(np.int32), np.cumsum(counts, dtype=np.int64))
