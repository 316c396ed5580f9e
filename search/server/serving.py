"""A listening socket, an event loop, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from index.errors import SettingsError
from search.server.answers import error_json

if TYPE_CHECKING:
    from search.server.guard import App
    from search.server.settings import Limits, ServerSettings

_BACKLOG = 512
_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""What a program ends with that a signal ended at once."""


def bound(settings: ServerSettings) -> socket.socket:
    """Return a socket that has its port, so that one that is taken is told before the model is loaded.

    Nobody can connect to it yet.

    Raises:
        SettingsError: When the address or port cannot be had.
    """
    where = f"--host {settings.host} --port {settings.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named asyncio sends at once; else an answer over a kept connection waits 40 ms for its body.
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise SettingsError(f"{where}: is no address to listen at ({error.strerror or error}).") from None
    try:
        if os.name == "posix":  # elsewhere it would let two programs listen at one port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.setblocking(False)
    except OSError as error:
        taken.close()
        raise _taken(where, error) from None
    return taken


def listen(taken: socket.socket) -> None:
    """Let clients connect; what they ask is answered once the server runs.

    Raises:
        SettingsError: When another program, which had the port at the same time, was faster.
    """
    try:
        taken.listen(_BACKLOG)
    except OSError as error:
        raise _taken(address_of(taken), error) from None


def _taken(where: str, error: OSError) -> SettingsError:
    return SettingsError(
        f"{where}: cannot be listened at ({error.strerror or error}). End the program that has it, or take another "
        "port; --port 0 takes a free one."
    )


def address_of(taken: socket.socket) -> str:
    """Return where a browser on this machine finds a server."""
    host, port, *_ = taken.getsockname()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def make_server(app: App, limits: Limits, began: Callable[[], None]) -> GracefulServer:
    """Return a server; its ``run`` serves until a signal asks for the end, and finishes what is in flight.

    Args:
        app: What answers.
        limits: What requests may take.
        began: Called once questions are answered and signals end it in order.
    """
    config = uvicorn.Config(
        app,
        http=PatientProtocol.within(limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.max_connections,
        timeout_keep_alive=limits.keep_alive,
        timeout_graceful_shutdown=limits.stop_timeout,
        h11_max_incomplete_event_size=limits.max_url + limits.max_headers,
        backlog=_BACKLOG,
    )
    return GracefulServer(config, began)


class GracefulServer(uvicorn.Server):
    """Ends by a first signal in order and by a second at once; uvicorn's own sends the first on, and dies of it."""

    ended_by = 0
    """The signal."""

    def __init__(self, config: uvicorn.Config, began: Callable[[], None]) -> None:
        super().__init__(config)
        self._began = began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._began()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals until the end; only a program's main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _STATUS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """End in order, as by a signal."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End."""
        if self.should_exit:
            os._exit(_STATUS[signal.Signals(sig)])
        self.should_exit = True
        self.ended_by = sig


class PatientProtocol(H11Protocol):
    """Waits for a client to send a request's head and to take its answer, but not forever."""

    head_timeout = 10.0
    write_timeout = 60.0
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, limits: Limits) -> type[PatientProtocol]:
        """Return the protocol with a server's limits."""
        waits = {"head_timeout": limits.head_timeout, "write_timeout": limits.write_timeout}
        return type(cls.__name__, (cls,), waits)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self.access_log = False  # it names the queries; the setting alone leaves it to the loggers of the program
        transport.set_write_buffer_limits(high=0)  # so writing is paused whenever something is not taken yet
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._no_more()
        super().connection_lost(exc)
        self._taken()

    def data_received(self, data: bytes) -> None:
        """Wait from the first byte of a request's head until its last."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._no_more()
        elif self._timer is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Go on to the next request; after an answer to one whose body was not awaited there is none."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # no timer would run while it comes
            self.transport.close()

    def pause_writing(self) -> None:
        """Wait for the client to take what is written, also where the connection is to be closed after it."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """Wait no more: all is taken."""
        self._taken()
        super().resume_writing()

    def _await_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self.write_timeout, self._still_left, left)

    def _still_left(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._await_taking()
        else:
            self.transport.abort()

    def _taken(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout, self._too_slow)

    def _no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        body = error_json(f"no whole request came within {self.head_timeout:g} seconds. Send it again.")
        head = f"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()
