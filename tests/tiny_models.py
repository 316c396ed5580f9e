"""Tiny real models of other shapes than ``tests.toys.make_tiny_model`` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAX_TOKENS = 48


def save(folder: Path, *modules: Any) -> Path:
    """Write a model of these modules."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=list(modules), device="cpu").save(str(folder))
    return folder


def make_mean_model(folder: Path, parts: Path) -> Path:
    """Write a model of the offline model's shape."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    return save(folder, _transformer(parts), Pooling(32), Normalize())


def make_cls_model(folder: Path, parts: Path) -> Path:
    """Write a model whose vector is that of the first token."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    return save(folder, _transformer(parts), Pooling(32, pooling_mode="cls"))


def make_dense_model(folder: Path, parts: Path) -> Path:
    """Write a model of two poolings side by side, with a layer after them that gives 24 numbers."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling

    torch.manual_seed(2)
    return save(folder, _transformer(parts), Pooling(32, pooling_mode=("mean", "max")), Dense(64, 24))


def _transformer(parts: Path) -> Any:
    from sentence_transformers.sentence_transformer.modules import Transformer

    return Transformer(str(parts), max_seq_length=MAX_TOKENS)


def make_xlmr_parts(folder: Path) -> Path:
    """Write a transformer of another kind than the tiny model's: unigram pieces, positions counted from the padding id.

    Its weights are large, so that every token of a text moves the vector. Every second input of a layer has weight 0:
    processors without VNNI instructions add the int8 products of two neighbours in 16 bits, which clip the sum of two
    large ones. In a trained model they are rare. With one of two always 0 there is nothing to clip, and int8 gives the
    same vectors on every processor.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    letters = [chr(code) for block in ((0x21, 0x17F), (0x600, 0x6FF), (0xC00, 0xC7F)) for code in range(*block)]
    pieces = ["▁", *letters, *(a + b for a in "▁aeinorst" for b in "aeilnorstu")]
    vocabulary = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -5.0 - i % 89 / 10) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    torch.manual_seed(3)
    config = XLMRobertaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS + 2,
        pad_token_id=1,
        type_vocab_size=1,
        initializer_range=0.3,
    )
    model = XLMRobertaModel(config)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.weight[:, 1::2] = 0
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def make_static_model(folder: Path) -> Path:
    """Write a model without a transformer: OpenVINO has nothing to compute in it."""
    import numpy as np
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "labas": 1, "rytas": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return save(folder, StaticEmbedding(tokenizer, embedding_weights=np.eye(3, 8, dtype=np.float32)))


def make_cross_encoder(folder: Path, parts: Path, n_labels: int = 1) -> Path:
    """Write a model that scores pairs of texts: random weights, large enough that every token counts."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(4)
    config = BertConfig.from_pretrained(parts, num_labels=n_labels, initializer_range=0.3)
    inner = folder.with_name(folder.name + "-parts")
    BertForSequenceClassification(config).save_pretrained(inner)
    AutoTokenizer.from_pretrained(parts).save_pretrained(inner)
    CrossEncoder(str(inner), device="cpu", max_length=MAX_TOKENS).save(str(folder))
    return folder
