"""The encoder with a tiny real model: what it returns and counts, and that the library returns the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from index.config import ModelSettings
from index.encoder import PromptedEncoder, open_encoder
from index.errors import ModelError
from index.text import for_model
from tests.toys import make_tiny_model

TEXTS = [
    "Ką darai?",
    "کتابخانه کی باز می‌شود؟",
    "గ్రంథాలయం ఎప్పుడు తెరుస్తారు?",
    "e\u0301 \u202babc\u202c ko\u00adoperacija",
    "",
    "A",
    "many words " * 60,
    "\ud800 lone",
    "Ką darai?",
]


@pytest.fixture(scope="module", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGUES_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module", params=["torch", "openvino"])
def encoder(tiny_model: Path, _own_home: None, request: pytest.FixtureRequest) -> PromptedEncoder:
    return open_encoder(settings_for(tiny_model, backend=request.param))


def settings_for(model: Path | str, backend: str = "torch", batch_tokens: int = 100) -> ModelSettings:
    return ModelSettings(
        str(model),
        query_prompt="q: ",
        passage_prompt="p: ",
        batch_tokens=batch_tokens,
        backend=backend,
        precision="fp32",
    )


@pytest.fixture(scope="module")
def library(tiny_model: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(tiny_model), device="cpu")


def unit(raw: Any) -> Any:
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.mark.parametrize(("method", "prompt"), [("encode_passages", "p: "), ("encode_queries", "q: ")])
def test_the_vectors_are_those_of_the_library(encoder: PromptedEncoder, library: Any, method: str, prompt: str) -> None:
    rows = getattr(encoder, method)(TEXTS)
    expected = unit(library.encode([prompt + for_model(text) for text in TEXTS]))
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    without = unit(library.encode([for_model(text) for text in TEXTS]))
    assert np.abs(rows - without).max() > 0.01


def test_rows_are_unit_float32_in_the_order_of_the_texts(encoder: PromptedEncoder) -> None:
    rows = encoder.encode_passages(TEXTS)
    assert rows.shape == (len(TEXTS), 32)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[0], rows[-1])
    for size in (1, 90):
        backend = "torch" if type(encoder).__name__.startswith("Sentence") else "openvino"
        other = open_encoder(settings_for(encoder.fingerprint.model, backend, size))
        np.testing.assert_allclose(other.encode_passages(TEXTS), rows, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_passages(TEXTS[::-1]), rows[::-1], atol=1e-5)


def test_no_texts_no_rows(encoder: PromptedEncoder) -> None:
    assert encoder.encode_passages([]).shape == encoder.encode_queries([]).shape == (0, 32)
    assert encoder.count_tokens([]) == []


def test_progress_advances_by_one_a_text(encoder: PromptedEncoder) -> None:
    class Counter:
        n = 0

        def start(self, label: str, total: int, unit: str) -> None:
            raise AssertionError("the caller begins the stage")

        def advance(self, n: int) -> None:
            self.n += n

        def note(self, text: str) -> None:
            raise AssertionError("nothing to say")

        def end(self) -> None:
            raise AssertionError("the caller ends the stage")

    counter = Counter()
    encoder.encode_passages(TEXTS, counter)
    assert counter.n == len(TEXTS)


def test_tokens_are_counted_by_the_models_tokenizer(encoder: PromptedEncoder, tiny_model: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    tokenizer.no_truncation()
    expected = [len(tokenizer.encode(for_model(text), add_special_tokens=False).ids) for text in TEXTS]
    assert encoder.count_tokens(TEXTS) == expected
    assert max(expected) > 48  # not cut at the model's limit
    # 48 tokens in all: two special ones, and a letter and a colon of the prompt.
    assert (encoder.passage_tokens, encoder.query_tokens) == (44, 44)


def test_what_a_model_cannot_read_changes_nothing(encoder: PromptedEncoder) -> None:
    assert encoder.passage_tokens == 44
    text = "ab " * 22
    assert encoder.count_tokens([text]) == [44]
    short, long, longer = encoder.encode_passages([text, text + "cd", text[:-3] + "cd"])
    np.testing.assert_allclose(short, long, atol=1e-5)
    assert np.abs(short - longer).max() > 1e-3


def test_prompts_of_the_models_own_configuration_are_put_once(tmp_path: Path, library: Any) -> None:
    folder = make_tiny_model(tmp_path / "own", prompts={"query": "ask: ", "document": "say: "})
    path = folder / "config_sentence_transformers.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "default_prompt_name": "query"}), "utf-8")
    own = open_encoder(ModelSettings(str(folder), backend="torch"))
    assert (own.prompts.query, own.prompts.passage, own.prompts.source) == ("ask: ", "say: ", "model")
    assert (own.fingerprint.query_prompt, own.fingerprint.passage_prompt) == ("ask: ", "say: ")
    expected = unit(library.encode([f"say: {TEXTS[0]}", f"ask: {TEXTS[0]}"]))
    rows = np.vstack([own.encode_passages(TEXTS[:1]), own.encode_queries(TEXTS[:1])])
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    bare = open_encoder(ModelSettings(str(folder), query_prompt="", passage_prompt="", backend="torch"))
    np.testing.assert_allclose(bare.encode_queries(TEXTS[:1]), unit(library.encode(TEXTS[:1])), atol=1e-5)


def test_the_fingerprint_says_what_decides_the_vectors(encoder: PromptedEncoder, tiny_model: Path) -> None:
    fingerprint = encoder.fingerprint
    assert fingerprint.model == str(tiny_model.resolve())
    assert (fingerprint.pooling, fingerprint.max_tokens, fingerprint.dim, fingerprint.precision) == (
        "mean",
        48,
        32,
        "fp32",
    )
    assert len(fingerprint.weights_hash) == 64


def test_a_prompt_as_long_as_the_model_reads_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no room for text in the 48 tokens"):
        open_encoder(ModelSettings(str(tiny_model), query_prompt="a very long prompt " * 4, backend="torch"))


def test_a_model_that_gives_no_numbers_is_an_error(tmp_path: Path, tiny_model: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.weight"] = np.full_like(weights["embeddings.LayerNorm.weight"], np.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    broken = open_encoder(ModelSettings(str(folder), backend="torch"))
    with pytest.raises(ModelError, match="not finite"):
        broken.encode_passages(["a"])


@pytest.mark.parametrize("damage", ["cut", "garbage", "config"])
def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path: Path, tiny_model: Path, damage: str) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_model, folder)
    weights = folder / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "garbage":
        weights.write_bytes(b"no weights")
    else:
        (folder / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match=r"cannot be loaded as a sentence-transformers model .*broken"):
        open_encoder(ModelSettings(str(folder), backend="torch"))


def test_a_static_model_counts_and_encodes(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "labas": 1, "rytas": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.eye(3, 8, dtype=np.float32)
    static = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    encoder = open_encoder(ModelSettings(str(tmp_path / "static"), backend="torch"))
    assert encoder.count_tokens(["labas rytas", "labas"]) == [2, 1]
    rows = encoder.encode_passages(["labas", "rytas", "labas rytas"])
    assert np.allclose(rows @ rows.T, [[1, 0, 0.5**0.5], [0, 1, 0.5**0.5], [0.5**0.5, 0.5**0.5, 1]], atol=1e-6)
