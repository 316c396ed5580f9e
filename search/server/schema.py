"""What answers look like: the models that /openapi.json is made of. Answers are written without them, by ``json``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """All that is declared is there, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class ErrorModel(Model):
    """What is wrong, where, and how to mend it."""

    error: str = Field(examples=["q: is missing. Send what is to be searched for."])


class OtherPlace(Model):
    """Another place where the very same passage stands."""

    source: str
    doc_id: str
    title: str
    start: int
    end: int


class HitModel(Model):
    """A passage that was found."""

    rank: int = Field(ge=1, description="From 1; within the language with per_language.")
    score: float = Field(description="Higher is better; ranks the passages of one question only.")
    lang: str = Field(description="BCP 47 language of the passage, und when unknown.", examples=["te"])
    source: str = Field(description="The file, below the folder that was indexed.", examples=["te/06-fridge.md"])
    doc_id: str
    title: str
    passage_id: str = Field(description="For /passages/{passage_id}.")
    start: int = Field(description="The passage is characters start to end of the document's text.")
    end: int
    text: str
    metadata: dict[str, Any]
    also_in: list[OtherPlace]
    n_places: int
    highlight: list[int] = Field(min_length=2, max_length=2, description="The closest sentence: characters from, to.")
    dense: float
    balance: float
    lexical: float
    terms: list[str] = Field(description="Words of the passage that count, with explain.")
    locator: str = Field(description="page=3, slide=4, chapter=2, t=61.5 (seconds) or nothing.", examples=["page=3"])


class AnswerModel(Model):
    """The hits of one query."""

    query: str
    lang: str = Field(description="The language that the query seems to be in.", examples=["en"])
    notice: str = Field(description="What to know of how the query was read; nothing for any ordinary one.")
    hits: list[HitModel]


class SearchModel(AnswerModel):
    """The answer to GET /search."""

    took_ms: float


class BatchModel(Model):
    """The answer to POST /search: one result a query, in order."""

    took_ms: float
    results: list[AnswerModel]


class NeighbourModel(Model):
    """A passage of the same document, before or after."""

    passage_id: str
    lang: str
    start: int
    end: int
    text: str
    locator: str


class PassageModel(Model):
    """A passage with what stands around it."""

    passage_id: str
    lang: str
    source: str
    doc_id: str
    title: str
    start: int
    end: int
    text: str
    locator: str
    metadata: dict[str, Any]
    also_in: list[OtherPlace]
    n_places: int
    before: list[NeighbourModel]
    after: list[NeighbourModel]


class LanguageModel(Model):
    """A language of the index."""

    lang: str
    passages: int


class LimitsModel(Model):
    """The most that a request may ask for."""

    k: int
    per_language: int
    context: int = Field(description="Passages before and after one.")


class LanguagesModel(Model):
    """What the index holds, most passages first."""

    passages: int
    documents: int
    languages: list[LanguageModel]
    limits: LimitsModel


class StatusModel(Model):
    """Whether the server is there."""

    status: str = Field(examples=["ok"])
