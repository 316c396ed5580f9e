"""The numbers of a training run, and what each text is encoded as."""

from __future__ import annotations

from dataclasses import dataclass

from index.errors import SettingsError
from scripts.training_items import Role

KINDS: dict[Role, tuple[str, ...]] = {
    Role.QUESTION: ("query",),
    Role.PASSAGE: ("passage",),
    Role.SENTENCE: ("query", "passage"),
}
"""What a text of each role is encoded as."""


Text = tuple[str, int, str]
"""A text to be encoded: its prompt, the position of its item, and its language."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a training run.

    Attributes:
        steps: Updates of the weights.
        couples: Texts that belong together in a batch: questions and answers, or translations; half for passages.
        rate: The learning rate, reached over the first twentieth of the steps while it falls to nothing at the end.
        rank: Directions that each layer's weights may change in.
        shared_by_queries: The part of a query's target that is the mean of all translations, 0 to 1; the rest is the
            text's own.
        shared_by_passages: The same of a passage.
        contrast: Weight of the contrast against that of the alignment, which is 1.
        temperature: Of the contrast.
        short: The part of the batches that are questions and sentences, as queries.
        texts: How many of them in such a batch.
        questions: The part of the other batches that are questions and answers; the rest are translations.
        own_language: The part of the questions whose answer is in the question's language.
        tokens: Where texts are cut.
        seed: Of all that is drawn.
    """

    steps: int = 360
    couples: int = 16
    rate: float = 3e-4
    rank: int = 32
    shared_by_queries: float = 1.0
    shared_by_passages: float = 0.5
    contrast: float = 0.05
    temperature: float = 0.03
    short: float = 0.65
    texts: int = 48
    questions: float = 0.4
    own_language: float = 0.3
    tokens: int = 256
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "couples", "rate", "rank", "temperature", "texts", "tokens"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in ("shared_by_queries", "shared_by_passages", "short", "questions", "own_language"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")
