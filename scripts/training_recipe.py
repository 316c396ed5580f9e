"""The numbers of a training run, and which prompts a text may have."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.training_items import Role

PROMPTS = {"query": "query: ", "passage": "passage: "}
KINDS = {Role.QUESTION: ("query",), Role.PASSAGE: ("passage",), Role.SENTENCE: ("query", "passage")}
"""The prompts that a text of each role is encoded with."""


Text = tuple[str, int, str]
"""A text to be encoded: its prompt, the position of its item, and its language."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a training run.

    Attributes:
        steps: Updates of the weights.
        couples: Texts that belong together in a batch: questions and answers, or translations; half for passages.
        rate: The highest learning rate, reached after a twentieth of the steps, falling to nothing at the end.
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
