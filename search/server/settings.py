"""Every limit and default of the server, in one place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from index.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take.

    Attributes:
        max_k: The most hits of a query.
        max_per_language: The most hits of each language.
        max_query: The most characters of a query.
        max_queries: The most queries of one request.
        max_context: The most passages before and after one that is read.
        max_body: The most bytes of a request's body, with a length or without.
        max_url: The most bytes of a path with its parameters: a query of ``max_query`` characters, escaped, fits.
        max_headers: The most bytes of a request's headers.
        max_concurrent: The most requests that wait or are worked on; further ones are told to come back.
        max_connections: The most connections; further ones are turned away.
        max_batch: The most queries that are searched together.
        timeout: Seconds that a request may wait for its answer.
        body_timeout: Seconds that a client may take to send its body.
        head_timeout: Seconds that a client may take to send a request's line and headers.
        write_timeout: Seconds that a client may take nothing of its answer.
        keep_alive: Seconds that a connection stays open for the next request.
        stop_timeout: Seconds that a server which is told to end may take for what is in flight.
        refresh_pause: Seconds until a generation that could not be read is tried again.
    """

    max_k: int = 100
    max_per_language: int = 20
    max_query: int = 2000
    max_queries: int = 64
    max_context: int = 10
    max_body: int = 512 * 1024
    max_url: int = 32 * 1024
    max_headers: int = 16 * 1024
    max_concurrent: int = 256
    max_connections: int = 1024
    max_batch: int = 32
    timeout: float = 30.0
    body_timeout: float = 10.0
    head_timeout: float = 10.0
    write_timeout: float = 60.0
    keep_alive: int = 30
    stop_timeout: int = 10
    refresh_pause: float = 5.0

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            if getattr(self, one.name) <= 0:
                raise SettingsError(f"{one.name} is {getattr(self, one.name)}; give a number above 0.")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server listens, and who may ask it.

    Attributes:
        host: An address or name of this machine.
        port: 0 for one that is free.
        api_key: What a client has to show, or "" for nothing; never shown, logged or counted.
        origins: Web sites whose pages may ask, as ``https://host``; ``*`` for all.
        hosts: Further names that the server may be asked by, behind a proxy.
        limits: What requests may take.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str = field(default="", repr=False)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
