"""Everything needed to make or read an index of passages in many languages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from index.version import __version__

if TYPE_CHECKING:
    from index.builder import BuildReport, build, build_documents
    from index.config import Backend, BuildSettings, ChunkSettings, FieldNames, ModelSettings, Precision
    from index.encoder import Encoder, open_encoder
    from index.errors import (
        BackendError,
        ClusterError,
        EncoderMismatchError,
        IndexDamagedError,
        IndexFormatError,
        InputError,
        ModelError,
        NoIndexError,
        QueryError,
        SettingsError,
        StoreError,
        StrictError,
        TonguesError,
    )
    from index.progress import Progress
    from index.records import Document, Rejected
    from index.repair import RepairReport, repair
    from index.store import Store
    from index.update import UpdateReport, update, update_documents
    from index.verify import verify

__all__ = [
    "Backend",
    "BackendError",
    "BuildReport",
    "BuildSettings",
    "ChunkSettings",
    "ClusterError",
    "Document",
    "Encoder",
    "EncoderMismatchError",
    "FieldNames",
    "IndexDamagedError",
    "IndexFormatError",
    "InputError",
    "ModelError",
    "ModelSettings",
    "NoIndexError",
    "Precision",
    "Progress",
    "QueryError",
    "Rejected",
    "RepairReport",
    "SettingsError",
    "Store",
    "StoreError",
    "StrictError",
    "TonguesError",
    "UpdateReport",
    "__version__",
    "build",
    "build_documents",
    "open_encoder",
    "repair",
    "update",
    "update_documents",
    "verify",
]

_HOMES = {
    "Backend": "index.config",
    "BackendError": "index.errors",
    "BuildReport": "index.builder",
    "BuildSettings": "index.config",
    "ChunkSettings": "index.config",
    "ClusterError": "index.errors",
    "Document": "index.records",
    "Encoder": "index.encoder",
    "EncoderMismatchError": "index.errors",
    "FieldNames": "index.config",
    "IndexDamagedError": "index.errors",
    "IndexFormatError": "index.errors",
    "InputError": "index.errors",
    "ModelError": "index.errors",
    "ModelSettings": "index.config",
    "NoIndexError": "index.errors",
    "Precision": "index.config",
    "Progress": "index.progress",
    "QueryError": "index.errors",
    "Rejected": "index.records",
    "SettingsError": "index.errors",
    "Store": "index.store",
    "StoreError": "index.errors",
    "StrictError": "index.errors",
    "TonguesError": "index.errors",
    "build": "index.builder",
    "build_documents": "index.builder",
    "open_encoder": "index.encoder",
    "RepairReport": "index.repair",
    "UpdateReport": "index.update",
    "repair": "index.repair",
    "update": "index.update",
    "update_documents": "index.update",
    "verify": "index.verify",
}
"""Where each public name is made; imported when first used, since all of them take as long as a search."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
