"""Asks an index: encode the query, find rows and scores, make hits."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from index.background import Background
from index.config import Backend
from index.encoder import Encoder, open_encoder, settings_for
from index.errors import QueryError
from index.language import detect_language
from index.manifest import Manifest, check_encoder
from index.progress import SILENT, Progress
from index.store import Store, current_generation
from search.checks import check_queries, is_passage_id, no_passage
from search.hits import Hit, make_hit
from search.passage_context import PassageInContext, in_context
from search.rank_settings import Mode, RankSettings
from search.ranking import Ranker
from search.rerank import MOST, Scorer, rerank

if TYPE_CHECKING:
    from index.records import Vectors
    from search.scoring import Ranked

_QUERY_BATCH = 256
"""Queries searched together, so that memory does not grow with their number."""
_BORDER_TOKENS = 8
"""Tokens that a query may have beside those of its letters: a space before it, marks of its ends."""
_MOST_CONTEXT = 1_000
"""Passages before and after one that are given at most."""


class Searcher:
    """An open index and the encoder that made it; safe to use from one thread at a time."""

    def __init__(self, store: Store, encoder: Encoder, ranker: Ranker, reranker: Scorer | None = None) -> None:
        """Use ``Searcher.open``.

        Raises:
            EncoderMismatchError: When the index was made with another encoder.
        """
        check_encoder(store.manifest, encoder.fingerprint, str(store.directory))
        self._store = store
        self._encoder = encoder
        self._ranker = ranker
        self._reranker = reranker

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        model: str | None = None,
        backend: Backend | str = Backend.AUTO,
        threads: int = 0,
        encoder: Encoder | None = None,
        reranker: Scorer | None = None,
        progress: Progress = SILENT,
    ) -> Searcher:
        """Open an index with the model it was made with.

        Args:
            directory: The index directory.
            model: That model, when it is elsewhere now (a folder), or is to be fetched (a hub id).
            backend: What computes the query's vector: ``auto``, ``openvino`` or ``torch``.
            threads: Threads of the model; 0 for as many as there are cores.
            encoder: An encoder to use instead.
            reranker: Orders the best hits of every search anew: a ``search.rerank.Reranker``.
            progress: Told of the model's preparation, and when torch has to serve in place of OpenVINO.

        Raises:
            StoreError: When the index is missing, damaged, of another format, or made with another encoder.
            ModelError: When the model cannot be found or loaded.
            SettingsError: For an unknown backend, or a number of threads out of range.
        """
        store = Store.open(os.fspath(directory))
        if not store.has_parts:
            progress.note(
                f"{store.directory}: written in format {store.manifest.format_version}, so it is searched by the "
                "meaning of whole passages alone. Build it again to have languages balanced and words count."
            )
        # FAISS and the model take about as long to load: side by side. All files are opened before the model is loaded:
        # later builds may clear them away.
        ranker = Background(lambda: Ranker(store))
        try:
            # A model that only the index names is not fetched: opening somebody's index must not use the network.
            encoder = encoder or open_encoder(
                settings_for(store.manifest.encoder, model, backend, threads),
                progress,
                may_fetch=model is not None,
            )
            return cls(store, encoder, ranker.result(), reranker)
        except BaseException:
            ranker.wait()  # it reads from the store
            store.close()
            raise

    def refresh(self) -> bool:
        """Read the newest generation of the index from now on, if an update or a build has written one meanwhile.

        Costs some microseconds when there is none. The model stays loaded.

        Returns:
            Whether there was a new one.

        Raises:
            StoreError: When it cannot be read, or was made with another encoder; the old one is then still read.
        """
        if current_generation(self._store.directory) == self._store.folder:
            return False
        store = Store.open(self._store.directory)
        try:
            check_encoder(store.manifest, self._encoder.fingerprint, str(store.directory))
            ranker = Ranker(store)
        except BaseException:
            store.close()
            raise
        old_store, old_ranker, self._store, self._ranker = self._store, self._ranker, store, ranker
        old_ranker.passages.close()
        old_store.close()
        return True

    @property
    def manifest(self) -> Manifest:
        """What the index says of itself."""
        return self._store.manifest

    @property
    def generation(self) -> int:
        """The number of the generation that is read; every build and update writes a higher one."""
        return int(self._store.folder.name[1:])

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the passages."""
        return tuple(lang for lang in self.manifest.languages if lang in self.manifest.counts.languages)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        lang: str | Sequence[str] | None = None,
        per_language: int | None = None,
        settings: RankSettings | None = None,
        explain: bool = False,
    ) -> list[Hit]:
        """Return the passages closest to a query, best first, across all languages.

        Args:
            query: In any language the model reads.
            k: The most hits; not used with ``per_language``.
            lang: Only passages of this language, or of these: a list, or a text such as "te,fa".
            per_language: Return this many hits of each language instead: grouped, the language of the best hit first,
                ranks counted within the language.
            settings: How to rank; the defaults when None.
            explain: Give each hit the words that it shares with the query.

        Raises:
            QueryError: For an empty query, ``k`` below 1, a language that the index does not hold, or a mode that it
                is too old for.
            IndexDamagedError: When the index cannot be read.
        """
        return self.search_batch([query], k, lang=lang, per_language=per_language, settings=settings, explain=explain)[
            0
        ]

    def search_batch(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        lang: str | Sequence[str] | None = None,
        per_language: int | None = None,
        settings: RankSettings | None = None,
        explain: bool = False,
        vectors: Vectors | None = None,
    ) -> list[list[Hit]]:
        """Return the hits of each query, as ``search`` does; many at once are faster.

        Args:
            queries: In any language the model reads.
            k: The most hits of each; not used with ``per_language``.
            lang: Only passages of this language, or of these.
            per_language: Return this many hits of each language instead.
            settings: How to rank; the defaults when None.
            explain: Give each hit the words that it shares with the query.
            vectors: What ``embed`` gave for the queries, shape (n, dim), where that was done before.

        Raises:
            QueryError: As ``search``; an empty query is told by its number.
            IndexDamagedError: When the index cannot be read.
        """
        if isinstance(queries, str):
            raise TypeError("search_batch takes a list of queries; use search for one")
        check_queries(queries)
        for name, value in (("k", k), ("per_language", per_language)):
            if value is not None and value < 1:
                raise QueryError(f"{name} is {value}; ask for at least 1 passage.")
        settings = settings or RankSettings()
        if settings.mode == Mode.LEXICAL and not self._store.has_parts:
            raise QueryError(
                f"{self._store.directory}: written in format {self.manifest.format_version}, which has no words to "
                "search by. Search by meaning, or build the index again."
            )
        langs = self.check_langs(lang) if lang is not None else []
        codes = [self.manifest.languages.index(one) for one in langs or self.languages]
        groups: list[Sequence[int] | None] = [codes if langs else None]
        if per_language is not None:
            groups = [[code] for code in codes]
        hits: list[list[Hit]] = []
        for at in range(0, len(queries), _QUERY_BATCH):
            part = queries[at : at + _QUERY_BATCH]
            if settings.mode == Mode.LEXICAL:
                of_queries = None
            else:
                of_queries = self.embed(part) if vectors is None else vectors[at : at + _QUERY_BATCH]
            found = self._ranker.rank(part, of_queries, self._depth(k, per_language), settings, groups)
            of_part = self._make_hits(part, found, explain=explain and settings.mode != Mode.DENSE)
            if self._reranker:
                grouped = per_language is not None
                of_part = [rerank(one, self._reranker, per_language or k, grouped=grouped) for one in of_part]
            hits += of_part
        return hits

    def embed(self, queries: Sequence[str]) -> Vectors:
        """Return the vectors of queries, shape (n, dim), unit rows; while another thread searches by others, too.

        Args:
            queries: In any language the model reads.
        """
        return self._encoder.encode_queries(queries)

    def passage(self, passage_id: str, *, context: int = 0) -> PassageInContext:
        """Return a passage by its id, with what stands around it in its document.

        Args:
            passage_id: As a hit has it.
            context: How many passages of the document before it, and how many after it, at most 1,000.

        Raises:
            QueryError: When the index holds no such passage, or ``context`` is out of range.
            IndexDamagedError: When the index cannot be read.
        """
        if not 0 <= context <= _MOST_CONTEXT:
            raise QueryError(f"context is {context}; ask for 0 to {_MOST_CONTEXT:,} passages.")
        passages = self._ranker.passages
        row = passages.row_of(passage_id) if is_passage_id(passage_id) else None
        if row is None:
            raise no_passage(passage_id)
        found = passages.passages([row])[0]
        return in_context(found, passages.around(row, found.occurrences[0], context), self._store.documents.locators)

    def _depth(self, k: int, per_language: int | None) -> int:
        """Return how many hits are found, of each language or in all, so that a reranker has some to choose from."""
        if not self._reranker:
            return per_language or k
        return max(k, MOST) if per_language is None else max(per_language, MOST // len(self.languages))

    def detect_language(self, query: str) -> str:
        """Return the language a query seems to be in; English and the index's languages are likelier than others."""
        return detect_language(query, expected={"en", *self.languages})

    def check_langs(self, lang: str | Sequence[str]) -> list[str]:
        """Return the languages meant, as the index writes them: a tag in any case, a language with its regions.

        Raises:
            QueryError: When none is named, or one of them is not in the index.
        """
        wanted = [part.strip() for part in (lang.split(",") if isinstance(lang, str) else lang)]
        if not any(wanted):
            raise QueryError(f"no language is named; the index holds {', '.join(self.languages)}.")
        found = set()
        for one in wanted:
            matching = {tag for tag in self.languages if f"{tag.lower()}-".startswith(f"{one.lower()}-")}
            if not matching:
                raise QueryError(f"the index holds no passage in {one!r}; it holds {', '.join(self.languages)}.")
            found |= matching
        return [tag for tag in self.languages if tag in found]

    def unread_tokens(self, query: str) -> int:
        """Return how many tokens at a query's end are more than the model reads; 0 for any ordinary query."""
        # No tokenizer makes more tokens than bytes, once it has composed letters, and a few at the borders.
        most = len(unicodedata.normalize("NFKC", query).encode("utf-8", "replace")) + _BORDER_TOKENS
        if most <= self._encoder.query_tokens:
            return 0
        return max(0, self._encoder.count_tokens([query])[0] - self._encoder.query_tokens)

    def notice(self, query: str) -> str:
        """Return what a person should know of how a query is read, "" for any ordinary one."""
        unread = self.unread_tokens(query)
        return f"Notice: the query is {unread} tokens longer than the model reads; its end is not used." * bool(unread)

    def _make_hits(
        self, queries: Sequence[str], found: Sequence[Sequence[Ranked]], *, explain: bool
    ) -> list[list[Hit]]:
        """Return the hits of each query: group after group, the group with the best hit first."""
        wanted = sorted({int(row) for groups in found for ranked in groups for row in ranked.rows})
        passages = dict(zip(wanted, self._ranker.passages.passages(wanted), strict=True))
        hits = []
        for query, groups in zip(queries, found, strict=True):
            words = self._ranker.words(query) if explain else None
            scored = [(group, group.scores.tolist()) for group in groups if len(group.rows)]
            of_query = []
            for group, scores in sorted(scored, key=lambda pair: -pair[1][0]):
                for at, (row, score) in enumerate(zip(group.rows, scores, strict=True)):
                    passage = passages[int(row)]
                    terms = words.words(passage.model_text) if words else ()
                    of_query.append(make_hit(query, passage, group, at, score, terms))
            hits.append(of_query)
        return self._located(hits)

    def _located(self, hits: list[list[Hit]]) -> list[list[Hit]]:
        """Return hits with the pages or times of their highlights."""
        places = [(hit.source, hit.doc_id, hit.highlight[0]) for of_query in hits for hit in of_query]
        locators = self._store.documents.locators(places)
        if not any(locators):
            return hits
        told = iter(locators)
        return [[dataclasses.replace(hit, locator=next(told)) for hit in of_query] for of_query in hits]

    def close(self) -> None:
        """Let go of the index's files."""
        self._ranker.passages.close()
        self._store.close()

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
