"""How passages are ranked: what a user may choose, and the few numbers behind the default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from index.balance import STRENGTH
from index.config import choice
from index.errors import SettingsError


class Mode(StrEnum):
    """What a passage's score is made of."""

    DENSE = "dense"
    """Meaning alone."""
    HYBRID = "hybrid"
    """Meaning, and the words of the query that the passage holds."""
    LEXICAL = "lexical"
    """Words alone: nothing is found in another language but names and numbers."""


class Balance(StrEnum):
    """How far the languages' offsets in the vector space are taken out of the scores."""

    OFF = "off"
    AUTO = "auto"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Weights:
    """The numbers behind a score. The defaults rank well for answers and for translations alike (docs/measured.md).

    Attributes:
        balance: The part of the languages' offsets that ``Balance.AUTO`` takes out, 0 to 1.
        sentence_share: The part of meaning that comes from the passage's sentences, 0 to 1; the rest from all of it.
        sentence_temperature: How far below the closest sentence another one still counts: e times less for each such
            step of cosine; above 0.
        lexical: What all words of the query together are worth, in cosine.
        lexical_expected: The lexical score, 0 to 1, that says nothing for or against a passage in a language that has
            all words of the query.
    """

    balance: float = STRENGTH
    sentence_share: float = 0.6
    sentence_temperature: float = 0.03
    lexical: float = 0.15
    lexical_expected: float = 0.2

    def __post_init__(self) -> None:
        for name in ("balance", "sentence_share", "lexical_expected"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")
        if not (0 <= self.lexical < math.inf and 0 < self.sentence_temperature < math.inf):
            raise SettingsError("lexical and sentence_temperature must be numbers of 0 or more; the latter above 0.")


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How passages are ranked.

    Attributes:
        mode: What a score is made of.
        balance: How far languages' offsets are taken out.
        weights: The numbers behind a score.
    """

    mode: Mode | str = Mode.HYBRID
    balance: Balance | str = Balance.AUTO
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        for name, kind in (("mode", Mode), ("balance", Balance)):
            # A plain text is as good as the member it names.
            object.__setattr__(self, name, choice(kind, getattr(self, name), name))

    @property
    def strength(self) -> float:
        """The part of the offsets that is taken out, from 0 to 1."""
        return {Balance.OFF: 0.0, Balance.AUTO: self.weights.balance, Balance.FULL: 1.0}[Balance(self.balance)]
