"""Answers as JSON: written by ``json`` from plain data, which costs a tenth of what checked models would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.searcher import Searcher
    from search.server.jobs import Answer
    from search.server.settings import Limits
    from search.server.sources import Shortener

JSON = "application/json"


def to_json(data: object) -> bytes:
    """Return data as JSON bytes; queries and what an index holds were checked to be text and numbers that JSON has."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def error_json(message: str) -> bytes:
    """Return an error as every error is answered."""
    return to_json({"error": message})


def answer_data(answer: Answer, shown: Shortener) -> dict[str, Any]:
    """Return the answer to one query as plain data."""
    hits = [hit.to_dict() for hit in answer.hits]
    for hit in hits:
        del hit["query"]
        shorten(hit, shown)
    return {"query": answer.query, "lang": answer.lang, "notice": answer.notice, "hits": hits}


def shorten(found: dict[str, Any], shown: Shortener) -> dict[str, Any]:
    """Shorten the sources of a hit or passage, in place; returns it."""
    found["source"] = shown(found["source"])
    places: Sequence[dict[str, Any]] = found["also_in"]
    for place in places:
        place["source"] = shown(place["source"])
    return found


def languages_data(searcher: Searcher, limits: Limits) -> Mapping[str, Any]:
    """Return what an index holds, most passages first, and how much may be asked for at a time."""
    counts = searcher.manifest.counts
    ordered = sorted(counts.languages.items(), key=lambda item: (-item[1], item[0]))
    return {
        "passages": counts.passages,
        "documents": counts.documents,
        "languages": [{"lang": lang, "passages": n} for lang, n in ordered],
        "limits": {"k": limits.max_k, "per_language": limits.max_per_language, "context": limits.max_context},
    }
