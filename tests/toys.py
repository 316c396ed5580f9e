"""Small stand-ins that compute for real: an encoder whose scores can be worked out by hand, and a tiny real model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index.encoder import Fingerprint
from index.progress import SILENT, Progress
from index.vectors import unit_rows

if TYPE_CHECKING:
    from index.records import Vectors


class ToyEncoder:
    """Counts words: each word has its own axis, so the score of two texts is the cosine of their word counts."""

    def __init__(self, dim: int = 512, max_tokens: int = 64, weights_hash: str = "toy") -> None:
        self._axes: dict[str, int] = {}
        self._dim = dim
        self._max_tokens = max_tokens
        self.fingerprint = Fingerprint(
            model="toy", weights_hash=weights_hash, pooling="sum", max_tokens=max_tokens, dim=dim
        )
        self.encoded: list[str] = []
        """Every passage text encoded so far, in order."""

    @property
    def passage_tokens(self) -> int:
        return self._max_tokens

    @property
    def query_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        self.encoded.extend(texts)
        progress.advance(len(texts))
        return self._encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self._dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or ["nothing"]:
                row[self._axis(word)] += 1
        return unit_rows(rows)

    def _axis(self, word: str) -> int:
        # The same for every instance, so that an index made by one can be asked through another.
        return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest()) % self._dim


def make_tiny_model(folder: Path, *, prompts: dict[str, str] | None = None, max_tokens: int = 48) -> Path:
    """Write a real sentence-transformers model of 32 numbers with random weights that never change."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers import models as token_models
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [chr(code) for block in ((0x20, 0x17F), (0x600, 0x6FF), (0xC00, 0xC7F)) for code in range(*block)]
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", "<s>", "</s>", "<unk>", *letters])}
    tokenizer = Tokenizer(token_models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>"
    )
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    inner = folder.with_name(folder.name + "-parts")
    BertModel(config).save_pretrained(inner)
    fast.save_pretrained(inner)
    transformer = Transformer(str(inner), max_seq_length=max_tokens)
    model = SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu", prompts=prompts)
    model.save(str(folder))
    return folder
