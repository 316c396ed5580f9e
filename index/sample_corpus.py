"""The sample corpus that the package carries: 52 documents in four languages, and 60 questions on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
"""Folder with one folder of documents a language."""
_QUESTIONS = Path(__file__).parent / "sample_questions.jsonl"


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question, its language, and the documents that answer it (paths below ``SAMPLES``)."""

    query_id: str
    text: str
    lang: str
    relevant: tuple[str, ...]


def read_questions() -> list[SampleQuestion]:
    """Return the questions on the sample corpus, in order."""
    with _QUESTIONS.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    return [SampleQuestion(r["_id"], r["text"], r["lang"], tuple(r["relevant"])) for r in records]
