"""A sentence-transformers model computed by OpenVINO: several times faster than torch, and open in a tenth of the time.

What it runs is made once by ``index/openvino_export.py``: the model without its token vectors, which stay in a table
beside it. The home of openvino; imports neither torch nor sentence-transformers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.cache import STAMP, is_whole, make_once
from index.config import ModelSettings, Precision
from index.encoder import Fingerprint, PromptedEncoder, token_batches
from index.errors import BackendError, IndexDamagedError
from index.files import home, write_text
from index.models import ModelFiles
from index.progress import Progress
from index.prompts import Prompts
from index.token_table import TokenTable
from index.unigram import UnigramTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECIPE = "3"
"""Changes when what is exported does: models are then exported anew."""
GRAPH = "encoder.xml"
TOKENIZER = "tokenizer.json"
_FEW = 8
"""Up to this many texts are encoded one after another, each by all cores, until more were encoded side by side once:
that costs less a text, but takes a while to prepare."""
_PER_STREAM = 2
"""Requests for each that runs at once, so that none waits for Python."""
_MOST_OF_FEW = 8
_STEP = 16
"""Texts are padded to multiples of this many tokens: OpenVINO compiles its kernels for every shape it has not met."""
_SHORT = 4000
"""Characters up to which texts are cut without opening the whole tokenizer."""


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report the import over the network.

    Raises:
        BackendError: When it is not installed, or does not run here.
    """
    # Python's own way to have an import fail; OpenVINO then does without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(f"OpenVINO cannot be used ({error}). Install it with: pip install openvino.") from error
    return openvino


def open_openvino(files: ModelFiles, prompts: Prompts, settings: ModelSettings, progress: Progress) -> OpenVinoEncoder:
    """Open a model, exported first if it has not been yet.

    Raises:
        BackendError: When OpenVINO is missing or cannot run the model.
        StoreError: When the exported model cannot be written.
    """
    import_openvino()
    precision, folder = exported(files, settings)
    if not is_whole(folder):
        _export(files, settings, precision, folder, progress)
    try:
        return OpenVinoEncoder(files, prompts, settings, folder)
    except (IndexDamagedError, OSError, LookupError, ValueError, TypeError) as error:
        raise BackendError(f"{folder}: damaged. Delete this folder: it is made anew then.") from error


def exported(files: ModelFiles, settings: ModelSettings) -> tuple[Precision, Path]:
    """Return the precision that a model is computed in, and the folder it is exported to, which may not be there."""
    precision = Precision.INT8 if settings.precision == Precision.AUTO else Precision(settings.precision)
    key = hashlib.sha256(f"{RECIPE} {files.weights_hash} {precision}".encode()).hexdigest()[:16]
    return precision, home() / "openvino" / f"{Path(files.name).name}-{precision}-{key}"


def refusal(folder: Path) -> tuple[str, Path]:
    """Return why a model could not be exported to a folder with the present versions, or "", and where that is kept."""
    from index.openvino_export import versions

    refused = folder.with_name(f"{folder.name}.refused")  # a model's name may hold dots
    try:
        record = json.loads(refused.read_text("utf-8"))
        return (str(record["reason"]) if record["versions"] == versions() else ""), refused
    except (OSError, ValueError, KeyError, TypeError):
        return "", refused


def _export(files: ModelFiles, settings: ModelSettings, precision: Precision, folder: Path, progress: Progress) -> None:
    from index.openvino_export import ExportError, export, versions

    reason, refused = refusal(folder)
    if not reason:
        try:
            make_once(folder, lambda new: export(files, settings, precision, new, progress), progress)
        except ExportError as error:  # remembered: trying takes longer than the search it is for
            reason = str(error)
            with contextlib.suppress(OSError):  # not remembered, then
                write_text(refused, json.dumps({"versions": versions(), "reason": reason}))
    if reason:
        raise BackendError(
            f"{files.name}: OpenVINO cannot compute it in {precision}: {reason}. To try again, delete {refused}."
        )


