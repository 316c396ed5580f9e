"""The manifest of an index: what is in it, how it was made, and how to know that it is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from index.config import VectorNumbers
from index.encoder import Fingerprint
from index.errors import REPAIR, EncoderMismatchError, IndexDamagedError, IndexFormatError, StoreError
from index.guarded import open_regular, parse_json, read_small, regular_size
from index.layout import MANIFEST

FORMAT_VERSION = 4
"""What is written. Format 3 had no pages and times; format 2 had one segment and could not be updated; format 1 had no
sentences, words and offsets."""
READ_VERSIONS = (1, 2, 3, 4)

LONGEST = 16 * 1024 * 1024
"""The most bytes of a manifest: the names of some 160,000 sources. JSON may take twenty times as much once parsed."""
_MOST_DIM = 2**16
_MOST_LANGUAGES = 2**16
"""As many as the codes of languages can tell apart."""


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
        numbers: Number format of its vectors.
        recall: What the vector index finds of what exact search finds (``index.recall.Recall`` as plain data); empty
            where it is exact.
        terms: The terms of its rows, each as often as it occurs.
    """

    name: str
    rows: int
    sentences: int
    kind: str
    numbers: str = "float32"
    recall: Mapping[str, Any] = field(default_factory=dict)
    terms: int = 0


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
        store: Where passages and vectors are when they are not in files (``index.milvus_place.MilvusPlace``), or "".
        collection: Their collection there.
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
    collection: str = ""
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
        """Return the manifest as JSON text, with a checksum of its own.

        Raises:
            StoreError: When it is longer than any that is read.
        """
        data = dataclasses.asdict(self)
        text = json.dumps({**data, "checksum": _checksum(data)}, ensure_ascii=False, indent=2) + "\n"
        if len(text.encode()) > LONGEST:
            raise StoreError(
                f"{len(self.sources):,} sources are named, too many to be noted in the index ({LONGEST:,} bytes). Name "
                "the folders that they are in."
            )
        return text


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation.

    Raises:
        IndexFormatError: When another version of the directory's form wrote it.
        IndexDamagedError: When it is missing or not a manifest.
    """
    path = folder / MANIFEST
    try:
        data = parse_json(read_small(path, LONGEST).decode())
        if not isinstance(data, dict):
            raise ValueError("no JSON object")
        version, checksum = data["format_version"], data.pop("checksum", "")
        if type(version) is not int:
            raise ValueError("its version is no number")
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise IndexDamagedError(f"{path}: missing or damaged ({reason}). {REPAIR}") from error
    if version not in READ_VERSIONS:
        known = ", ".join(map(str, READ_VERSIONS))
        raise IndexFormatError(
            f"{folder}: written in format {version} (by version {_shown(data.get('tool_version'))}); this version "
            f"reads formats {known}. Build the index again, or use the version that wrote it."
        )
    if checksum != _checksum(data):
        raise IndexDamagedError(f"{path}: damaged (it was changed after it was written). {REPAIR}")
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
        for problem in _problems(manifest):
            raise ValueError(problem)
        return manifest
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IndexDamagedError(f"{path}: not a manifest ({error}). {REPAIR}") from error


def _in_segments(data: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's data as format 3 has it: what was written before that is one segment."""
    if data["format_version"] > 2:
        return data
    counts = data["counts"]
    only = {"name": "", "rows": counts["passages"], "sentences": counts.get("sentences", 0), "kind": data["kind"]}
    return {**{key: value for key, value in data.items() if key != "kind"}, "segments": [only]}


def _shown(version: object) -> str:
    """Return a version as it is told to a person, whatever stands in its place."""
    return version if isinstance(version, str) and version.isprintable() and len(version) < 40 else "unknown"


def _problems(manifest: Manifest) -> Iterator[str]:
    """Yield what a manifest cannot say; dataclasses take any value."""
    counts, encoder = manifest.counts, manifest.encoder
    segments = manifest.segments
    texts: list[object] = [
        manifest.tool_version,
        manifest.created,
        manifest.metric,
        manifest.root,
        manifest.store,
        manifest.collection,
    ]
    texts += [text for segment in segments for text in (segment.name, segment.kind, segment.numbers)]
    texts += [getattr(encoder, f.name) for f in dataclasses.fields(encoder) if isinstance(f.default, str)]
    texts += [*manifest.sources, *manifest.languages, *_mapped(manifest.fitted_from)]
    texts += [record.sha256 for record in manifest.files.values()]
    if not all(isinstance(text, str) for text in texts):
        yield "something else stands where text belongs"
        return
    numbers: list[object] = [counts.documents, counts.passages, counts.duplicates, counts.rejected, counts.sentences]
    numbers += [*_mapped(counts.left_out), *_mapped(counts.languages), encoder.max_tokens]
    numbers += [n for segment in segments for n in (segment.rows, segment.sentences, segment.terms)] + [manifest.dead]
    numbers += [record.size for record in manifest.files.values()]
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        yield "something else stands where a count belongs"
        return
    if type(encoder.dim) is not int or not 0 < encoder.dim <= _MOST_DIM:
        yield "its vectors have no length that vectors have"
    if type(manifest.balance) not in (int, float) or not math.isfinite(manifest.balance):
        yield "its balance is no number"
    if not isinstance(manifest.settings, dict):
        yield "its settings are none"
    if list(manifest.languages) != list(dict.fromkeys(manifest.languages)) or len(manifest.languages) > _MOST_LANGUAGES:
        yield "its languages cannot be"
    if (
        0 in counts.languages.values()
        or not counts.languages.keys() <= set(manifest.languages)
        or sum(counts.languages.values()) != counts.passages
        or manifest.n_rows - manifest.dead != counts.passages
        or counts.sentences > sum(segment.sentences for segment in segments)
    ):
        yield "its counts contradict each other"
    names = [segment.name for segment in segments]
    pattern = r"s[0-9]{6,12}" if manifest.format_version > 2 else ""
    if not names or len(set(names)) != len(names) or not all(re.fullmatch(pattern, name) for name in names):
        yield "its segments have impossible names"
    if bool(manifest.store) != bool(manifest.collection) or (manifest.store and (len(segments) > 1 or manifest.dead)):
        yield "its place cannot be"
    if not all(isinstance(segment.recall, dict) for segment in segments):
        yield "its recall is none"
    if not all(segment.numbers in set(VectorNumbers) for segment in segments):
        yield "its vectors are in numbers that no vector is in"


def _mapped(mapping: object) -> list[object]:
    """Return the values of what should be an object of JSON."""
    return list(mapping.values()) if isinstance(mapping, dict) else [None]


def _checksum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def record_file(path: Path) -> FileRecord:
    """Measure a file: its size and sha256.

    Raises:
        OSError: When it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def is_as_recorded(path: Path, record: FileRecord) -> bool:
    """Tell whether a file is the one that was measured; one of another size is not read.

    Raises:
        OSError: When it cannot be read, or is no regular file.
    """
    return regular_size(path) == record.size and record_file(path) == record


def check_encoder(manifest: Manifest, have: Fingerprint, where: str) -> None:
    """Check that an encoder makes the vectors of an index.

    Raises:
        EncoderMismatchError: Naming in what it differs from the one that did.
    """
    check_same(manifest.encoder, have, where)


def check_same(made_with: Fingerprint, have: Fingerprint, where: str) -> None:
    """Check that an encoder makes such vectors as another one did.

    Raises:
        EncoderMismatchError: Naming in what they differ.
    """
    # The same weights under another name or in another folder give the same vectors, and in another precision vectors
    # so near that ranks hardly change (docs/measured.md, What int8 costs).
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
