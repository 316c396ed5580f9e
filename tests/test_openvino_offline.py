"""The offline model in int8, as it is used, beside its vectors in full precision."""

from __future__ import annotations

from index.encoder import PromptedEncoder
from index.sample_corpus import SAMPLES, read_questions


def test_the_offline_model_in_int8(fast_encoder: PromptedEncoder, offline_encoder: PromptedEncoder) -> None:
    questions = [question.text for question in read_questions()][::3]
    paragraphs = [
        text for path in sorted(SAMPLES.glob("*/*"))[::7] for text in path.read_text("utf-8").split("\n\n")[1:3]
    ]
    assert fast_encoder.fingerprint.precision == "int8"
    assert (len(questions), len(paragraphs) >= 14) == (20, True)
    for ours, theirs in (
        (fast_encoder.encode_queries(questions), offline_encoder.encode_queries(questions)),
        (fast_encoder.encode_passages(paragraphs), offline_encoder.encode_passages(paragraphs)),
    ):
        cosines = (ours * theirs).sum(axis=1)
        assert cosines.mean() >= 0.99
        assert cosines.min() >= 0.97
