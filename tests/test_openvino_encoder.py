"""How a model is prepared for OpenVINO and opened: made once, what is damaged or refused told, torch in its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.cache import STAMP
from index.config import ModelSettings
from index.encoder import PromptedEncoder, open_encoder
from index.errors import BackendError, StoreError, TonguesError
from tests.tiny_models import make_mean_model, make_static_model, make_xlmr_parts

TEXTS = ["Ką darai?", "గ్రంథాలయం ఎప్పుడు తెరుస్తారు?", "", "many words " * 30]
SERVED_BY_TORCH = "torch computes instead: slower, in fp32."


class Recorder:
    """A progress that remembers which stages began and what was noted."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.total = self.done = self.n_ends = 0

    def start(self, label: str, total: int, unit: str) -> None:
        self.stages.append(label)
        self.total += total

    def advance(self, n: int) -> None:
        self.done += n

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self) -> None:
        self.n_ends += 1


def opened(
    model: Path, backend: str = "openvino", precision: str = "fp32", told: Recorder | None = None
) -> PromptedEncoder:
    return open_encoder(ModelSettings(str(model), backend=backend, precision=precision), told or Recorder())


def kind(encoder: PromptedEncoder) -> str:
    return {"SentenceTransformerEncoder": "torch", "OpenVinoEncoder": "openvino"}[type(encoder).__name__]


def exported(home: Path, model: Path) -> Path:
    """Return the folder of a model's export."""
    (folder,) = (path for path in (home / "openvino").glob(f"{model.name}-*") if not path.suffix)
    return folder


@pytest.fixture(scope="module")
def unigram_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unigram")
    return make_mean_model(folder / "mean", make_xlmr_parts(folder / "parts"))


@pytest.fixture(scope="module")
def prepared(tiny_model: Path, unigram_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where both models are exported in fp32."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("prepared") / "home"
        patch.setenv("TONGUES_HOME", str(home))
        for model in (tiny_model, unigram_model):
            opened(model)
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared home."""
    copy = shutil.copytree(prepared, tmp_path / "home")
    monkeypatch.setenv("TONGUES_HOME", str(copy))
    return copy


@pytest.fixture
def new_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is not there yet."""
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "new home"))
    return tmp_path / "new home"


def test_a_model_is_exported_once_for_each_precision(new_home: Path, tiny_model: Path) -> None:
    told = Recorder()
    rows = opened(tiny_model, precision="int8", told=told).encode_passages(TEXTS)
    assert told.stages == [f"preparing {tiny_model.name} for OpenVINO in int8 (once)"]
    assert told.notes == []
    assert (told.done, told.n_ends) == (told.total, 1)
    folder = exported(new_home, tiny_model)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = Recorder()
    for precision in ("int8", "auto"):
        np.testing.assert_array_equal(opened(tiny_model, precision=precision, told=again).encode_passages(TEXTS), rows)
    assert (again.stages, again.notes) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    opened(tiny_model, precision="fp32", told=again)
    assert again.stages == [f"preparing {tiny_model.name} for OpenVINO in fp32 (once)"]
    assert len([path for path in (new_home / "openvino").iterdir() if (path / STAMP).is_file()]) == 2


def test_changed_weights_are_another_model(home: Path, tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    other = shutil.copytree(tiny_model, tmp_path / "of the same name" / tiny_model.name)
    weights = load_file(other / "model.safetensors")
    weights["embeddings.word_embeddings.weight"] += np.float32(0.5)
    weights["embeddings.word_embeddings.weight"][::2] *= np.float32(-3)
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    told = Recorder()
    encoder = opened(other, told=told)
    assert len(told.stages) == 1
    np.testing.assert_allclose(
        encoder.encode_passages(TEXTS), opened(other, backend="torch").encode_passages(TEXTS), atol=1e-5
    )
    assert np.abs(encoder.encode_passages(TEXTS) - opened(tiny_model).encode_passages(TEXTS)).max() > 1e-3


@pytest.mark.parametrize("name", ["encoder.bin", "tokens.npy", STAMP])
def test_what_is_cut_or_missing_is_made_anew(home: Path, tiny_model: Path, name: str) -> None:
    before = opened(tiny_model).encode_passages(TEXTS)
    path = exported(home, tiny_model) / name
    if name == "tokens.npy":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    told = Recorder()
    np.testing.assert_allclose(opened(tiny_model, told=told).encode_passages(TEXTS), before, atol=1e-6)
    assert (len(told.stages), told.notes) == (1, [])


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def without_a_fact(content: bytes) -> bytes:
    return content.replace(b'"pad_id"', b'"pad_it"')


def a_fact_of_another_kind(content: bytes) -> bytes:
    return content.replace(b'"max_tokens": 48', b'"max_tokens": []')


DAMAGES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("tiny", "encoder.xml", zeroed),
    ("tiny", "tokens.npy", zeroed),
    ("tiny", "token_scales.npy", zeroed),
    ("tiny", "tokenizer.json", zeroed),
    ("tiny", STAMP, without_a_fact),
    ("tiny", STAMP, a_fact_of_another_kind),
    ("mean", "tokenizer_shell.json", zeroed),
    ("mean", "piece_hashes.npy", zeroed),
    ("mean", "piece_bytes.npy", zeroed),
]


