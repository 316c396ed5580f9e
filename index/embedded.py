"""What has been embedded before, found again by its text: nothing is embedded twice.

It comes from the passages of an index, and from the batches of a build that did not end. Every batch is kept as a file
of its own, whole or not at all, as soon as it is embedded; so a build that was killed goes on after its last batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.config import VectorNumbers
from index.encoder import Fingerprint
from index.errors import IndexDamagedError, StoreError
from index.files import write_bytes
from index.layout import VECTORS, within
from index.manifest import record_file
from index.records import model_text
from index.sentence_files import SENTENCE_FILES
from index.vectors import to_int8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.passages import Part, Passages
    from index.records import Vectors
    from index.store import Store

PASSAGE = b"p"
SENTENCE = b"s"
"""What a text was embedded as: a passage's vector is kept as the model gave it, a sentence's in int8."""
_ARRAYS = ("passage_keys", "passages", "sentence_keys", "sentences")
_KEY = 16
_SUFFIX = ".npz"
_PLACE_BITS = 20
"""A sentence's place is the row of its passage, and its number there in so many bits."""
_ENTRY = [("first", "<u8"), ("second", "<u8"), ("origin", "<i4"), ("place", "<i8")]
"""A text's key in two halves, and where its vector is."""
_STORE = -1
"""Stands for the index where else the number of a batch stands."""


