"""Files of texts with ready vectors, as others write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from index.progress import Silent
from tests.toys import ToyEncoder

TEXTS = [f"This is number{i} of the first kind. It has another sentence number{i}." for i in range(40)]


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def foreign(path: Path, columns: dict[str, Any], vectors: Any = None, name: str = "vector") -> Path:
    vectors = ToyEncoder().encode_passages(columns["text"]) if vectors is None else vectors
    table = pa.table({**columns, name: list(vectors)})
    pq.write_table(table, path)
    return path


def lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path
