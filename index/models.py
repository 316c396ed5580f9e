"""From a model's name to its files on this machine: an offline model, a local folder, or a hub id."""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from index import offline_model
from index.config import OFFLINE_MODEL, OFFLINE_MODELS
from index.errors import ModelError
from index.files import home, write_error, write_text
from index.progress import SILENT, Progress

HUB_SECONDS = 10
"""How long the hub may take to answer whether it has a model."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_DECIDING = (
    "config.json",
    "modules.json",
    "sentence_*_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.model",
    "vocab.txt",
)
"""Files beside the weights that decide a model's vectors."""
_OTHER_BACKENDS = ("onnx", "openvino")
_SKIPPED = (
    *(f"{folder}/*" for folder in _OTHER_BACKENDS),
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.gguf",
    "imgs/*",
    "*.png",
    "*.jpg",
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine.

    Attributes:
        name: The name it is known by in a manifest: as asked for, a local folder as an absolute path.
        folder: Its files, as sentence-transformers reads them.
        weights_hash: sha256 over what decides its vectors.
    """

    name: str
    folder: Path
    weights_hash: str


def find_model(name: str, progress: Progress = SILENT, *, may_fetch: bool = True) -> ModelFiles:
    """Find a model's files, making or fetching them when it must.

    The network is used only for a hub id that is not in the hub's cache on this machine.

    Args:
        name: ``e5-small``, ``tongues-small``, a folder, or a hub id.
        progress: Told of preparation and fetching.
        may_fetch: Whether the user asked for this model; what only an index names is not fetched.

    Raises:
        ModelError: When there is no such folder, the hub has no such model or cannot be reached, or files are missing.
        StoreError: When a model cannot be written to this machine.
    """
    if name in OFFLINE_MODELS:
        return ModelFiles(name, offline_model.prepare(name, progress), offline_model.weights_hash(name))
    folder = _local_folder(name)
    if folder is not None:
        if not _looks_whole(folder):
            raise ModelError(
                f"{folder}: not a model: it needs config.json and the weights (model.safetensors). "
                f"Name a folder saved by sentence-transformers, or {OFFLINE_MODEL}."
            )
        return ModelFiles(str(folder), folder, _hash_weights(folder))
    if not _HUB_ID.fullmatch(name):
        raise ModelError(f"{name}: there is no such folder. Name a model's folder, a hub id, or {OFFLINE_MODEL}.")
    folder = _find_in_cache(name)
    if folder is None and not may_fetch:
        raise ModelError(f"the index was made with {name}, which is not on this machine. Fetch it with --model {name}")
    folder = folder or _fetch(name, progress)
    return ModelFiles(name, folder, _hash_weights(folder))


def known_model(name: str) -> ModelFiles | None:
    """Return a model that is on this machine; None when it would have to be made or fetched. Writes nothing.

    Raises:
        ModelError: When a folder above it is closed to us.
    """
    if name in OFFLINE_MODELS:
        made = ModelFiles(name, offline_model.folder(name), offline_model.weights_hash(name))
        return made if offline_model.is_ready(name) else None
    folder = _local_folder(name)
    if folder is None:
        cached = _find_in_cache(name) if _HUB_ID.fullmatch(name) else None
        return ModelFiles(name, cached, _hash_weights(cached, remember=False)) if cached else None
    return ModelFiles(str(folder), folder, _hash_weights(folder, remember=False)) if _looks_whole(folder) else None


def _local_folder(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError) as error:  # a folder above it is closed to us; "~" of a user who does not exist
        raise ModelError(f"{name}: cannot be opened ({error}). Name a model's folder, or {OFFLINE_MODEL}.") from error


def cached_hub_ids() -> list[str]:
    """Return the ids of the models in the hub's cache on this machine, sorted; asks no network and imports nothing."""
    folders = _hub_cache().glob("models--*/snapshots/*")
    return sorted({"/".join(f.parent.parent.name.split("--")[1:]) for f in folders if _looks_whole(f)})


def _hub_cache() -> Path:
    """Return the hub client's own cache folder, by the client's own rules, without importing it."""
    get = os.environ.get
    of_client = get("HF_HOME") or Path(get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(get("HF_HUB_CACHE") or get("HUGGINGFACE_HUB_CACHE") or Path(of_client) / "hub").expanduser()


def _full_id(name: str) -> str:
    """Complete a hub id as sentence-transformers does: its own models may be named without their owner."""
    return name if "/" in name else f"sentence-transformers/{name}"


def _find_in_cache(name: str) -> Path | None:
    model = _hub_cache() / ("models--" + _full_id(name).replace("/", "--"))
    try:
        folder = model / "snapshots" / (model / "refs" / "main").read_text("utf-8").strip()
    except OSError:
        return None
    return folder if _looks_whole(folder) else None


def _fetch(name: str, progress: Progress) -> Path:
    full = _full_id(name)
    remedy = (
        f"Connect to the network, name a local folder with --model, or use {OFFLINE_MODEL}, which needs no network."
    )
    import huggingface_hub
    from huggingface_hub import errors, utils

    progress.note(f"{full} is not on this machine: fetching it from the hub")
    if progress is SILENT or not sys.stderr.isatty():
        utils.disable_progress_bars()
    try:
        # One question with a limit of its own: the loader's many, each with retries, would take minutes to fail.
        info = huggingface_hub.HfApi().model_info(full, timeout=HUB_SECONDS)
        files = [file.rfilename for file in info.siblings or []]
        skipped = [*_SKIPPED, *(["*.bin"] if any(file.endswith(".safetensors") for file in files) else [])]
        folder = Path(huggingface_hub.snapshot_download(full, revision=info.sha, ignore_patterns=skipped))
        refs = folder.parent.parent / "refs"
        refs.mkdir(exist_ok=True)
        write_text(refs / "main", info.sha or folder.name)
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{full}: its owner asks you to sign in and accept terms at the hub first. {remedy}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{full}: the hub has no such model (or keeps it private). Check the name. {remedy}"
        ) from error
    except Exception as error:  # the client's transport raises many kinds, of libraries that change
        meant = difflib.get_close_matches(name, OFFLINE_MODELS)
        if meant:
            raise ModelError(f"{name}: there is no model of this name here. Did you mean {meant[0]}?") from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise write_error(error, _hub_cache()) from error
        raise ModelError(f"{full}: the hub cannot be reached ({type(error).__name__}). {remedy}") from error
    if not _looks_whole(folder):
        raise ModelError(f"{full}: the hub has no weights of it that can be loaded. {remedy}")
    return folder


def _looks_whole(folder: Path) -> bool:
    """Tell whether a folder has a configuration and all the weight files it names."""
    if not ((folder / "config.json").is_file() or (folder / "modules.json").is_file()):
        return False
    indexes = [*folder.glob("**/*.safetensors.index.json"), *folder.glob("**/pytorch_model.bin.index.json")]
    for path in indexes[:1]:
        try:
            parts = set(json.loads(path.read_text("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return all((path.parent / part).is_file() for part in parts)
    return any(file.is_file() for pattern in _WEIGHTS for file in folder.glob(f"**/{pattern}"))


def _hash_weights(folder: Path, *, remember: bool = True) -> str:
    """Return a sha256 over the files that decide a model's vectors, remembered by their sizes and times."""
    found = {file for pattern in (*_WEIGHTS, *_DECIDING) for file in folder.glob(f"**/{pattern}") if file.is_file()}
    with_safetensors = {file.parent for file in found if file.suffix == ".safetensors"}
    files = sorted(
        file
        for file in found
        if not (file.parent in with_safetensors and file.suffix == ".bin")
        and file.relative_to(folder).parts[0] not in _OTHER_BACKENDS
    )
    state = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    remembered = home() / "weights" / key
    with contextlib.suppress(OSError, ValueError):  # not hashed yet
        known = remembered.read_text("ascii").strip()
        if re.fullmatch("[0-9a-f]{64}", known):
            return known
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.relative_to(folder).as_posix()} {digest}\n".encode())
    if not remember:
        return total.hexdigest()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not correctness
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_text(remembered, total.hexdigest())
    return total.hexdigest()
