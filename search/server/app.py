"""The routes: requests in, the engine asked, answers out.

No annotations as texts here: FastAPI has to see the parameters' classes, which are made with the server's limits.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Body, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from index.errors import QueryError
from index.version import __version__
from search.rank_settings import Balance, Mode
from search.server import schema
from search.server.answers import JSON, answer_data, error_json, languages_data, shorten, to_json
from search.server.auth import is_loopback
from search.server.batching import Engine
from search.server.guard import Admission, App, Guard, report
from search.server.jobs import BusyError, EndingError, Options
from search.server.metrics import CONTENT_TYPE, Metrics
from search.server.pages import INDEX, PageFile, read_pages
from search.server.settings import Limits, ServerSettings

DESCRIPTION = "Ask in one language, find in all: passages that answer, whatever language they are in."
Responses = dict[int | str, dict[str, Any]]


def make_app(engine: Engine, settings: ServerSettings, metrics: Metrics) -> App:
    """Return the whole server as an ASGI application, its guards around it."""
    api = make_api(engine, settings, metrics)
    app: App = Admission(api, settings)
    if settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("Retry-After",),
        )
    return Guard(app, settings, metrics, check_host=is_loopback(settings.host))


def make_api(engine: Engine, settings: ServerSettings, metrics: Metrics) -> FastAPI:
    """Return the routes alone, with their schema."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield

    api = FastAPI(
        title="manytongues",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # these pages load from other hosts
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # Spans would carry what was asked to wherever the environment says. Earlier versions of FastAPI have none.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    add_errors(api, engine, metrics)
    add_search(api, engine, settings)
    add_passages(api, engine, settings)
    add_status(api, engine, metrics, settings)
    add_pages(api)
    declare_key(api, settings)
    return api


def add_errors(api: FastAPI, engine: Engine, metrics: Metrics) -> None:
    """Answer whatever goes wrong as ``{"error": what, where, how to mend it}``."""

    @api.exception_handler(QueryError)
    async def bad_query(_: Request, error: Exception) -> Response:
        return failed(400, engine.told(error))

    @api.exception_handler(BusyError)
    async def busy(_: Request, error: Exception) -> Response:
        return failed(429, f"{error}. Ask again in a second.", {"retry-after": "1"})

    @api.exception_handler(EndingError)
    async def ending(_: Request, error: Exception) -> Response:
        return failed(503, str(error), {"retry-after": "5"})

    @api.exception_handler(RequestValidationError)
    async def wrong_parameters(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return failed(422, "; ".join(told_problem(problem) for problem in error.errors()[:5]))

    @api.exception_handler(HTTPException)
    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = error.headers
        if error.status_code == 405 and request.url.path == "/search":  # two routes, and each knows its own method
            headers = {"allow": "GET, POST"}
        told = {404: "there is nothing at this address", 405: "this address does not take this method"}
        what = told.get(error.status_code, "the request cannot be read")
        return failed(error.status_code, f"{what}; /openapi.json lists what there is.", headers)

    @api.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return failed(500, report(error, metrics))


def failed(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error's answer."""
    return Response(error_json(message), status, headers, JSON)


def told_problem(problem: Mapping[str, Any]) -> str:
    """Return what is wrong with a parameter; never its value."""
    where = ".".join(str(part) for part in problem["loc"][1:]) or "the body"
    if problem["type"] == "extra_forbidden":
        return f"{where}: is no parameter of this address; /openapi.json lists them"
    if problem["type"] == "model_attributes_type":
        return f"{where}: is no JSON object; send one, with the header Content-Type: application/json"
    if problem["type"] == "json_invalid":
        return f"the body: is no JSON from character {where} on; mend it"
    return f"{where}: {problem['msg']}"


def check_named_once(request: Request) -> None:
    """Check that no parameter of an address comes twice: all but one would be left out.

    Raises:
        RequestValidationError: When one does.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(request.query_params):
        twice = next(name for name in names if names.count(name) > 1)
        told = "comes more than once; send it once (languages as te,fa)"
        raise RequestValidationError([{"type": "repeated", "loc": ("query", twice), "msg": told}])


REFUSED: Responses = {
    414: {"model": schema.ErrorModel, "description": "The address is too long."},
    431: {"model": schema.ErrorModel, "description": "The headers are too long."},
    503: {
        "description": "The server ends, or has too many connections (then in plain text).",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ErrorModel"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    },
}
"""What any address may answer; of a body, 408 and 413 come before it is known whether the address takes one."""
ERRORS: Responses = {
    400: {"model": schema.ErrorModel, "description": "A query or filter that cannot be answered."},
    401: {"model": schema.ErrorModel, "description": "No key, or a wrong one."},
    422: {"model": schema.ErrorModel, "description": "Parameters that are missing, wrong or out of bounds."},
    429: {
        "model": schema.ErrorModel,
        "description": "Too many requests wait; come back after Retry-After seconds.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    },
    500: {"model": schema.ErrorModel, "description": "An error of the server, with its number in the log."},
    **REFUSED,
}
HOST: Responses = {400: {"model": schema.ErrorModel, "description": "The Host header names another machine."}}
LONG_BODY: Responses = {
    408: {"model": schema.ErrorModel, "description": "The body did not come in time."},
    413: {"model": schema.ErrorModel, "description": "The body is too long."},
}


def add_search(api: FastAPI, engine: Engine, settings: ServerSettings) -> None:
    """Add GET and POST /search."""
    limits = settings.limits

    class Asked(BaseModel):
        model_config = ConfigDict(extra="forbid")
        k: int = Field(10, ge=1, le=limits.max_k, description="The most hits; not used with per_language.")
        lang: str | None = Field(None, max_length=1000, description="Only these languages.", examples=["te,fa"])
        per_language: int | None = Field(
            None, ge=1, le=limits.max_per_language, description="The best of each language instead, grouped."
        )
        mode: Mode = Field(
            Mode.HYBRID, strict=False, description="By meaning and words, by meaning, or by words alone."
        )
        balance: Balance = Field(Balance.AUTO, strict=False, description="How far languages are evened out.")
        explain: bool = Field(False, description="Give the words that count, as terms.")

        @property
        def options(self) -> Options:
            return Options(self.k, self.lang, self.per_language, self.mode, self.balance, self.explain)

    Text = Annotated[str, Field(max_length=limits.max_query, examples=["How are refunds handled?"])]

    class AskedOne(Asked):
        q: Text = Field(description="In any language.")

    class AskedMany(Asked):
        model_config = ConfigDict(strict=True)  # JSON has numbers and truth values of its own
        queries: list[Text] = Field(min_length=1, max_length=limits.max_queries, description="In any language.")

    @api.get("/search", responses={200: {"model": schema.SearchModel}, **ERRORS}, tags=["search"])
    async def search(asked: Annotated[AskedOne, Query()], request: Request) -> Response:
        """Find the passages closest to a query, across all languages."""
        check_named_once(request)
        began = time.perf_counter()
        (answer,) = await engine.search((asked.q,), asked.options)
        data = answer_data(answer, engine.shown)
        return Response(to_json({**data, "took_ms": took(began)}), media_type=JSON)

    @api.post("/search", responses={200: {"model": schema.BatchModel}, **ERRORS, **LONG_BODY}, tags=["search"])
    async def search_many(asked: Annotated[AskedMany, Body()]) -> Response:
        """Find the passages closest to each of several queries; cheaper than one by one."""
        began = time.perf_counter()
        answers = await engine.search(asked.queries, asked.options)
        results = [answer_data(answer, engine.shown) for answer in answers]
        return Response(to_json({"took_ms": took(began), "results": results}), media_type=JSON)


def took(began: float) -> float:
    """Return milliseconds since then."""
    return round(1000 * (time.perf_counter() - began), 2)


def add_passages(api: FastAPI, engine: Engine, settings: ServerSettings) -> None:
    """Add GET /passages/{passage_id} and /languages."""
    limits: Limits = settings.limits
    not_there: Responses = {404: {"model": schema.ErrorModel, "description": "The index holds no such passage."}}

    class Around(BaseModel):
        model_config = ConfigDict(extra="forbid")
        context: int = Field(0, ge=0, le=limits.max_context, description="Passages before and after.")

    @api.get(
        "/passages/{passage_id}",
        responses={200: {"model": schema.PassageModel}, **not_there, **ERRORS},
        tags=["passages"],
    )
    async def passage(
        passage_id: Annotated[str, Path(max_length=64, description="As hits have it.", examples=["0" * 20])],
        asked: Annotated[Around, Query()],
        request: Request,
    ) -> Response:
        """Return a passage with what stands before and after it in its document."""
        check_named_once(request)
        try:
            found = await engine.call(lambda searcher: searcher.passage(passage_id, context=asked.context).to_dict())
        except QueryError as error:
            return failed(404, engine.told(error))
        return Response(to_json(shorten(found, engine.shown)), media_type=JSON)

    @api.get("/languages", responses={200: {"model": schema.LanguagesModel}, **ERRORS}, tags=["passages"])
    async def languages() -> Response:
        """Return what the index holds, and how much may be asked for at a time."""
        return Response(to_json(await engine.call(lambda searcher: languages_data(searcher, limits))), media_type=JSON)


def add_status(api: FastAPI, engine: Engine, metrics: Metrics, settings: ServerSettings) -> None:
    """Add /health, /ready and /metrics."""
    not_ready: Responses = {503: {"model": schema.StatusModel, "description": "Not now."}}

    @api.get("/health", responses={200: {"model": schema.StatusModel}, **HOST, **REFUSED}, tags=["status"])
    async def health() -> Response:
        """Tell that the process is alive."""
        return Response(to_json({"status": "ok"}), media_type=JSON)

    @api.get("/ready", responses={200: {"model": schema.StatusModel}, **HOST, **REFUSED, **not_ready}, tags=["status"])
    async def ready() -> Response:
        """Tell whether questions are answered."""
        is_ready = engine.is_ready
        return Response(to_json({"status": "ready" if is_ready else "ending"}), 200 if is_ready else 503, None, JSON)

    text: Responses = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        401: ERRORS[401],
        **HOST,
        **REFUSED,
    }

    @api.get("/metrics", responses=text, response_class=Response, tags=["status"])
    async def figures() -> Response:
        """Return figures for Prometheus."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})


def add_pages(api: FastAPI) -> None:
    """Add the page and its files."""
    pages = read_pages()

    def sent(page: PageFile, request: Request) -> Response:
        headers = {"etag": page.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == page.tag:
            return Response(status_code=304, headers=headers)
        return Response(page.content, headers=headers, media_type=page.media_type)

    @api.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return sent(pages[INDEX], request)

    @api.api_route("/web/{file}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page_file(file: str, request: Request) -> Response:
        if file not in pages:
            raise HTTPException(404)
        return sent(pages[file], request)


def declare_key(api: FastAPI, settings: ServerSettings) -> None:
    """Say in the schema which addresses want the key; that they get it is checked by ``Admission``."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            found = made()
            found.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, methods in found["paths"].items():
                for operation in methods.values():
                    if settings.api_key and path not in ("/health", "/ready"):
                        operation["security"] = [{"key": []}]
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
