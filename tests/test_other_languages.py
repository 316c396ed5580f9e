"""Training in five languages brings the others nearer too: each of fifteen others finds better than by the base."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.config import TRAINED_MODEL, ModelSettings
from index.encoder import PromptedEncoder, open_encoder
from scripts.make_eval_set import write_set
from scripts.training_items import read_training_text
from search.eval_set import read_eval_set

OTHERS = Path(__file__).resolve().parent.parent / "scripts" / "other_languages"
EVERY = 2
"""One in so many subjects is asked here; all of them are measured in docs/models.md."""


def first_ranks(encoder: PromptedEncoder, file: Path) -> dict[str, float]:
    """Return the mean share of right answers among as many as are right, for each language of questions."""
    text = read_training_text([file])
    pairs = text.pairs[::EVERY]
    answers = np.concatenate(
        [encoder.encode_passages([text.items[pair.answer].texts[lang] for pair in pairs]) for lang in text.languages]
    )
    subject: NDArray[np.int64] = np.tile(np.arange(len(pairs)), len(text.languages))
    shares = {}
    for lang in text.languages:
        questions = encoder.encode_queries([text.items[pair.question].texts[lang] for pair in pairs])
        best = np.argsort(-(questions @ answers.T), axis=1)[:, : len(text.languages)]
        shares[lang] = float((subject[best] == np.arange(len(pairs))[:, None]).mean())
    return shares


@pytest.mark.parametrize("name", ["west", "east"])
def test_languages_without_training_gain(name: str, offline_encoder: PromptedEncoder) -> None:
    before = first_ranks(offline_encoder, OTHERS / f"{name}.jsonl")
    after = first_ranks(open_encoder(ModelSettings(TRAINED_MODEL, backend="torch")), OTHERS / f"{name}.jsonl")
    assert len(after) in (8, 9)
    assert {lang: (before[lang], after[lang]) for lang in after if after[lang] <= before[lang]} == {}
    assert np.mean(list(after.values())) > np.mean(list(before.values())) + 0.1


def test_as_a_set(tmp_path: Path) -> None:
    assert write_set([OTHERS / "east.jsonl"], tmp_path / "east") == (8 * 44, 8 * 44)
    made = read_eval_set(tmp_path / "east")
    assert (len(made.queries), {len(docs) for docs in made.qrels.values()}) == (8 * 44, {8})
