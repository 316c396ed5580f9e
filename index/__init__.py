"""Everything needed to make or read an index of passages in many languages."""

from index.builder import BuildReport, build, build_documents
from index.config import Backend, BuildSettings, ChunkSettings, FieldNames, ModelSettings, Precision
from index.encoder import Encoder, open_encoder
from index.errors import (
    BackendError,
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
from index.store import Store, verify
from index.version import __version__

__all__ = [
    "Backend",
    "BackendError",
    "BuildReport",
    "BuildSettings",
    "ChunkSettings",
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
    "SettingsError",
    "Store",
    "StoreError",
    "StrictError",
    "TonguesError",
    "__version__",
    "build",
    "build_documents",
    "open_encoder",
    "verify",
]
