"""Makes of a sentence-transformers model what OpenVINO runs: a graph without token vectors, quantized and checked.

sentence-transformers loads the model and gives its own modules for pooling and what follows, OpenVINO traces them, NNCF
quantizes to int8 by what it sees of the sample corpus. What comes out is compared with torch before it is kept.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index import unigram
from index.config import ModelSettings, Precision
from index.errors import BackendError, ModelError
from index.models import ModelFiles
from index.openvino_encoder import GRAPH, TOKENIZER, import_openvino, open_tokenizer, padded
from index.progress import Progress
from index.sample_corpus import SAMPLES, read_questions
from index.token_table import TokenTable, write_table
from index.torch_encoder import load, max_tokens, pooling, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CALIBRATION_TEXTS = 300
"""Source: NNCF's own default."""
_READINGS = 2
"""How often quantization reads them."""
_SHORTEST = 60
"""Characters of a paragraph worth calibrating with."""
_CHECKED_TEXTS = 48
_OUTLIER = 100
"""How many times the root mean square of a layer's input its largest number must be to leave the layer unquantized.

Measured on the offline model: three of its 72 layers, 150 to 260 times; without them mean mAP@100 on `parallel` is .2
points below fp32, with all 72 in int8 .4.
"""
_LONG, _LONG_TOKENS = 6, 1000
"""The longest checked text has 6 characters, about two tokens, for each token the model reads, up to so many."""
_LEAST_COSINE = {Precision.FP32: 0.9999, Precision.BF16: 0.999, Precision.INT8: 0.98}
"""How near to torch in float32 the exported model must be, on the average of the checked texts."""
_N_STEPS = 4
"""Loading, tracing, quantizing, checking."""


class ExportError(Exception):
    """A model that cannot be exported; says why."""


