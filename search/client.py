"""Asks a server from Python nearly as if its index were here: the same methods, hits and errors."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from index.errors import QueryError, ServerError, SettingsError
from index.extras import needs
from index.stored import Occurrence
from search.checks import check_queries, is_passage_id, no_passage
from search.hits import Hit
from search.passage_context import Neighbour, PassageInContext
from search.rank_settings import RankSettings, Weights

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
_AT_ONCE = 32
"""Queries of one request; a server takes 64."""
_OF_THE_QUERY = (400, 404, 413, 414, 422)
"""What a server answers to something that cannot be asked."""


class Client:
    """A connection to ``tongues serve``, kept open from question to question; use it from one thread at a time."""

    def __init__(
        self, url: str = "http://127.0.0.1:8080", *, api_key: str | None = None, timeout: float = 30.0
    ) -> None:
        """Nothing is asked yet.

        Args:
            url: Where the server is.
            api_key: Its key, when it wants one; white space around it does not count.
            timeout: Seconds that an answer may take.

        Raises:
            SettingsError: When the address or the key is none.
            ExtraMissingError: When httpx is not installed.
        """
        with needs("client", "asking a server"):
            import httpx
        try:
            address = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise SettingsError(f"{url!r}: no address of a server ({error}). {_WHERE}") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise SettingsError(f"{url!r}: no address of a server. {_WHERE}")
        key = (api_key or "").strip()
        if not re.fullmatch("[!-~]*", key):  # never shown: it is a secret
            raise SettingsError("api_key: no API key. Give it as `tongues serve` has it: letters, digits and signs.")
        self._url = str(address.copy_with(userinfo=b"")).rstrip("/")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
            trust_env=address.host not in ("localhost", "127.0.0.1", "::1"),  # no proxy between a machine and itself
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the passages, most passages first.

        Raises:
            ServerError: When the server cannot be reached or does not answer.
        """
        return tuple(one["lang"] for one in self._ask("GET", "/languages")["languages"])

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
        """Return the passages closest to a query, as ``Searcher.search`` does.

        Raises:
            QueryError: When it cannot be answered.
            ServerError: When the server cannot be reached, is busy or fails.
            SettingsError: For weights, which the server sets.
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
    ) -> list[list[Hit]]:
        """Return the hits of each query, as ``search`` does; many at once are faster.

        Raises:
            QueryError: As ``search``.
            ServerError: As ``search``.
            SettingsError: As ``search``.
        """
        if isinstance(queries, str):
            raise TypeError("search_batch takes a list of queries; use search for one")
        check_queries(queries)
        settings = settings or RankSettings()
        if settings.weights != Weights():
            raise SettingsError("a server ranks with its own weights; leave them out, or open the index here.")
        asked = {
            "k": operator.index(k),
            "mode": str(settings.mode),
            "balance": str(settings.balance),
            "explain": explain,
        }
        if lang is not None:
            asked["lang"] = lang if isinstance(lang, str) else ",".join(lang)
        if per_language is not None:
            asked["per_language"] = operator.index(per_language)
        hits: list[list[Hit]] = []
        for at in range(0, len(queries), _AT_ONCE):
            part = list(queries[at : at + _AT_ONCE])
            found = self._ask("POST", "/search", json={**asked, "queries": part})["results"]
            hits += [[_hit(one["query"], hit) for hit in one["hits"]] for one in found]
        return hits

    def passage(self, passage_id: str, *, context: int = 0) -> PassageInContext:
        """Return a passage by its id, with what stands around it, as ``Searcher.passage`` does.

        Raises:
            QueryError: When the index holds no such passage, or ``context`` is out of range.
            ServerError: As ``search``.
        """
        if not is_passage_id(passage_id):
            raise no_passage(passage_id)
        found = self._ask("GET", f"/passages/{passage_id}", params={"context": context})
        around = {name: tuple(_known(Neighbour, one) for one in found[name]) for name in ("before", "after")}
        return _known(PassageInContext, {**found, **around, "also_in": _places(found)})

    def _ask(self, method: str, path: str, **sent: Any) -> Any:
        """Return what the server answers.

        Raises:
            QueryError: When it says that what was asked cannot be answered.
            ServerError: When it says nothing, or something else.
        """
        import httpx

        try:
            answer = self._http.request(method, path, **sent)
        except UnicodeEncodeError:
            raise QueryError("what is asked holds half a character, which no text does; leave it out.") from None
        except httpx.TimeoutException as error:
            raise ServerError(
                f"{self._url}: no answer came in time ({type(error).__name__}). Ask again, or give it a longer timeout."
            ) from error
        except httpx.HTTPError as error:
            raise ServerError(
                f"{self._url}: the server cannot be reached ({error}). Start one with: tongues serve --index DIR"
            ) from error
        if answer.status_code == httpx.codes.OK:
            return _json(answer, self._url)
        told = _told(answer)
        if told and answer.status_code in _OF_THE_QUERY:
            raise QueryError(told)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ServerError(f"{self._url}: the server wants its API key. Give it as Client(url, api_key=...).")
        raise ServerError(
            f"{self._url}: the server answered with status {answer.status_code}"
            + (f": {told}" if told else f". Is it manytongues that is there? {_WHERE}")
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


_WHERE = "Give what `tongues serve` prints, such as http://127.0.0.1:8080."


def _json(answer: httpx.Response, url: str) -> Any:
    """Return what an answer holds.

    Raises:
        ServerError: When that is something else than an answer of ours.
    """
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ServerError(f"{url}: the server answers, but not as manytongues does. {_WHERE}")
    return found


def _told(answer: httpx.Response) -> str:
    """Return the error that a server tells, "" when it is none of ours."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    return str(found.get("error", "")) if isinstance(found, dict) else ""


def _hit(query: str, found: Mapping[str, Any]) -> Hit:
    begin, end = found["highlight"]
    made = {"query": query, "also_in": _places(found), "highlight": (begin, end), "terms": tuple(found["terms"])}
    return _known(Hit, {**found, **made})


def _places(found: Mapping[str, Any]) -> tuple[Occurrence, ...]:
    return tuple(_known(Occurrence, place) for place in found["also_in"])


def _known(kind: type[T], found: Mapping[str, Any]) -> T:
    """Make a record of what a server sent; what a newer one sends beside is left out."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in found.items() if name in names})