class OpenVinoEncoder(PromptedEncoder):
    """An exported model."""

    def __init__(
        self, files: ModelFiles, prompts: Prompts, settings: ModelSettings, folder: Path, *, may_write: bool = True
    ) -> None:
        """Open an exported model.

        Args:
            files: The model that it is made of.
            prompts: Put before texts.
            settings: How it is computed.
            folder: Where it is.
            may_write: Whether what OpenVINO compiles may be kept, where nothing is kept yet.

        Raises:
            BackendError: When OpenVINO cannot run it.
            IndexDamagedError: When its files are not what was written; OSError, ValueError, KeyError and TypeError
                likewise.
        """
        facts = json.loads((folder / STAMP).read_text("utf-8"))
        self._folder = folder
        self._settings = settings
        self._may_write = may_write
        self._precision = Precision(facts["precision"])
        self._max_tokens = int(facts["max_tokens"])
        self._pad_id = int(facts["pad_id"])
        self._table = TokenTable.open(folder, facts["n_tokens"], facts["token_dim"], self._precision)
        self._cutting = threading.Lock()  # chunking counts while passages are encoded; both set the tokenizer's limit
        self._few = UnigramTable(folder) if facts["unigram"] else None
        self._tokenizer: Any = None
        self._many: Any = None
        self._one = self._compile("LATENCY")
        fingerprint = Fingerprint(
            model=files.name,
            weights_hash=files.weights_hash,
            query_prompt=prompts.query,
            passage_prompt=prompts.passage,
            pooling=facts["pooling"],
            max_tokens=self._max_tokens,
            dim=facts["dim"],
            precision=self._precision,
        )
        super().__init__(prompts, fingerprint)

    def _compile(self, hint: str) -> Any:
        openvino = import_openvino()
        # Left to itself it computes what is not int8 in 16 bits where the processor can, which is as good.
        precision = {Precision.FP32: {"INFERENCE_PRECISION_HINT": "f32"}}.get(self._precision, {})
        threads = {"INFERENCE_NUM_THREADS": self._settings.threads} if self._settings.threads else {}
        compiled = self._folder.with_name(f"{self._folder.name}.compiled")
        may_write = os.access(compiled.parent, os.W_OK) and self._may_write
        cache = {"CACHE_DIR": str(compiled)} if may_write or compiled.is_dir() else {}
        options = {"PERFORMANCE_HINT": hint, **precision, **threads, **cache}
        try:
            compiled_model = openvino.Core().compile_model(str(self._folder / GRAPH), "CPU", options)
            return compiled_model if hint == "THROUGHPUT" else compiled_model.create_infer_request()
        except RuntimeError as error:
            raise BackendError(f"{self._folder}: OpenVINO cannot run it here ({_last_line(error)}).") from error

    def _vectors(self, texts: Sequence[str], progress: Progress) -> Any:
        try:
            return self._run(texts, progress)
        except RuntimeError as error:  # of OpenVINO: a lack of memory, for one
            raise BackendError(f"OpenVINO failed: {_last_line(error)}. Compute with torch: --backend torch.") from error

    def _run(self, texts: Sequence[str], progress: Progress) -> Any:
        import numpy as np

        ids = self._ids(texts, self._max_tokens)
        rows = np.empty((len(texts), self._fingerprint.dim), np.float32)
        if len(ids) <= (_FEW if self._many is None else 1):
            for row, one in zip(rows, ids, strict=True):
                row[:] = self._one.infer(self._inputs([one]), share_inputs=True, share_outputs=True)[0][0]
                progress.advance(1)
            return rows
        queue = self._queue()
        done: list[int] = []

        def finish(request: Any, work: tuple[list[int], Any]) -> None:
            rows[work[0]] = request.get_output_tensor(0).data
            done.append(len(work[0]))

        queue.set_callback(finish)
        told = 0
        try:
            widths = [self._width(len(one)) for one in ids]
            for batch in spread_batches(widths, self._settings.batch_tokens, len(queue) // _PER_STREAM):
                inputs = self._inputs([ids[i] for i in batch])
                queue.start_async(inputs, (batch, inputs), share_inputs=True)
                progress.advance(sum(done) - told)
                told = sum(done)
        finally:
            queue.wait_all()  # they write to the rows
        progress.advance(len(texts) - told)
        return rows

    def _queue(self) -> Any:
        """Return the requests that run side by side."""
        if self._many is None:
            compiled = self._compile("THROUGHPUT")
            n = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            self._many = import_openvino().AsyncInferQueue(compiled, _PER_STREAM * int(n))
        return self._many

    def _inputs(self, ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.generic]]:
        rows, mask = padded(ids, self._pad_id, self._width(max(map(len, ids))))
        return {"inputs_embeds": self._table.rows(rows), "attention_mask": mask}

    def _width(self, n_tokens: int) -> int:
        """Return the width that a text of this many tokens is padded to."""
        return min(-(-n_tokens // _STEP) * _STEP, self._max_tokens)

    def _ids(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        with self._cutting:
            return self._cut_few(texts, max_tokens) or [e.ids for e in self._cut(texts, max_tokens)]

    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        with self._cutting:
            few = self._cut_few(texts, None, special=special)
            return [len(cut) for cut in few or self._cut(texts, None, special=special)]

    def _cut_few(self, texts: Sequence[str], max_tokens: int | None, *, special: bool = True) -> list[list[int]] | None:
        """Return the ids of a few short texts, None when they are others, or the whole tokenizer is open already."""
        if self._tokenizer is not None or self._few is None or len(texts) > _FEW or sum(map(len, texts)) > _SHORT:
            return None
        cut = [self._few.encode(text, max_tokens, special=special) for text in texts]
        known = [ids for ids in cut if ids is not None]
        return known if len(known) == len(texts) else None

    def _cut(self, texts: Sequence[str], max_tokens: int | None, *, special: bool = True) -> list[Any]:
        """Return what the whole tokenizer makes of texts."""
        if self._tokenizer is None:
            self._tokenizer = open_tokenizer(self._folder / TOKENIZER)
        if max_tokens is None:
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(max_tokens)
        encoded: list[Any] = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=special)
        return encoded


def spread_batches(widths: Sequence[int], budget: int, n_streams: int) -> list[list[int]]:
    """Return the positions of texts to encode together, so that few texts too keep every stream busy.

    Few are taken by 8, 4, 2 or 1: of other numbers each would be one more shape to compile kernels for.

    Args:
        widths: Tokens of each text, padding included.
        budget: The most tokens of a batch.
        n_streams: How many batches run side by side.
    """
    if sum(widths) > n_streams * budget:
        return list(token_batches(widths, budget))
    ordered = sorted(range(len(widths)), key=lambda i: -widths[i])
    batches, size = [], _MOST_OF_FEW
    while ordered:
        most = min(len(ordered), len(widths) // n_streams, budget // widths[ordered[0]])
        while size > max(1, most):
            size //= 2
        batches.append(ordered[:size])
        ordered = ordered[size:]
    return batches


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[-1]


def padded(ids: Sequence[Sequence[int]], pad_id: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return token ids as rows of one width, shape (n, width), and a mask of 1 where they are no padding."""
    import numpy as np

    lengths = np.array([len(one) for one in ids])
    mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
    rows = np.full(mask.shape, pad_id, np.int64)
    rows[mask == 1] = np.concatenate([np.asarray(one, np.int64) for one in ids])
    return rows, mask


def open_tokenizer(path: Path) -> Any:
    """Open a ``tokenizer.json`` whole, without padding.

    Raises:
        IndexDamagedError: When it is none.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise IndexDamagedError(
            f"{path}: cannot be read ({error}). Delete its folder: it is made anew then."
        ) from error
    tokenizer.no_padding()
    return tokenizer
