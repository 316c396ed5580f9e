"""The manifest of an index: what is in it, how it was made, and how to know that it is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from index.encoder import Fingerprint
from index.errors import EncoderMismatchError, IndexDamagedError, IndexFormatError

FORMAT_VERSION = 2
"""What is written. Format 1 had no sentences, no words and no offsets of languages."""
READ_VERSIONS = (1, 2)
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and sha256 of a file of the index."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What a build found.

    Attributes:
        documents: Documents with at least one passage.
        passages: Passages, each with one vector.
        duplicates: Passages that repeat one already there; they have no vector of their own.
        left_out: Lines left out of all passages, by kind.
        rejected: Files and records that could not be read.
        languages: Passages by language.
        sentences: Sentences with a vector of their own.
    """

    documents: int = 0
    passages: int = 0
    duplicates: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    sentences: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one generation of an index says of itself.

    Attributes:
        tool_version: The version that wrote it.
        created: When, in ISO 8601, UTC.
        encoder: What decides the vectors.
        settings: The settings of the build, as plain data.
        sources: What the build was given to read, in order.
        languages: Position in this list = the code in the file of languages.
        counts: What the build found.
        files: Every other file of the generation.
        kind: The kind of vector index: "flat", or "pq" for a large one.
        metric: What the vector index compares by.
        balance: The part of the languages' offsets taken out of the vectors in the vector index.
        fitted_from: What each language's offset was fitted from (``index.balance.fitted_from``).
        format_version: Version of the directory's form.
    """

    tool_version: str
    created: str
    encoder: Fingerprint
    settings: Mapping[str, Any]
    sources: tuple[str, ...]
    languages: tuple[str, ...]
    counts: Counts
    files: Mapping[str, FileRecord]
    kind: str = "flat"
    metric: str = "inner product of unit vectors (cosine)"
    balance: float = 0.0
    fitted_from: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Return the manifest as JSON text, with a checksum of its own."""
        data = dataclasses.asdict(self)
        return json.dumps({**data, "checksum": _checksum(data)}, ensure_ascii=False, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation.

    Raises:
        IndexFormatError: When another version of the directory's form wrote it.
        IndexDamagedError: When it is missing or not a manifest.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text("utf-8"))
        version, checksum = data["format_version"], data.pop("checksum", "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexDamagedError(f"{path}: missing or damaged ({error}). Build the index again.") from error
    if version not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise IndexFormatError(
            f"{folder}: written in format {version} (by version {data.get('tool_version', 'unknown')}); this version "
            f"reads formats {known}. Build the index again, or use the version that wrote it."
        )
    if checksum != _checksum(data):
        raise IndexDamagedError(f"{path}: damaged (it was changed after it was written). Build the index again.")
    try:
        manifest = Manifest(
            **{
                **data,
                "encoder": Fingerprint(**data["encoder"]),
                "counts": Counts(**data["counts"]),
                "files": {str(name): FileRecord(**record) for name, record in data["files"].items()},
                "sources": tuple(data["sources"]),
                "languages": tuple(data["languages"]),
            }
        )
        if set(manifest.languages) != manifest.counts.languages.keys() or manifest.counts.sentences < 0:
            raise ValueError("its counts contradict each other")
        return manifest
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IndexDamagedError(f"{path}: not a manifest ({error}). Build the index again.") from error


def _checksum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def record_file(path: Path) -> FileRecord:
    """Measure a file: its size and sha256."""
    with path.open("rb") as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def check_encoder(manifest: Manifest, have: Fingerprint, where: str) -> None:
    """Check that an encoder makes the vectors of an index.

    Raises:
        EncoderMismatchError: Naming in what it differs from the one that did.
    """
    made_with = manifest.encoder
    # The same weights under another name or in another folder give the same vectors, and in another precision vectors
    # so near that ranks hardly change (README, Speed).
    if dataclasses.replace(have, model=made_with.model, precision=made_with.precision) == made_with:
        return
    different = [
        f"{field.name} {getattr(made_with, field.name)!r} then, {getattr(have, field.name)!r} now"
        for field in dataclasses.fields(Fingerprint)
        if field.name not in ("model", "precision") and getattr(made_with, field.name) != getattr(have, field.name)
    ]
    raise EncoderMismatchError(
        f"{where}: made with another encoder than {have.model} is now ({'; '.join(different)}). "
        f"Name the model it was made with ({made_with.model}) with --model, or build the index again."
    )