def text_key(kind: bytes, text: str) -> bytes:
    """Return 16 bytes that stand for a text embedded as a passage or as a sentence."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY, person=kind).digest()


def vector_fingerprint(fingerprint: Fingerprint) -> str:
    """Return 16 hexadecimal digits of all in a fingerprint that decides the vectors of passages."""
    decisive = dataclasses.asdict(dataclasses.replace(fingerprint, model="", query_prompt=""))
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def encode_batch(
    passages: Sequence[str], vectors: Vectors, sentences: Sequence[str], stored: NDArray[np.int8]
) -> bytes:
    """Return a batch as the content of its file.

    Args:
        passages: Texts embedded as passages.
        vectors: Theirs, shape (n, dim), unit rows.
        sentences: Texts embedded as sentences.
        stored: Their vectors, as ``sentence_vectors.to_int8`` gives them.
    """
    import numpy as np

    keys = [
        np.frombuffer(b"".join(text_key(kind, text) for text in texts), np.uint8).reshape(-1, _KEY)
        for kind, texts in ((PASSAGE, passages), (SENTENCE, sentences))
    ]
    buffer = io.BytesIO()
    np.savez(buffer, passage_keys=keys[0], passages=vectors, sentence_keys=keys[1], sentences=stored)
    return buffer.getvalue()


class Embedded:
    """Vectors by text, for one encoder."""

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        """Look at the batches there are.

        Args:
            folder: Where batches are kept, of all encoders.
            fingerprint: The encoder's.
        """
        self._folder = folder / vector_fingerprint(fingerprint)
        self._dim = fingerprint.dim
        self._passages, self._sentences = _Keys(), _Keys()
        self._known: Passages | None = None
        self._paths = sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder.is_dir() else []
        self._batch: tuple[int, dict[str, NDArray[Any]]] | None = None
        self.n_kept = 0
        """Passages in batches that were there from the beginning."""
        for number in range(len(self._paths)):
            try:
                batch = self._read(number)
            except _DAMAGE:  # is embedded again
                continue
            self._passages.add(batch["passage_keys"].tobytes(), number)
            self._sentences.add(batch["sentence_keys"].tobytes(), number)
            self.n_kept += len(batch["passages"])
        self._next = 1 + max((int(path.stem) for path in self._paths if path.stem.isdigit()), default=-1)

    def add(self, known: Passages, parts: Iterable[Part], *, sentences_only: bool = False) -> None:
        """Take vectors that an index holds; the same encoder must have made it.

        Args:
            known: The passages of the index; they must stay open, and it is one index only.
            parts: Rows of them, and their texts.
            sentences_only: Leave the vectors of passages alone: they are kept in fewer bytes than is wanted now.

        Raises:
            StoreError: When it cannot be read.
        """
        import numpy as np

        self._known = known
        for rows, texts in parts:
            if not sentences_only:
                keys_of = (text_key(PASSAGE, model_text(context, text)) for context, text in texts)
                self._passages.add(b"".join(keys_of), _STORE, rows)
            found = known.sentences(np.array(rows, np.int64))
            if found is None:
                continue
            keys = bytearray()
            for i, (_, text) in enumerate(texts):
                for begin, end in found.spans[found.starts[i] : found.starts[i + 1]].tolist():
                    keys += text_key(SENTENCE, text[begin:end])
            counts = np.diff(found.starts).tolist()
            places = [row << _PLACE_BITS | j for row, n in zip(rows, counts, strict=True) for j in range(n)]
            self._sentences.add(bytes(keys), _STORE, places)

    def add_index(self, store: Store, numbers: VectorNumbers | str) -> Passages:
        """Take all vectors of an index that may go on into one of such numbers.

        Returns:
            Its passages, which must stay open as long as vectors are taken, and be closed then.

        Raises:
            StoreError: When it cannot be read.
        """
        is_lossy = any(one.numbers not in (VectorNumbers.FLOAT32, numbers) for one in store.manifest.segments)
        passages = store.open_passages(to_search=False)
        self.add(passages, passages.iter_texts(), sentences_only=is_lossy)
        return passages

    def passages(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], Vectors]:
        """Return which passages have vectors, shape (n,), and these, shape (n, dim), zeros where there are none."""
        return self._find(self._passages, PASSAGE, texts, "passages", "float32")

    def sentences(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
        """Return which sentences have vectors, shape (n,), and these, shape (n, dim), zeros where there are none."""
        return self._find(self._sentences, SENTENCE, texts, "sentences", "int8")

    def has_passages(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which passages have vectors, shape (n,), without reading these."""
        return self._passages.find(b"".join(text_key(PASSAGE, text) for text in texts))[1] >= 0

    def has_sentences(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which sentences have vectors, shape (n,), without reading these."""
        return self._sentences.find(b"".join(text_key(SENTENCE, text) for text in texts))[1] >= 0

    def _find(
        self, keys: _Keys, kind: bytes, texts: Sequence[str], name: str, dtype: str
    ) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        import numpy as np

        origins, places = keys.find(b"".join(text_key(kind, text) for text in texts))
        found = np.zeros((len(texts), self._dim), dtype)
        there = places >= 0
        for origin in np.unique(origins[there]).tolist():
            at = np.flatnonzero(there & (origins == origin))
            try:
                found[at] = (
                    self._from_store(places[at], name) if origin == _STORE else self._read(origin)[name][places[at]]
                )
            except (*_DAMAGE, StoreError):
                there[at] = False  # is embedded again
        return there, found

    def _from_store(self, places: NDArray[np.int64], name: str) -> NDArray[Any]:
        import numpy as np

        if self._known is None:
            raise IndexDamagedError("no index to take vectors from")
        if name == "passages":
            return self._known.vectors(places)
        rows, inverse = np.unique(places >> _PLACE_BITS, return_inverse=True)
        found = self._known.sentences(rows)
        if found is None:
            raise IndexDamagedError("no sentences to take vectors from")
        return to_int8(found.vectors[found.starts[inverse] + (places & (1 << _PLACE_BITS) - 1)])

    def _read(self, number: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of a batch; the last one read is kept, since texts come in the order of their batches."""
        import numpy as np

        if self._batch is None or self._batch[0] != number:
            # Opened here: NumPy leaves a file open that is cut short.
            with self._paths[number].open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                if any(member.compress_type != zipfile.ZIP_STORED for member in file.zip.infolist()):
                    raise ValueError(f"{self._paths[number]}: is packed, and may be of any size")
                batch = {name: file[name] for name in _ARRAYS}
            n, m = len(batch["passages"]), len(batch["sentences"])
            shapes = ((n, _KEY), (n, self._dim), (m, _KEY), (m, self._dim))
            types = (np.uint8, np.float32, np.uint8, np.int8)
            for array_of, shape, dtype in zip(batch.values(), shapes, types, strict=True):
                if array_of.shape != shape or array_of.dtype != dtype:
                    raise ValueError(f"{self._paths[number]}: is no batch")
            if not np.isfinite(batch["passages"]).all():
                raise ValueError(f"{self._paths[number]}: holds numbers that are no vectors")
            self._batch = number, batch
        return self._batch[1]

    def keep(
        self, passages: Sequence[str], vectors: Vectors, sentences: Sequence[str], stored: NDArray[np.int8]
    ) -> None:
        """Keep a batch that was embedded, on disk when this returns; arguments as ``encode_batch`` has them.

        Raises:
            OSError: When it cannot be written.
        """
        self.keep_encoded(encode_batch(passages, vectors, sentences, stored))
        number = len(self._paths) - 1
        self._passages.add(b"".join(text_key(PASSAGE, text) for text in passages), number)
        self._sentences.add(b"".join(text_key(SENTENCE, text) for text in sentences), number)

    def keep_encoded(self, content: bytes) -> None:
        """Keep a batch as ``encode_batch`` gave it, on disk when this returns; this object does not look into it.

        Raises:
            OSError: When it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._next:08d}{_SUFFIX}"
        write_bytes(path, content)
        self._paths.append(path)
        self._next += 1


_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged batch may raise."""


def clear(folder: Path, fingerprint: Fingerprint) -> None:
    """Remove the batches of an encoder, which an index holds now; those of other encoders stay.

    Args:
        folder: Where batches are kept, of all encoders.
        fingerprint: The encoder's.
    """
    shutil.rmtree(folder / vector_fingerprint(fingerprint), ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty
        folder.rmdir()


def is_whole(store: Store) -> bool:
    """Tell whether the vectors of an index are what was written: damage must not go on into another one."""
    names = [within(one.name, name) for one in store.manifest.segments for name in (VECTORS, *SENTENCE_FILES)]
    try:
        return all(
            record_file(store.folder / name) == store.manifest.files[name]
            for name in names
            if name in store.manifest.files
        )
    except OSError:
        return False


class _Keys:
    """Finds where the vectors of texts are, by their keys: in sorted runs, which are merged as they grow."""

    def __init__(self) -> None:
        self._runs: list[NDArray[Any]] = []

    def add(self, keys: bytes, origin: int, places: Sequence[int] | None = None) -> None:
        """Add keys, one after the other, of one origin; by default each text's place is its number."""
        import numpy as np

        pairs = np.frombuffer(keys, np.uint64).reshape(-1, 2)
        if not len(pairs):
            return
        run = np.empty(len(pairs), _ENTRY)
        run["first"], run["second"], run["origin"] = pairs[:, 0], pairs[:, 1], origin
        run["place"] = np.arange(len(pairs)) if places is None else places
        self._runs.append(run[np.argsort(run["first"], kind="stable")])
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) >= len(self._runs[-2]):
            both = np.concatenate([self._runs[-2], self._runs[-1]])
            self._runs[-2:] = [both[np.argsort(both["first"], kind="stable")]]

    def find(self, keys: bytes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the origin and the place of each key, shape (n,) both; the place -1 where there is none."""
        import numpy as np

        asked = np.frombuffer(keys, np.uint64).reshape(-1, 2)
        origins, places = np.full(len(asked), -1, np.int32), np.full(len(asked), -1, np.int64)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run["first"], asked[:, 0]), len(run) - 1)
            same = (run["first"][at] == asked[:, 0]) & (run["second"][at] == asked[:, 1])
            origins[same], places[same] = run["origin"][at[same]], run["place"][at[same]]
        return origins, places
