"""Settings of a build: frozen, validated where they are made, unknown keys refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from index.errors import SettingsError

OFFLINE_MODEL = "e5-small"
"""The model of new indexes."""
TRAINED_MODEL = "tongues-small"
"""The same after a training that brings languages together."""
OFFLINE_MODELS = (OFFLINE_MODEL, TRAINED_MODEL)
"""The models that need no network: both come with the installation."""

_KINDS = {str: "text", int: "a whole number", bool: "true or false"}
"""What the types of settings are called in messages."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How documents become passages.

    Attributes:
        max_tokens: The most tokens of a passage, counted with the model's own tokenizer.
        overlap_sentences: How many sentences a passage shares with the one before it in the same section.
    """

    max_tokens: int = 192
    overlap_sentences: int = 1

    def __post_init__(self) -> None:
        if not 16 <= self.max_tokens <= 8192:
            raise SettingsError(f"max_tokens is {self.max_tokens}; give a number of tokens from 16 to 8192.")
        if not 0 <= self.overlap_sentences <= 10:
            raise SettingsError(f"overlap_sentences is {self.overlap_sentences}; give a number from 0 to 10.")


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Which fields of a JSON Lines record or a table hold what; "" for ``id`` tries _id, id, doc_id in turn."""

    text: str = "text"
    id: str = ""
    title: str = "title"
    lang: str = "lang"

    def __post_init__(self) -> None:
        if not self.text:
            raise SettingsError("the name of the text field is empty; name the field that holds the text.")

    @property
    def ids(self) -> tuple[str, ...]:
        """The id fields to try, in order."""
        return (self.id,) if self.id else ("_id", "id", "doc_id")


class Backend(StrEnum):
    """What computes the vectors."""

    AUTO = "auto"
    """OpenVINO where it is installed and can run the model, torch otherwise."""
    OPENVINO = "openvino"
    TORCH = "torch"


class Precision(StrEnum):
    """Number format of the computation."""

    AUTO = "auto"
    """int8 with OpenVINO, fp32 with torch."""
    INT8 = "int8"
    BF16 = "bf16"
    FP32 = "fp32"


class IndexKind(StrEnum):
    """How the vectors of an index are searched."""

    AUTO = "auto"
    """What suits the number of passages: flat, from 20,000 on pq, from 300,000 on ivf-pq."""
    FLAT = "flat"
    """Every vector is compared: exact for certain."""
    PQ = "pq"
    """Codes of 4 bits a number, of all passages."""
    HNSW = "hnsw"
    """A graph of neighbours over codes of 8 bits a number: slow to make."""
    IVF_SQ = "ivf-sq"
    """Codes of 8 bits a number, of passages in the nearest cells: least memory, slower."""
    IVF_PQ = "ivf-pq"
    """Codes of 4 bits a number, of passages in the nearest cells."""


class VectorNumbers(StrEnum):
    """Number format of the vectors on disk."""

    FLOAT32 = "float32"
    """As the model gave them."""
    FLOAT16 = "float16"
    """Half the room."""
    INT8 = "int8"
    """A quarter of the room; scores differ in the third digit."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model embeds, and how it is asked.

    Attributes:
        name: ``e5-small``, ``tongues-small``, a hub id, or a local folder of sentence-transformers files.
        query_prompt: Put before every query; None for what the model itself asks for.
        passage_prompt: Put before every passage; None for what the model itself asks for.
        batch_tokens: Tokens per forward pass, padding included; one text may have more.
        backend: What computes the vectors.
        precision: Number format of the computation; int8 needs OpenVINO.
        threads: Threads of the model; 0 for as many as there are cores.
    """

    name: str = OFFLINE_MODEL
    query_prompt: str | None = None
    passage_prompt: str | None = None
    batch_tokens: int = 1024
    backend: Backend | str = Backend.AUTO
    precision: Precision | str = Precision.AUTO
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.name:
            raise SettingsError(f"the model's name is empty; name a model, for example {OFFLINE_MODEL}.")
        if not 1 <= self.batch_tokens <= 1_000_000:
            raise SettingsError(f"batch_tokens is {self.batch_tokens}; give a number from 1 to 1000000.")
        for name, kind in (("backend", Backend), ("precision", Precision)):
            # A plain text is as good as the member it names.
            object.__setattr__(self, name, choice(kind, getattr(self, name), name))
        if (self.backend, self.precision) == (Backend.TORCH, Precision.INT8):
            raise SettingsError("precision int8 needs the openvino backend; give bf16 or fp32 with torch.")
        if not 0 <= self.threads <= 1024:
            raise SettingsError(f"threads is {self.threads}; give a number from 0 (all cores) to 1024.")


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Everything that decides what an index holds.

    Attributes:
        model: The model and its prompts.
        chunking: How documents become passages.
        fields: Names of the fields of JSON Lines and tables.
        encoding: The text encoding of all files; "" to detect it file by file.
        sentences: Give every sentence of a passage a vector too: finer ranking, and the closest sentence of each hit,
            for twice the embedding.
        parallel: A file of texts that say the same in several languages, to balance these by beside the project's own
            in English, Telugu, Persian, Lithuanian and Urdu; "" for none.
        kind: How the vectors are searched.
        store: Where passages and vectors are kept: "" for files in the index directory, "milvus:URI" for a collection
            of Milvus, embedded (a path that ends in .db) or on a server.
        vectors: Number format of the passages' vectors on disk.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    chunking: ChunkSettings = field(default_factory=ChunkSettings)
    fields: FieldNames = field(default_factory=FieldNames)
    encoding: str = ""
    sentences: bool = True
    parallel: str = ""
    kind: IndexKind | str = IndexKind.AUTO
    store: str = ""
    vectors: VectorNumbers | str = VectorNumbers.FLOAT32

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", choice(IndexKind, self.kind, "kind"))
        object.__setattr__(self, "vectors", choice(VectorNumbers, self.vectors, "vectors"))
        try:
            "".encode(self.encoding or "utf-8")
        except (LookupError, ValueError) as error:
            raise SettingsError(
                f"encoding {self.encoding!r} is not known; use a name such as utf-8 or windows-1257."
            ) from error


def choice(kind: type[StrEnum], value: str, name: str) -> StrEnum:
    """Return the member that a plain text names.

    Raises:
        SettingsError: Listing the members, when it names none.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise SettingsError(f"{name} is {value!r}; give one of {', '.join(kind)}.") from error


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make a settings record from plain data, refusing unknown keys and wrong types.

    Args:
        kind: The dataclass to make; fields that are dataclasses take a mapping.
        values: Plain data, as from TOML or JSON.
        where: The file and table, for messages.

    Raises:
        SettingsError: For an unknown key, a value of another type, or a value out of range.
    """
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    default = kind()
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise SettingsError(f"{where}: unknown setting {key!r} (known: {', '.join(sorted(known))}).")
        current = getattr(default, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{where}: {key} is a table of settings, not {value!r}.")
            made[key] = from_mapping(type(current), value, f"{where} [{key}]")
            continue
        expected = str if current is None or isinstance(current, str) else type(current)
        if type(value) is not expected and not (value is None and current is None):
            raise SettingsError(f"{where}: {key} must be {_KINDS[expected]}, not {value!r}.")
        made[key] = value
    try:
        return kind(**made)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