def versions() -> dict[str, str]:
    """Return the versions on which it depends whether a model can be exported."""
    found = {}
    for name in ("openvino", "nncf", "tokenizers", "transformers", "sentence-transformers", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def export(
    files: ModelFiles, settings: ModelSettings, precision: Precision, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Export a model to a folder; returns what the encoder must know of it.

    Raises:
        ExportError: When it is of a kind that cannot be exported, or its vectors would not be the model's.
        BackendError: When a library is missing.
        ModelError: When it cannot be loaded.
    """
    if precision is Precision.INT8:
        _import_nncf()  # that it is missing is better known before a minute of work
    texts = _texts()
    n_steps = _N_STEPS + (_READINGS * len(texts) if precision is Precision.INT8 else 0)
    progress.start(f"preparing {Path(files.name).name} for OpenVINO in {precision} (once)", n_steps, "steps")
    try:
        model = load(files, settings)
        progress.advance(1)
        with _quiet():
            facts = _export(model, texts, precision, folder, progress)
    except (ExportError, ModelError, OSError, MemoryError):
        raise
    except Exception as error:  # tracing, quantizing and computing fail in as many ways as there are models
        raise ExportError(f"{type(error).__name__}: {_first_line(error)}") from error
    finally:
        progress.end()
    return {"model": files.name, "weights_hash": files.weights_hash, "precision": precision, **facts}


def _export(model: Any, texts: Sequence[str], precision: Precision, folder: Path, progress: Progress) -> dict[str, Any]:
    openvino = import_openvino()
    together = "\n".join(texts)  # longer than any model reads
    facts = _write_tokenizer(model, folder, [*texts, together])
    weights = _token_vectors(model)
    write_table(weights, folder, precision)
    facts |= {"n_tokens": len(weights), "token_dim": weights.shape[1]}
    table = TokenTable.open(folder, len(weights), weights.shape[1], precision)
    tokenizer = open_tokenizer(folder / TOKENIZER)
    tokenizer.enable_truncation(facts["max_tokens"])

    def inputs(some: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        cut = [encoding.ids for encoding in tokenizer.encode_batch(list(some))]
        ids, mask = padded(cut, facts["pad_id"], max(map(len, cut)))
        return {"inputs_embeds": table.rows(ids), "attention_mask": mask}

    graph = _trace(model, weights.shape[1])
    progress.advance(1)
    if precision is Precision.INT8:
        left = [_READINGS * len(texts)]  # another version of NNCF may read them more often

        def calibrate(text: str) -> dict[str, NDArray[np.generic]]:
            progress.advance(min(1, left[0]))
            left[0] = max(0, left[0] - 1)
            return inputs([text])

        graph = _quantize(graph, texts, calibrate, _layers_with_outliers(model, texts))
    progress.advance(1)
    openvino.save_model(graph, folder / GRAPH, compress_to_fp16=precision is Precision.BF16)
    hint = {"INFERENCE_PRECISION_HINT": "f32"} if precision is Precision.FP32 else {}
    compiled = openvino.compile_model(folder / GRAPH, "CPU", hint)
    long = together[: _LONG * min(facts["max_tokens"], _LONG_TOKENS)]
    facts["dim"] = _check(model, [*texts, long], lambda some: compiled(inputs(some))[0], _LEAST_COSINE[precision])
    progress.advance(1)
    return facts


def _texts() -> list[str]:
    """Return text of the sample corpus in all its languages, and the questions on it."""
    paragraphs = [
        text
        for path in sorted(SAMPLES.glob("*/*"))
        for text in path.read_text("utf-8").split("\n\n")
        if len(text) >= _SHORTEST
    ]
    questions = [question.text for question in read_questions()]
    step = len(paragraphs) / (_CALIBRATION_TEXTS - len(questions))
    chosen = [paragraphs[int(i * step)] for i in range(_CALIBRATION_TEXTS - len(questions))]
    prompts = ("query: ", "passage: ")  # of the offline model; other models take them as words like others
    return [prompts[0] + text for text in questions] + [prompts[1] + text for text in chosen]


def _write_tokenizer(model: Any, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Write the tokenizer as a file of its own, and as a table where it is a unigram one."""
    tokenizer = model.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not callable(tokenizer):
        raise ExportError("its tokenizer is not one of the library tokenizers")
    if getattr(model[0], "do_lower_case", False):
        raise ExportError("it lowers the case of texts by itself")
    backend.save(str(folder / TOKENIZER))
    whole = open_tokenizer(folder / TOKENIZER)
    limit = max_tokens(model)
    whole.enable_truncation(limit)
    ours = [encoding.ids for encoding in whole.encode_batch(list(texts))]
    if ours != tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]:
        raise ExportError("its tokenizer does more than its file says")
    has_table = unigram.write_table(json.loads((folder / TOKENIZER).read_text("utf-8")), folder)
    if has_table:
        table = unigram.UnigramTable(folder)
        if [table.encode(text, limit) for text in texts] != ours:
            raise ExportError("its tokenizer cuts otherwise when it is opened in part")
    pad_id = tokenizer.pad_token_id
    return {
        "max_tokens": limit,
        "pooling": pooling(model),
        "pad_id": 0 if pad_id is None else pad_id,
        "unigram": has_table,
    }


def _token_vectors(model: Any) -> NDArray[np.float32]:
    transformer = getattr(model[0], "auto_model", None)
    if transformer is None or not hasattr(transformer, "get_input_embeddings"):
        raise ExportError("it is no transformer")
    if model.truncate_dim is not None:
        raise ExportError("its vectors are cut short")
    weights: NDArray[np.float32] = transformer.get_input_embeddings().weight.detach().float().numpy()
    return weights


def _trace(model: Any, token_dim: int) -> Any:
    """Return the model as a graph from token vectors and mask to unit vectors."""
    import torch

    class FromTokenVectors(torch.nn.Module):  # type: ignore[misc] # torch is not followed
        """The model after its token vectors: transformer, pooling, and whatever modules follow."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer = model[0].auto_model
            self.rest = torch.nn.ModuleList(list(model)[1:])

        def forward(self, inputs_embeds: Any, attention_mask: Any) -> Any:
            hidden = self.transformer(inputs_embeds=inputs_embeds, attention_mask=attention_mask)
            features = {"token_embeddings": hidden.last_hidden_state, "attention_mask": attention_mask}
            for module in self.rest:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    example = {"inputs_embeds": torch.randn(2, 8, token_dim), "attention_mask": torch.ones(2, 8, dtype=torch.int64)}
    openvino = import_openvino()
    with torch.no_grad():
        graph = openvino.convert_model(FromTokenVectors().eval(), example_input=example)
    graph.reshape({"inputs_embeds": [-1, -1, token_dim], "attention_mask": [-1, -1]})
    return graph


def _import_nncf() -> Any:
    import_openvino()  # without its telemetry, which NNCF uses too
    try:
        import nncf
    except (ImportError, OSError) as error:
        raise BackendError(
            f"NNCF, which quantizes to int8, cannot be used ({error}). Install it with: pip install nncf"
        ) from error
    return nncf


def _layers_with_outliers(model: Any, texts: Sequence[str]) -> list[str]:
    """Return the names of the linear layers that get a few numbers far larger than all others.

    The one scale of int8 would leave those others with few digits. Source: Bondarenko, Nagel and Blankevoort 2021,
    Understanding and overcoming the challenges of efficient transformer quantization.
    """
    import torch

    largest: dict[str, float] = {}
    squares: dict[str, list[float]] = {}

    def watch(name: str) -> Any:
        def see(module: Any, given: tuple[Any, ...]) -> None:
            largest[name] = max(largest.get(name, 0.0), float(given[0].abs().max()))
            squares.setdefault(name, []).append(float(given[0].square().mean()))

        return see

    transformer = model[0].auto_model
    layers = [(name, module) for name, module in transformer.named_modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in layers]
    try:
        model.encode(list(texts[:: max(1, len(texts) // _CHECKED_TEXTS)]), prompt="", show_progress_bar=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in largest if largest[name] > _OUTLIER * (sum(squares[name]) / len(squares[name])) ** 0.5]


def _quantize(graph: Any, texts: Sequence[str], inputs: Any, kept: Sequence[str]) -> Any:
    nncf = _import_nncf()
    nncf.set_log_level(logging.ERROR)
    products = [op.get_friendly_name() for op in graph.get_ops() if op.get_type_name() == "MatMul"]
    starts = tuple(f"__module.transformer.{name}/" for name in kept)  # what tracing names them after
    return nncf.quantize(
        graph,
        nncf.Dataset(texts, inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(texts),
        # In int8 attention is no faster, and its kernels take as long to make as all the rest of a question.
        ignored_scope=nncf.IgnoredScope(
            types=["ScaledDotProductAttention"],
            names=[name for name in products if name.startswith(starts)],
            validate=False,
        ),
    )


def _check(model: Any, texts: Sequence[str], encode: Any, least: float) -> int:
    """Compare with torch on texts of all lengths, padded and not; returns the length of a vector."""
    import numpy as np

    chosen = sorted(texts, key=len)[:: -max(1, len(texts) // _CHECKED_TEXTS)]
    expected = model.encode(chosen, prompt="", convert_to_numpy=True, show_progress_bar=False)
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    alone = np.concatenate([encode([text]) for text in chosen[::4]])
    together = np.concatenate([encode(chosen[i : i + 8]) for i in range(0, len(chosen), 8)])
    cosines = np.append((alone * expected[::4]).sum(axis=1), (together * expected).sum(axis=1))
    if not cosines.mean() >= least:
        raise ExportError(f"its vectors would have a cosine of {cosines.mean():.4f} to those of torch")
    return int(expected.shape[1])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what tracing and quantizing print and warn of off the user's terminal."""
    with (
        quiet(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
