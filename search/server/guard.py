"""What every request passes: sizes, host, key, body; and what every answer carries. Plain ASGI: it costs little."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from search.server.answers import JSON, error_json
from search.server.auth import has_key, host_is_allowed, is_open
from search.server.jobs import EndingError

if TYPE_CHECKING:
    from search.server.metrics import Metrics
    from search.server.settings import Limits, ServerSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
log = logging.getLogger(__name__)

COME_BACK: Headers = [(b"retry-after", b"5")]
COMMON_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"


class RefusedError(Exception):
    """A request that is answered without looking at what it asks."""

    def __init__(self, status: int, message: str, *, closes: bool = False, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.closes = closes
        self.headers = headers or []


class Guard:
    """The outermost layer: names, sizes, headers of answers, figures, and errors that nobody expected."""

    def __init__(self, app: App, settings: ServerSettings, metrics: Metrics, *, check_host: bool) -> None:
        self._app = app
        self._limits = settings.limits
        self._hosts = frozenset(host.lower() for host in (*settings.hosts, settings.host))
        self._metrics = metrics
        self._check_host = check_host

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        path = scope["path"]
        policy = PAGE_POLICY if path == "/" or path.startswith("/web/") else DATA_POLICY

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), *COMMON_HEADERS, (b"content-security-policy", policy)]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_guarded)
        except RefusedError as error:
            await refuse(send_guarded, error)
        except asyncio.CancelledError:  # the server ends, and has waited for this as long as it may
            if not status:
                await refuse(send_guarded, RefusedError(503, str(EndingError()), closes=True, headers=COME_BACK))
        except Exception as error:
            if not status:
                await refuse(send_guarded, RefusedError(500, report(error, self._metrics), closes=True))
        finally:
            self._metrics.answered(path, scope["method"], status or 499, time.perf_counter() - began)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        limits = self._limits
        n_url = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if n_url > limits.max_url:
            raise RefusedError(
                414, f"the address is {n_url} bytes long; this server reads {limits.max_url}. Send POST /search."
            )
        n_headers = sum(len(name) + len(value) for name, value in scope["headers"])
        if n_headers > limits.max_headers:
            raise RefusedError(
                431, f"the headers are {n_headers} bytes long; this server reads {limits.max_headers}. Send fewer."
            )
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if self._check_host and not (len(hosts) == 1 and host_is_allowed(hosts[0], self._hosts)):
            raise RefusedError(
                400,
                "the Host header does not name this machine. Ask http://127.0.0.1 or http://localhost, or have "
                "whoever runs the server allow the name with --allow-host.",
            )


class Admission:
    """The layer behind CORS: the key, and the body, read whole before anything is done with it."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        self._app = app
        self._key = settings.api_key
        self._limits = settings.limits

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = scope["headers"]
            self._check_key(scope["path"], headers)
            if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
                receive = replayed(await read_body(receive, headers, self._limits), receive)
        except RefusedError as error:
            await refuse(send, error)
            return
        await self._app(scope, receive, send)

    def _check_key(self, path: str, headers: Headers) -> None:
        if not self._key or is_open(path):
            return
        shown = [value for name, value in headers if name == b"authorization"]
        if len(shown) != 1 or not has_key(shown[0], self._key):
            raise RefusedError(
                401,
                "this server wants its API key. Send it as the header Authorization: Bearer KEY.",
                closes=True,
                headers=[(b"www-authenticate", b'Bearer realm="manytongues"')],
            )


async def read_body(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """Read a request's body.

    Raises:
        RefusedError: When it is too long, whatever length it declares or none, or comes too slowly.
    """
    too_long = RefusedError(
        413, f"the body is longer than {limits.max_body} bytes. Send fewer or shorter queries at a time.", closes=True
    )
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    if not declared.isdigit() or int(declared[:20]) > limits.max_body:
        raise too_long
    parts: list[bytes] = []
    n_bytes, more = 0, True
    try:
        async with asyncio.timeout(limits.body_timeout):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(400, "the connection was closed before the body was complete.", closes=True)
                parts.append(message.get("body", b""))
                n_bytes += len(parts[-1])
                more = message.get("more_body", False)
                if n_bytes > limits.max_body:
                    raise too_long
    except TimeoutError:
        raise RefusedError(
            408, f"the body was not complete after {limits.body_timeout:g} seconds. Send it again.", closes=True
        ) from None
    return b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def refuse(send: Send, error: RefusedError) -> None:
    """Answer with an error."""
    body = error_json(str(error))
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode()), *error.headers]
    if error.closes:  # what else was sent is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def report(error: BaseException, metrics: Metrics) -> str:
    """Log an error that nobody expected; return what the client is told: a number to ask for."""
    number = secrets.token_hex(6)
    metrics.errors.inc()
    log.error("error %s", number, exc_info=error)
    return f"the server failed at this (error {number}). Ask again, or tell whoever runs it this number."
