"""The offline model against known results: a table of our own, and the published model's where it is at hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from index.encoder import PromptedEncoder
from index.text import for_model

REFERENCE = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "e5-small.jsonl.gz"

SENTENCES: dict[str, tuple[list[int], list[float]]] = {
    # text: its first token ids, the first numbers of its vector as a query
    "When does the library open?": (
        [0, 14847, 14602, 70, 35773, 1294, 9803, 32],
        [0.0624, -0.0402, -0.005, -0.0038, 0.0848, -0.0772],
    ),
    "Kada atidaroma biblioteka?": (
        [0, 30613, 99, 1683, 50840, 27070, 11, 32],
        [0.0618, 0.0037, -0.053, -0.0707, 0.095, -0.0765],
    ),
    "کتابخانه چه ساعتی باز می\u200cشود؟": (
        [0, 162593, 6310, 10892, 140, 7764, 383, 1994],
        [0.02, 0.009, -0.0141, -0.0101, 0.0902, -0.0497],
    ),
    "لائبریری کب کھلتی ہے؟": (
        [0, 6, 56507, 3979, 70191, 59451, 67715, 6424],
        [0.046, 0.007, -0.0423, -0.0822, 0.0739, -0.061],
    ),
    "గ్రంథాలయం ఎప్పుడు తెరుస్తారు?": (
        [0, 231623, 11171, 13600, 192373, 97913, 2127, 118156],
        [0.0475, -0.0092, -0.007, -0.02, 0.1023, -0.0552],
    ),
    "Die Bauern mähten den Roggen  ① ﬁ.": (
        [0, 622, 153772, 19, 21484, 127, 510, 168],
        [0.0553, -0.0364, -0.0076, -0.0601, 0.0631, -0.0192],
    ),
}
COSINES = [
    # row: as a query, column: as a passage
    [0.9561, 0.8713, 0.8316, 0.919, 0.9212, 0.7325],
    [0.8981, 0.94, 0.8697, 0.8867, 0.8898, 0.791],
    [0.8352, 0.8323, 0.9444, 0.8642, 0.865, 0.7502],
    [0.9491, 0.8899, 0.89, 0.965, 0.9453, 0.7683],
    [0.9054, 0.8577, 0.8509, 0.915, 0.9498, 0.7349],
    [0.7534, 0.7795, 0.765, 0.7542, 0.7521, 0.953],
]


@pytest.fixture(scope="module")
def tokenizer(offline_folder: Path) -> Any:
    tokenizer = Tokenizer.from_file(str(offline_folder / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    return tokenizer


def test_ids_of_our_own_sentences(tokenizer: Any) -> None:
    assert {text: tokenizer.encode(text).ids[:8] for text in SENTENCES} == {
        text: ids for text, (ids, _) in SENTENCES.items()
    }


def test_vectors_of_our_own_sentences(offline_encoder: PromptedEncoder) -> None:
    queries = offline_encoder.encode_queries(list(SENTENCES))
    passages = offline_encoder.encode_passages(list(SENTENCES))
    expected = np.array([numbers for _, numbers in SENTENCES.values()])
    np.testing.assert_allclose(queries[:, : expected.shape[1]], expected, atol=5e-4)
    np.testing.assert_allclose(queries @ passages.T, COSINES, atol=5e-4)
    assert (offline_encoder.prompts.query, offline_encoder.prompts.passage) == ("query: ", "passage: ")
    assert (offline_encoder.fingerprint.pooling, offline_encoder.fingerprint.dim) == ("mean", 384)
    # 512 tokens in all: two special ones, the prompt, and one that its last space may take.
    assert (offline_encoder.query_tokens, offline_encoder.passage_tokens) == (506, 507)


@pytest.fixture(scope="module")
def reference() -> list[dict[str, Any]]:
    """Texts with the token ids and vectors of the model's own tokenizer and of its weights in another engine."""
    if not REFERENCE.parent.is_dir():
        pytest.skip(f"there is no {REFERENCE.parent}")
    with gzip.open(REFERENCE, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_ids_of_the_reference(reference: list[dict[str, Any]], tokenizer: Any) -> None:
    assert len(reference) == 262
    assert [item["text"] for item in reference if tokenizer.encode(item["text"]).ids != item["ids"]] == []


def cosines(rows: Any, items: list[dict[str, Any]]) -> Any:
    expected = np.array([item["embedding"] for item in items])
    return (rows * expected).sum(axis=1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(rows, axis=1)


def test_vectors_of_the_reference(reference: list[dict[str, Any]], offline_encoder: PromptedEncoder) -> None:
    for prompt, encode in (
        ("query: ", offline_encoder.encode_queries),
        ("passage: ", offline_encoder.encode_passages),
    ):
        items = [item for item in reference if item["text"].startswith(prompt)]
        assert len(items) > 100
        found = cosines(encode([item["text"].removeprefix(prompt) for item in items]), items)
        for item, cosine in zip(items, found, strict=True):
            assert cosine >= 0.9999, item["text"]


def test_the_library_alone_gives_the_reference_too(reference: list[dict[str, Any]], offline_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    # The texts that we change before the model reads them, and some that we do not.
    items = [item for i, item in enumerate(reference) if i % 20 == 0 or for_model(item["text"]) != item["text"]]
    rows = SentenceTransformer(str(offline_folder), device="cpu").encode([item["text"] for item in items], prompt="")
    assert len(items) > 13
    assert cosines(rows, items).min() >= 0.9999
