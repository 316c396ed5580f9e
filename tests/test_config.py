"""Settings: their limits, and plain data turned into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from index.config import BuildSettings, ChunkSettings, FieldNames, IndexKind, ModelSettings, VectorNumbers, from_mapping
from index.errors import SettingsError


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: ChunkSettings(max_tokens=15), "max_tokens is 15; give a number of tokens from 16 to 8192"),
        (lambda: ChunkSettings(max_tokens=8193), "max_tokens is 8193"),
        (lambda: ChunkSettings(overlap_sentences=-1), "overlap_sentences is -1; give a number from 0 to 10"),
        (lambda: ChunkSettings(overlap_sentences=11), "overlap_sentences is 11"),
        (lambda: FieldNames(text=""), "text field is empty"),
        (lambda: ModelSettings(name=""), "model's name is empty; name a model, for example e5-small"),
        (lambda: ModelSettings(batch_tokens=0), "batch_tokens is 0"),
        (lambda: ModelSettings(batch_tokens=1_000_001), "batch_tokens is 1000001"),
        (lambda: ModelSettings(threads=-1), "threads is -1"),
        (lambda: ModelSettings(threads=1025), "threads is 1025"),
        (lambda: BuildSettings(encoding="no-such"), "encoding 'no-such' is not known; use a name such as utf-8"),
        (lambda: BuildSettings(encoding="base64"), "encoding 'base64' is not known"),
        (lambda: BuildSettings(encoding="a\0b"), "encoding .* is not known"),
        (lambda: BuildSettings(kind="lsh"), "kind is 'lsh'; give one of auto, flat, pq, hnsw, ivf-sq, ivf-pq"),
        (lambda: BuildSettings(vectors="int4"), "vectors is 'int4'; give one of float32, float16, int8"),
    ],
)
def test_values_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        make()


def test_the_ends_of_every_range_are_allowed() -> None:
    assert ChunkSettings(16, 0).max_tokens == 16
    assert ChunkSettings(8192, 10).overlap_sentences == 10
    assert ModelSettings(batch_tokens=1, threads=0) != ModelSettings(batch_tokens=1_000_000, threads=1024)
    assert BuildSettings(encoding="windows-1257").encoding == "windows-1257"
    assert BuildSettings(kind="ivf-pq", vectors="int8") == BuildSettings(
        kind=IndexKind.IVF_PQ, vectors=VectorNumbers.INT8
    )


def test_ids_are_tried_in_order() -> None:
    assert FieldNames().ids == ("_id", "id", "doc_id")
    assert FieldNames(id="number").ids == ("number",)


def test_settings_cannot_be_changed() -> None:
    settings: Any = ChunkSettings()
    with pytest.raises(FrozenInstanceError):
        settings.max_tokens = 3


def test_plain_data_becomes_settings() -> None:
    data = {
        "encoding": "utf-8",
        "model": {"name": "m", "query_prompt": "q: ", "threads": 2},
        "chunking": {"max_tokens": 100},
        "fields": {"id": "number"},
    }
    assert from_mapping(BuildSettings, data, "c.toml") == BuildSettings(
        model=ModelSettings(name="m", query_prompt="q: ", threads=2),
        chunking=ChunkSettings(max_tokens=100),
        fields=FieldNames(id="number"),
        encoding="utf-8",
    )
    assert from_mapping(BuildSettings, {}, "c.toml") == BuildSettings()
    assert from_mapping(ModelSettings, {"query_prompt": None}, "c").query_prompt is None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            {"modle": {}},
            r"c\.toml: unknown setting 'modle' \(known: chunking, encoding, fields, kind, model, parallel, sentences",
        ),
        ({"model": {"size": 1}}, r"c\.toml \[model\]: unknown setting 'size' \(known: backend, batch_tokens, name"),
        ({"model": "e5-small"}, r"c\.toml: model is a table of settings, not 'e5-small'"),
        ({"encoding": 8}, r"c\.toml: encoding must be text, not 8"),
        ({"chunking": {"max_tokens": "256"}}, r"c\.toml \[chunking\]: max_tokens must be a whole number, not '256'"),
        ({"chunking": {"max_tokens": 256.0}}, r"max_tokens must be a whole number, not 256\.0"),
        ({"chunking": {"max_tokens": True}}, r"max_tokens must be a whole number, not True"),
        ({"model": {"backend": "onnx"}}, r"\[model\]: backend is 'onnx'; give one of auto, openvino, torch"),
        ({"model": {"precision": 8}}, r"precision must be text, not 8"),
        ({"model": {"backend": "torch", "precision": "int8"}}, r"precision int8 needs the openvino backend"),
        ({"model": {"passage_prompt": 3}}, r"passage_prompt must be text, not 3"),
        ({"chunking": {"max_tokens": 3}}, r"^c\.toml \[chunking\]: max_tokens is 3; give"),
        ({"encoding": "nope"}, r"^c\.toml: encoding 'nope' is not known"),
    ],
)
def test_plain_data_that_does_not_fit_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        from_mapping(BuildSettings, data, "c.toml")