@pytest.mark.parametrize(("which", "name", "damage"), DAMAGES)
def test_what_is_damaged_in_its_full_size_is_told(
    home: Path, tiny_model: Path, unigram_model: Path, which: str, name: str, damage: Callable[[bytes], bytes]
) -> None:
    model = tiny_model if which == "tiny" else unigram_model
    path = exported(home, model) / name
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    with pytest.raises(BackendError) as raised:
        opened(model)
    assert str(raised.value).startswith(f"{path.parent}: ")
    assert "\n" not in str(raised.value)
    told = Recorder()
    encoder = opened(model, backend="auto", told=told)
    assert (kind(encoder), told.stages, len(told.notes)) == ("torch", [], 1)
    assert told.notes[0].startswith(f"{path.parent}: ")
    assert told.notes[0].endswith(SERVED_BY_TORCH)
    assert encoder.encode_passages(TEXTS).shape == (4, 32)


def test_a_tokenizer_that_is_opened_late_and_damaged_is_told(home: Path, unigram_model: Path) -> None:
    path = exported(home, unigram_model) / "tokenizer.json"
    path.write_bytes(zeroed(path.read_bytes()))
    encoder = opened(unigram_model)
    encoder.encode_passages(["a short text"])
    with pytest.raises(TonguesError, match=r"tokenizer\.json: .*[Dd]elete"):
        encoder.encode_passages(["a long text " * 1000])


def test_kernels_in_a_damaged_cache_are_compiled_anew(home: Path, tiny_model: Path) -> None:
    before = opened(tiny_model).encode_passages(TEXTS)
    (folder,) = (home / "openvino").glob(f"{tiny_model.name}*.compiled")
    blobs = [path for path in folder.rglob("*") if path.is_file()]
    assert blobs
    for content in (lambda old: b"", lambda old: old[: len(old) // 2], zeroed):
        for blob in blobs:
            blob.write_bytes(content(blob.read_bytes()))
        np.testing.assert_array_equal(opened(tiny_model).encode_passages(TEXTS), before)


def test_a_model_that_cannot_be_exported_is_served_by_torch(new_home: Path, tmp_path: Path) -> None:
    model = make_static_model(tmp_path / "static")
    first, second = Recorder(), Recorder()
    for told in (first, second):
        encoder = opened(model, backend="auto", precision="auto", told=told)
        assert kind(encoder) == "torch"
        rows = encoder.encode_passages(["labas", "rytas", "labas rytas"])
        assert np.allclose(rows @ rows.T, [[1, 0, 0.5**0.5], [0, 1, 0.5**0.5], [0.5**0.5, 0.5**0.5, 1]], atol=1e-6)
        assert len(told.notes) == 1
        assert told.notes[0].startswith(f"{model}: OpenVINO cannot compute it in int8: its tokenizer ")
        assert told.notes[0].endswith(SERVED_BY_TORCH)
    assert len(first.stages) == 1
    assert second.stages == []  # it is known already
    with pytest.raises(
        BackendError, match=r"static: OpenVINO cannot compute it in int8: its tokenizer .*delete .*\.refused"
    ):
        opened(model, precision="int8")
    assert [path for path in (new_home / "openvino").iterdir() if path.is_dir()] == []


def test_a_refusal_is_for_the_libraries_it_was_made_with(new_home: Path, tmp_path: Path) -> None:
    model = make_static_model(tmp_path / "static")
    for record in (None, '{"versions": {"openvino": "2020.1"}, "reason": "too old"}', "{", "[]", "{}"):
        (*refused,) = (new_home / "openvino").glob("*.refused")
        for path in refused if record is not None else ():
            path.write_text(record or "", "utf-8")
        told = Recorder()
        with pytest.raises(BackendError, match="its tokenizer"):
            opened(model, told=told)
        assert len(told.stages) == 1
    (path,) = (new_home / "openvino").glob("*.refused")
    assert sorted(json.loads(path.read_text("utf-8"))) == ["reason", "versions"]


@pytest.mark.parametrize("name", ["static", "static-v1.5"])
def test_a_refusal_is_of_that_very_model(new_home: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    model = make_static_model(tmp_path / name)
    with pytest.raises(BackendError, match="in fp32"):
        opened(model)
    shutil.rmtree(model)
    shutil.copytree(tiny_model, model)  # another model in its place
    told = Recorder()
    assert kind(opened(model, told=told)) == "openvino"
    assert len(told.stages) == 1


def test_a_home_that_cannot_be_written(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tiny_model)
    told = Recorder()
    assert kind(opened(tiny_model, backend="auto", told=told)) == "torch"
    assert len(told.notes) == 1
    assert told.notes[0].endswith(SERVED_BY_TORCH)


def test_numbers_that_are_none_are_no_export(new_home: Path, tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    weights: dict[str, Any] = load_file(broken / "model.safetensors")
    weights["embeddings.LayerNorm.weight"] = np.full_like(weights["embeddings.LayerNorm.weight"], np.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match=r"cannot compute it in fp32: its vectors would have a cosine of nan"):
        opened(broken)
    assert list((new_home / "openvino").glob("*/encoder.xml")) == []
