"""Reads the text that a model is trained with: the same said in several languages, and questions with their answers.

A line of a JSON Lines file is one of

    {"en": "...", "lt": "..."}                                        a sentence, question or passage in each language
    {"question": {...}, "answer": {...}}                              a question, and a passage that answers it
    {"question": {...}, "answer": {...}, "near": [{...}, {...}]}      and passages on the same subject that do not

where each ``{...}`` maps language tags to texts. All texts of one run are in the same languages.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from index.errors import InputError
from index.lines import placed_lines

TEXT = Path(__file__).parent / "training_text"
"""The project's own text, a file a domain."""
HELD_OUT = ("farming", "letters")
"""Domains that no model is trained with, for a test."""
_SENTENCE_CHARACTERS = 220
"""A text of more English characters is a passage."""


class Role(StrEnum):
    """What a text is to a search engine, which decides the prompts it is encoded with."""

    QUESTION = "question"
    PASSAGE = "passage"
    SENTENCE = "sentence"
    """Either: it may be asked for, and it may be found."""


@dataclass(frozen=True, slots=True)
class Item:
    """One content in several languages.

    Attributes:
        texts: Language to text.
        role: What it is.
        where: File and line it comes from.
    """

    texts: Mapping[str, str]
    role: Role
    where: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the passage that answers it, as positions in ``TrainingText.items``.

    Attributes:
        question: The question.
        answer: The passage.
        near: Passages on the same subject that do not answer.
    """

    question: int
    answer: int
    near: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrainingText:
    """All that a model is trained with.

    Attributes:
        languages: The languages that each item is in.
        items: Every content, those of pairs among them.
        pairs: Which items ask for which.
    """

    languages: tuple[str, ...]
    items: tuple[Item, ...]
    pairs: tuple[Pair, ...]


def text_files(paths: Iterable[Path], without: Collection[str] = ()) -> list[Path]:
    """Return the ``.jsonl`` files named or in folders named, sorted, without those of some stems."""
    files = {file for path in paths for file in (path.glob("*.jsonl") if path.is_dir() else [path])}
    return sorted(file for file in files if file.stem not in without)


def read_training_text(files: Sequence[Path]) -> TrainingText:
    """Read training text.

    Raises:
        InputError: When a file cannot be read, is not of this form, or there is no text at all.
    """
    items: list[Item] = []
    pairs: list[Pair] = []
    languages: tuple[str, ...] = ()

    def add(texts: Any, role: Role | None, where: str) -> int:
        nonlocal languages
        if not (isinstance(texts, dict) and all(isinstance(text, str) and text.strip() for text in texts.values())):
            raise InputError(f"{where}: is no object of texts. Give one text a language, named by its tag.")
        languages = languages or tuple(texts)
        if len(texts) < 2 or set(texts) != set(languages):
            raise InputError(
                f"{where}: has {', '.join(texts)}. Give each text in the same languages ({', '.join(languages)}), "
                "two at least."
            )
        items.append(Item(texts, role or _role(texts), where))
        return len(items) - 1

    for file in files:
        for where, line in placed_lines(file):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: is not JSON ({error}). Give one object a line.") from error
            if not (isinstance(record, dict) and "question" in record):
                add(record, None, where)
                continue
            if not ({"question", "answer"} <= set(record) <= {"question", "answer", "near"}):
                raise InputError(f"{where}: has {', '.join(record)}. Give question, answer, and near if there are any.")
            question = add(record["question"], Role.QUESTION, where)
            answer = add(record["answer"], Role.PASSAGE, where)
            beside = record.get("near", [])
            if not isinstance(beside, list):
                raise InputError(f"{where}: near is no list. Give passages that do not answer, or leave it out.")
            near = tuple(add(texts, Role.PASSAGE, where) for texts in beside)
            pairs.append(Pair(question, answer, near))
    if not items:
        raise InputError(
            f"no text in {', '.join(map(str, files)) or 'no file'}. Name .jsonl files, or folders of them."
        )
    return TrainingText(languages, tuple(items), tuple(pairs))


def _role(texts: Mapping[str, str]) -> Role:
    text = texts.get("en") or next(iter(texts.values()))
    if len(text) > _SENTENCE_CHARACTERS:
        return Role.PASSAGE
    return Role.QUESTION if text.rstrip().endswith(("?", "؟", "？")) else Role.SENTENCE


def sample(chooser: random.Random, choices: Sequence[int], n: int) -> list[int]:
    """Return n different choices, or all of them where there are fewer."""
    return chooser.sample(choices, min(n, len(choices)))
