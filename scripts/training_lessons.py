"""What a model learns from: batches of text, where their vectors should be, and how far they are from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from index.errors import InputError
from index.vectors import unit_rows
from scripts.training_items import Role, TrainingText, sample
from scripts.training_recipe import KINDS, Recipe, Text
from scripts.training_student import Student

_ENGLISH = 3.0
"""How much the English translation counts among the others in a target: the base knows English best."""
_SHARE = {Role.SENTENCE: 3, Role.QUESTION: 1, Role.PASSAGE: 6}
"""How often batches of translations are of each role."""


class Targets:
    """Where the vectors of texts should be: ``of`` each text, and ``shared`` by all translations of an item."""

    def __init__(
        self, student: Student, text: TrainingText, base: dict[str, NDArray[np.float32]], recipe: Recipe
    ) -> None:
        self._rows: dict[Text, Any] = {}
        self.shared: dict[tuple[str, int], Any] = {}
        middle = "en" if "en" in text.languages else text.languages[0]
        weights = {lang: _ENGLISH if lang == "en" else 1.0 for lang in text.languages}
        for kind, shared in (("query", recipe.shared_by_queries), ("passage", recipe.shared_by_passages)):
            chosen = [i for i, item in enumerate(text.items) if kind in KINDS[item.role]]
            if not chosen:
                continue
            if len(chosen) == 1:
                raise InputError(
                    f"{text.items[chosen[0]].where}: is the only text read as a {kind}. Give more of them."
                )
            meanings, means = {}, {}
            for lang in text.languages:
                vectors = np.stack([base[student.asked(kind, text.items[i].texts[lang])] for i in chosen])
                means[lang] = vectors.mean(axis=0)
                meanings[lang] = vectors - means[lang]
            sums = [weights[lang] * meanings[lang] for lang in text.languages]
            together = np.sum(sums, axis=0) / sum(weights.values())
            self.shared.update(
                {
                    (kind, i): torch.from_numpy(row)
                    for i, row in zip(chosen, unit_rows(together + means[middle]), strict=True)
                }
            )
            for lang, own in meanings.items():
                mixed = unit_rows(shared * unit_rows(together) + (1 - shared) * unit_rows(own))
                rows = unit_rows(mixed * np.linalg.norm(own, axis=1, keepdims=True) + means[middle])
                self._rows.update({(kind, i, lang): torch.from_numpy(row) for i, row in zip(chosen, rows, strict=True)})

    def of(self, texts: Sequence[Text]) -> Any:
        """Return the targets of texts, shape (n, dim)."""
        return torch.stack([self._rows[text] for text in texts])


class Lessons:
    """Draws batches, the same for the same seed, and says what is wrong with the student's vectors of them.

    Most batches are many short texts as queries, told apart from all others by the targets these have; the rest are
    couples of longer texts, told apart from each other.
    """

    def __init__(self, student: Student, text: TrainingText, targets: Targets, recipe: Recipe) -> None:
        self._student, self._text, self._targets, self._recipe = student, text, targets, recipe
        self._by_role = {role: [i for i, item in enumerate(text.items) if item.role is role] for role in Role}
        self._asked = [i for i, item in enumerate(text.items) if "query" in KINDS[item.role]]
        self._bank: Any = torch.stack([targets.shared["query", i] for i in self._asked]) if self._asked else None
        self.chooser = random.Random(recipe.seed)

    def next(self) -> tuple[Any, Any]:
        """Return the alignment and the contrast of the next batch, both to be made small."""
        if self._asked and self.chooser.random() < self._recipe.short:
            return self._short()
        if self._text.pairs and self.chooser.random() < self._recipe.questions:
            return self._answered()
        return self._translated()

    def _short(self) -> tuple[Any, Any]:
        at = sample(self.chooser, range(len(self._asked)), self._recipe.texts)
        texts = [("query", self._asked[i], self.chooser.choice(self._text.languages)) for i in at]
        vectors = self._vectors(texts)
        cosines = vectors @ self._bank.T
        contrast = functional.cross_entropy(cosines / self._recipe.temperature, torch.tensor(at))
        return self._alignment(texts, vectors), contrast

    def _answered(self) -> tuple[Any, Any]:
        choose, langs = self.chooser, self._text.languages
        first, second, near = [], [], []
        for at in sample(choose, range(len(self._text.pairs)), self._recipe.couples):
            pair = self._text.pairs[at]
            asked, answered = choose.choice(langs), choose.choice(langs)
            if choose.random() < self._recipe.own_language:
                answered = asked
            first.append(("query", pair.question, asked))
            second.append(("passage", pair.answer, answered))
            if pair.near:
                near.append(("passage", choose.choice(pair.near), choose.choice((asked, answered))))
        texts = [*first, *second, *near]
        vectors = self._vectors(texts)
        n = len(first)
        return self._alignment(texts, vectors), self._told_apart(vectors[:n], vectors[n : 2 * n], vectors[n:], None)

    def _translated(self) -> tuple[Any, Any]:
        choose, n = self.chooser, self._recipe.couples
        roles = [role for role in Role if self._by_role[role]]
        role = choose.choices(roles, [_SHARE[role] for role in roles])[0]
        first, second = [], []
        for i in sample(choose, self._by_role[role], max(2, n // 2) if role is Role.PASSAGE else n):
            one, other = choose.sample(self._text.languages, 2)
            first.append((choose.choice(KINDS[role]), i, one))
            second.append((choose.choice(KINDS[role]), i, other))
        texts = [*first, *second]
        vectors = self._vectors(texts)
        ours, theirs = vectors[: len(first)], vectors[len(first) :]
        # What else is in a text's own language must not be closer to it than its translation.
        return self._alignment(texts, vectors), self._told_apart(ours, theirs, theirs, ours)

    def _told_apart(self, first: Any, second: Any, all_second: Any, own: Any) -> Any:
        right, temperature = torch.arange(len(first)), self._recipe.temperature
        forwards, backwards = first @ all_second.T, second @ first.T
        if own is not None:
            itself = torch.eye(len(first), dtype=torch.bool)
            forwards = torch.cat([forwards, (own @ own.T).masked_fill(itself, -1.0)], dim=1)
            backwards = torch.cat([backwards, (second @ second.T).masked_fill(itself, -1.0)], dim=1)
        losses = [functional.cross_entropy(cosines / temperature, right) for cosines in (forwards, backwards)]
        return (losses[0] + losses[1]) / 2

    def _alignment(self, texts: Sequence[Text], vectors: Any) -> Any:
        return (vectors - self._targets.of(texts)).square().sum(dim=1).mean()

    def _vectors(self, texts: Sequence[Text]) -> Any:
        """Return the student's vectors, computed in two parts of like lengths."""
        words = [self._student.asked(kind, self._text.items[i].texts[lang]) for kind, i, lang in texts]
        order = sorted(range(len(words)), key=lambda i: len(words[i]))
        halves = [half for half in (order[: len(order) // 2], order[len(order) // 2 :]) if half]
        rows = torch.cat([self._student.vectors([words[i] for i in half]) for half in halves])
        place = {i: at for at, i in enumerate(i for half in halves for i in half)}
        return rows[[place[i] for i in range(len(words))]]
