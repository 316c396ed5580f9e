"""Which words a model wants before a query and before a passage.

A model trained with prompts and asked without them (or with the two swapped) finds almost nothing across languages, so
they are looked up in this order: what the user says, what the model's own configuration says, what is known of its
family, nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

_TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
_GEMMA = "<instruct>Given a web search query, retrieve relevant passages that answer the query.\n<query>"
_REPRESENT = "Represent this sentence for searching relevant passages: "

_FAMILIES: tuple[tuple[str, str, str, str], ...] = (
    # name, pattern of a model's name, query prompt, passage prompt; the first match wins. Source: the models' cards.
    ("e5-instruct", r"\be5-.*instruct", _TASK, ""),
    ("e5", r"\be5-(small|base|large)", "query: ", "passage: "),
    ("gte-instruct", r"\bgte-.*instruct", _TASK, ""),
    ("gte", r"\bgte-", "", ""),
    ("bge-m3", r"\bbge-m3", "", ""),
    (
        "bge-gemma",
        r"\bbge-multilingual-gemma",
        _GEMMA,
        "",
    ),
    ("bge-zh", r"\bbge-.*-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    ("bge", r"\bbge-.*-en", _REPRESENT, ""),
    ("arctic-2", r"\barctic-embed-.*v2", "query: ", ""),
    ("arctic", r"\barctic-embed", _REPRESENT, ""),
    ("mxbai", r"\bmxbai-embed", _REPRESENT, ""),
    ("nomic", r"\bnomic-embed", "search_query: ", "search_document: "),
    ("labse", r"\blabse\b", "", ""),
    ("paraphrase", r"\bparaphrase-", "", ""),
    ("distiluse", r"\bdistiluse-", "", ""),
    ("all-*", r"\ball-(minilm|mpnet|distilroberta|roberta)", "", ""),
)

_QUERY_KEYS = ("query", "search_query", "retrieval.query", "Retrieval-query")
_PASSAGE_KEYS = ("document", "passage", "corpus", "search_document", "retrieval.passage", "Retrieval-document")


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is put before a query and before a passage, and who says so.

    Attributes:
        query: Put before every query.
        passage: Put before every passage.
        source: ``user``, ``model`` (its own configuration), ``family NAME``, or ``none`` (nothing is known of it).
    """

    query: str
    passage: str
    source: str


def resolve_prompts(folder: Path, name: str, query: str | None = None, passage: str | None = None) -> Prompts:
    """Return the prompts of a model.

    Args:
        folder: The model's files.
        name: The name it was asked for by.
        query: The user's own query prompt, None to look it up.
        passage: The user's own passage prompt, None to look it up.
    """
    found = _of_model(folder) or _of_family(folder, name) or Prompts("", "", "none")
    if query is None and passage is None:
        return found
    return Prompts(
        found.query if query is None else query,
        found.passage if passage is None else passage,
        "user",
    )


def _of_model(folder: Path) -> Prompts | None:
    """Read the prompts of the model's own configuration; empty ones say nothing, since every saved model has them."""
    try:
        config = json.loads((folder / "config_sentence_transformers.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    stored = config.get("prompts") if isinstance(config, dict) else None
    if not isinstance(stored, dict):
        return None
    query = next((stored[key] for key in _QUERY_KEYS if stored.get(key)), "")
    passage = next((stored[key] for key in _PASSAGE_KEYS if stored.get(key)), "")
    return Prompts(str(query), str(passage), "model") if query or passage else None


def _of_family(folder: Path, name: str) -> Prompts | None:
    cached = folder.parent.parent.name if folder.parent.name == "snapshots" else ""  # models--OWNER--NAME
    for identity in (name, folder.name, cached, *_base_models(folder)):
        # The last part only: a folder above may be named after another model.
        model = re.split(r"[/\\]", identity.rstrip("/\\"))[-1].replace("_", "-").lower()
        for family, pattern, query, passage in _FAMILIES:
            if re.search(pattern, model):
                return Prompts(query, passage, f"family {family}")
    return None


def _base_models(folder: Path) -> list[str]:
    """Return the names a fine-tuned model gives as its origin, in its configuration and its card."""
    names = []
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a model need not have one
        names.append(str(json.loads((folder / "config.json").read_text("utf-8")).get("_name_or_path", "")))
    try:
        card = (folder / "README.md").read_text("utf-8", "replace")[:20_000]
    except OSError:
        return names
    found = re.search(r"^base_model:[ \t]*(?:\r?\n[ \t]*-[ \t]*)?[\"'\[]*([\w./-]+)", card, re.MULTILINE)
    return [*names, found.group(1)] if found else names
