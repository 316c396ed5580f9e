"""A unigram tokenizer that opens in a millisecond: of its pieces only those are read that a text can be made of.

The library ``tokenizers`` needs a third of a second and 300 MB to open the 250,000 pieces of an XLM-R vocabulary, more
than all the rest of a question. A text is cut in the same way when the vocabulary holds no pieces but those that occur
in it. So these are looked up in a table on disk, and the library cuts with them: its own code, a vocabulary of some
hundred pieces, the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.vectors import open_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HASHES = "piece_hashes.npy"
_IDS = "piece_ids.npy"
_SPANS = "piece_spans.npy"
_SCORES = "piece_scores.npy"
_BYTES = "piece_bytes.npy"
_SHELL = "tokenizer_shell.json"

_FACTOR = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: odd, so that no letter is lost. Source: Knuth, TAOCP 3, section 6.4."""
_MOST_HEAD = 16
"""The special tokens at the beginning of a vocabulary; they keep their ids in every small one."""


class UnigramTable:
    """Cuts texts into the ids of a unigram tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Open the table of a folder.

        Raises:
            OSError: When there is none.
            IndexDamagedError: When it is not the table that was written.
        """
        from tokenizers import Tokenizer

        shell = json.loads((folder / _SHELL).read_text("utf-8"))
        n_pieces = shell["n_pieces"]
        self._longest: int = shell["longest"]
        self._head: list[tuple[str, float]] = [(text, score) for text, score in shell["head"]]
        self._head_ids: list[int] = shell["head_ids"]
        self._first_far: int = shell["first_far"]
        self._model: dict[str, Any] = shell["model"]
        self._tokenizer = Tokenizer.from_str(json.dumps(shell["tokenizer"]))
        # The library looks for some of them in the text as it was given, for others once both are normalized.
        self._added = {token for written in shell["added"] for token in (written, self._normalized(written)) if token}
        self._hashes = open_array(folder / _HASHES, (n_pieces,), "uint64")
        self._ids = open_array(folder / _IDS, (n_pieces,), "int64")
        self._spans = open_array(folder / _SPANS, (n_pieces, 2), "int64")
        self._scores = open_array(folder / _SCORES, (n_pieces,), "float64")
        self._bytes = open_array(folder / _BYTES, (shell["n_bytes"],), "uint8")

    def encode(self, text: str, max_tokens: int | None = None, *, special: bool = True) -> list[int] | None:
        """Return a text's token ids.

        Args:
            text: As the model reads it, prompt included.
            max_tokens: Where the library cuts it; None for nowhere.
            special: With the special tokens at its ends.

        Returns:
            The ids; None for a text that only the whole tokenizer can cut: one that spells a special token.
        """
        from tokenizers import models

        normalized = self._normalized(text)
        if any(token in text or token in normalized for token in self._added):
            return None
        found = self._find(normalized)
        if len(self._head) + len(found) >= self._first_far:
            return None
        texts = [bytes(self._bytes[start:end]).decode() for start, end in self._spans[found].tolist()]
        pieces = [*self._head, *zip(texts, self._scores[found].tolist(), strict=True)]
        ids = [*self._head_ids, *self._ids[found].tolist()]
        self._tokenizer.model = models.Unigram(pieces, **self._model)
        if max_tokens is None:
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(max_tokens)
        cut = self._tokenizer.encode(text, add_special_tokens=special).ids
        return [ids[i] if i < len(ids) else i for i in cut]

    def _normalized(self, text: str) -> str:
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def _find(self, text: str) -> NDArray[np.int64]:
        """Return where in the table the pieces are that occur in a normalized text."""
        import numpy as np

        splitter = self._tokenizer.pre_tokenizer
        words = "".join(word for word, _ in splitter.pre_tokenize_str(text)) if splitter is not None else text
        if not words:
            return np.empty(0, np.int64)
        wanted = np.unique(np.concatenate(_windows(words, self._longest)))
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: NDArray[np.int64] = at[self._hashes[at] == wanted]
        return found


def write_table(tokenizer: Mapping[str, Any], folder: Path) -> bool:
    """Write the table of a tokenizer.

    Args:
        tokenizer: Its ``tokenizer.json``.
        folder: Where to.

    Returns:
        Whether it is a tokenizer that can be written so; nothing is written otherwise.
    """
    import numpy as np

    model = tokenizer["model"]
    if model.get("type") != "Unigram" or model.get("byte_fallback") or model.get("unk_id") is None:
        return False
    added = {token["id"] for token in tokenizer["added_tokens"]}
    vocabulary = model["vocab"]
    near = {i for i in {*added, model["unk_id"]} if i < min(_MOST_HEAD, len(vocabulary))}
    n_head = max(near, default=0) + 1
    texts = [text for text, _ in vocabulary[n_head:]]
    if model["unk_id"] not in near or not texts or not all(texts):
        return False
    hashes = np.array([_windows(text, len(text))[-1][0] for text in texts], np.uint64)
    if len(np.unique(hashes)) < len(texts):
        return False
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded])
    # What is in no piece costs a little more than the worst piece: that one must be in every vocabulary.
    worst = min(range(len(vocabulary)), key=lambda i: vocabulary[i][1])
    head = [*range(n_head), worst]
    shell = {
        "n_pieces": len(texts),
        "n_bytes": int(ends[-1]),
        "longest": max(map(len, texts)),
        "head": [vocabulary[i] for i in head],
        "head_ids": head,
        "added": [token["content"] for token in tokenizer["added_tokens"]],
        "first_far": min(added - near, default=len(vocabulary)),
        "model": {"unk_id": model["unk_id"], "byte_fallback": False},
        "tokenizer": {
            **tokenizer,
            "truncation": None,
            "padding": None,
            "model": {**model, "vocab": vocabulary[:n_head]},
        },
    }
    order = np.argsort(hashes)
    np.save(folder / _HASHES, hashes[order])
    np.save(folder / _IDS, np.arange(n_head, len(vocabulary))[order])
    np.save(folder / _SPANS, np.stack([np.append(0, ends[:-1]), ends], axis=1)[order])
    np.save(folder / _SCORES, np.array([score for _, score in vocabulary[n_head:]], np.float64)[order])
    np.save(folder / _BYTES, np.frombuffer(b"".join(encoded), np.uint8))
    (folder / _SHELL).write_text(json.dumps(shell, ensure_ascii=False), "utf-8")
    return True


def _windows(text: str, longest: int) -> list[NDArray[np.uint64]]:
    """Return hashes of all substrings of 1 to ``longest`` characters, one array a length."""
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint64) + np.uint64(1)
    windows = [codes]
    for n in range(1, min(longest, len(codes))):
        windows.append(windows[-1][:-1] * np.uint64(_FACTOR) + codes[n:])
    return windows
