"""How passages are ranked: what a user may choose, and the few numbers behind the default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from index.config import choice


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

    @property
    def strength(self) -> float:
        """The part of the offsets that is taken out, from 0 to 1."""
        return {Balance.OFF: 0.0, Balance.AUTO: AUTO_STRENGTH, Balance.FULL: 1.0}[self]


AUTO_STRENGTH = 0.7
SENTENCE_SHARE = 0.5
"""The part of the meaning's score that comes from the passage's sentences, the rest from the passage as a whole."""
SENTENCE_TEMPERATURE = 0.03
"""How far below the closest sentence another one still counts: e times less for each such step of cosine."""
LEXICAL_WEIGHT = 0.15
"""What all words of the query together are worth, in cosine."""
LEXICAL_EXPECTED = 0.2
"""The lexical score that says nothing for or against a passage in a language that has all words of the query."""


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How passages are ranked.

    Attributes:
        mode: What a score is made of.
        balance: How far languages' offsets are taken out.
    """

    mode: Mode | str = Mode.HYBRID
    balance: Balance | str = Balance.AUTO

    def __post_init__(self) -> None:
        for name, kind in (("mode", Mode), ("balance", Balance)):
            # A plain text is as good as the member it names.
            object.__setattr__(self, name, choice(kind, getattr(self, name), name))
