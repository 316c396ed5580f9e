"""The manifest of an index: what is in it, how it was made, and how to know that it is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from index.encoder import Fingerprint
from index.errors import EncoderMismatchError, IndexDamagedError, IndexFormatError
from index.layout import MANIFEST

FORMAT_VERSION = 3
"""What is written. Format 2 had one segment and could not be updated; format 1 had no sentences, words and offsets."""
READ_VERSIONS = (1, 2, 3)

_MOST_ROWS = 2**40
_MOST_LANGUAGES = 2**16


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
        languages: Passages by language; languages without any are left out.
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
class Segment:
    """Passages written at one time.

    Attributes:
        name: Its folder; "" for the generation's own, in formats 1 and 2.
        rows: Its passages, those that stand in no document any more included.
        sentences: Their sentences with a vector of their own.
        kind: The kind of its vector index.
        recall: What the vector index finds of what exact search finds (``index.recall``); empty where it is exact.
    """

    name: str
    rows: int
    sentences: int
    kind: str
    recall: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one generation of an index says of itself.

    Attributes:
        tool_version: The version that wrote it.
        created: When, in ISO 8601, UTC.
        encoder: What decides the vectors.
        settings: The settings of the build, as plain data.
        sources: What the index is made of, as named, in order.
        languages: Position in this list = the code in the files of languages. Codes stay: a language may have lost its
            passages.
        counts: What it holds.
        files: Every other file of the generation.
        segments: Its parts, in the order of their rows.
        dead: How many rows stand in no document any more.
        root: The folder that relative sources are relative to.
        store: Where passages and vectors are when they are not in files: "milvus:" and a URI.
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
    segments: tuple[Segment, ...]
    dead: int = 0
    root: str = ""
    store: str = ""
    metric: str = "inner product of unit vectors (cosine)"
    balance: float = 0.0
    fitted_from: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def n_rows(self) -> int:
        """The rows of all segments."""
        return sum(segment.rows for segment in self.segments)

    @property
    def kind(self) -> str:
        """The kind of vector index of the largest segment."""
        return max(self.segments, key=lambda segment: segment.rows).kind

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
        data = _in_segments(data)
        manifest = Manifest(
            **{
                **data,
                "encoder": Fingerprint(**data["encoder"]),
                "counts": Counts(**data["counts"]),
                "files": {str(name): FileRecord(**record) for name, record in data["files"].items()},
                "sources": tuple(data["sources"]),
                "languages": tuple(data["languages"]),
                "segments": tuple(Segment(**segment) for segment in data["segments"]),
            }
        )
        _check(manifest)
        return manifest
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IndexDamagedError(f"{path}: not a manifest ({error}). Build the index again.") from error


def _in_segments(data: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's data as format 3 has it: what was written before is one segment."""
    if data["format_version"] > 2:
        return data
    counts = data["counts"]
    only = {"name": "", "rows": counts["passages"], "sentences": counts.get("sentences", 0), "kind": data["kind"]}
    return {**{key: value for key, value in data.items() if key != "kind"}, "segments": [only]}


def _check(manifest: Manifest) -> None:
    """Check that numbers and names can be what they say.

    Raises:
        ValueError: When they cannot.
    """
    counts, segments = manifest.counts, manifest.segments
    sizes = [n for segment in segments for n in (segment.rows, segment.sentences)]
    by_lang = counts.languages.values()
    numbers = [*sizes, *by_lang, counts.passages, counts.documents, counts.sentences, manifest.dead]
    if not all(type(n) is int and 0 <= n < _MOST_ROWS for n in numbers):
        raise ValueError("its counts are no counts")
    if (
        not set(counts.languages) <= set(manifest.languages)
        or len(set(manifest.languages)) != len(manifest.languages)
        or len(manifest.languages) > _MOST_LANGUAGES
        or sum(by_lang) != counts.passages
        or manifest.n_rows - manifest.dead != counts.passages
        or sum(segment.sentences for segment in segments) < counts.sentences
    ):
        raise ValueError("its counts contradict each other")
    names = [segment.name for segment in segments]
    pattern = r"s\d{6,12}" if manifest.format_version > 2 else ""
    if not names or len(set(names)) != len(names) or not all(re.fullmatch(pattern, name) for name in names):
        raise ValueError("its segments have impossible names")


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
