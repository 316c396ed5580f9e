"""Everything needed to make or read an index of passages in many languages."""

from index.builder import BuildReport, build, build_documents
from index.config import BuildSettings, ChunkSettings, FieldNames, ModelSettings
from index.records import Document, Rejected
from index.version import __version__

__all__ = [
    "BuildReport",
    "BuildSettings",
    "ChunkSettings",
    "Document",
    "FieldNames",
    "ModelSettings",
    "Rejected",
    "__version__",
    "build",
    "build_documents",
]
