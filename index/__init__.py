"""Everything needed to make or read an index of passages in many languages."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from index.version import __version__

if TYPE_CHECKING:
    from index.builder import BuildReport, build, build_documents
    from index.config import (
        Backend,
        BuildSettings,
        ChunkSettings,
        FieldNames,
        IndexKind,
        ModelSettings,
        Precision,
        VectorNumbers,
    )
    from index.encoder import Encoder, open_encoder
    from index.errors import (
        BackendError,
        ClusterError,
        EncoderMismatchError,
        ExtraMissingError,
        IndexDamagedError,
        IndexFormatError,
        InputError,
        ModelError,
        NoIndexError,
        QueryError,
        ServerError,
        SettingsError,
        StoreError,
        StrictError,
        TonguesError,
    )
    from index.exporter import ExportReport, export
    from index.importer import ImportReport, import_passages
    from index.progress import Progress
    from index.ready import ReadyFields
    from index.records import Document, Mark, Rejected
    from index.repairer import RepairReport, repair
    from index.store import Store
    from index.updater import UpdateReport, update, update_documents
    from index.verifier import verify

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
    "ExportReport",
    "ExtraMissingError",
    "FieldNames",
    "ImportReport",
    "IndexDamagedError",
    "IndexFormatError",
    "IndexKind",
    "InputError",
    "Mark",
    "ModelError",
    "ModelSettings",
    "NoIndexError",
    "Precision",
    "Progress",
    "QueryError",
    "ReadyFields",
    "Rejected",
    "RepairReport",
    "ServerError",
    "SettingsError",
    "Store",
    "StoreError",
    "StrictError",
    "TonguesError",
    "UpdateReport",
    "VectorNumbers",
    "__version__",
    "build",
    "build_documents",
    "export",
    "import_passages",
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
    "ExportReport": "index.exporter",
    "ExtraMissingError": "index.errors",
    "FieldNames": "index.config",
    "ImportReport": "index.importer",
    "IndexDamagedError": "index.errors",
    "IndexFormatError": "index.errors",
    "IndexKind": "index.config",
    "InputError": "index.errors",
    "Mark": "index.records",
    "ModelError": "index.errors",
    "ModelSettings": "index.config",
    "NoIndexError": "index.errors",
    "Precision": "index.config",
    "Progress": "index.progress",
    "QueryError": "index.errors",
    "ReadyFields": "index.ready",
    "Rejected": "index.records",
    "ServerError": "index.errors",
    "SettingsError": "index.errors",
    "Store": "index.store",
    "StoreError": "index.errors",
    "StrictError": "index.errors",
    "TonguesError": "index.errors",
    "VectorNumbers": "index.config",
    "build": "index.builder",
    "build_documents": "index.builder",
    "export": "index.exporter",
    "import_passages": "index.importer",
    "open_encoder": "index.encoder",
    "RepairReport": "index.repairer",
    "UpdateReport": "index.updater",
    "repair": "index.repairer",
    "update": "index.updater",
    "update_documents": "index.updater",
    "verify": "index.verifier",
}
"""Where each public name is made; imported when first used, since all of them take as long as a search."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
