"""A load of distinct questions over loopback: plain sockets, so that the one who asks takes little of the machine."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scripts.measuring import percentile

_SECONDS = 120.0
"""No single answer may take longer."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load measured.

    Attributes:
        milliseconds: Of each answer, in the order they came.
        errors: What was no answer: a status, or the name of an exception.
        seconds: From the first question to the last answer.
        cpu: Seconds of processor that asking took.
    """

    milliseconds: tuple[float, ...]
    errors: tuple[str, ...]
    seconds: float
    cpu: float

    def __add__(self, other: Load) -> Load:
        return Load(
            self.milliseconds + other.milliseconds,
            self.errors + other.errors,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures that are reported."""
        return {
            "answers": len(self.milliseconds),
            "errors": len(self.errors),
            "kinds_of_errors": sorted(set(self.errors)),
            "per_second": round(len(self.milliseconds) / self.seconds, 1),
            **{f"p{n}_ms": round(percentile(self.milliseconds, n / 100), 1) for n in (50, 95, 99)},
            "most_ms": round(max(self.milliseconds), 1),
            "seconds": round(self.seconds, 2),
            "asking_cpu_share": round(self.cpu / self.seconds, 3),
        }


def ask_all(port: int, questions: Sequence[str], clients: int) -> Load:
    """Ask every question once, from so many clients at a time, each over a connection of its own that stays open."""
    return asyncio.run(_ask_all(port, questions, clients))


async def _ask_all(port: int, questions: Sequence[str], clients: int) -> Load:
    left, milliseconds, errors = deque(questions), list[float](), list[str]()
    began, cpu = time.perf_counter(), _cpu()
    await asyncio.gather(*(_client(port, left, milliseconds, errors) for _ in range(clients)))
    return Load(tuple(milliseconds), tuple(errors), time.perf_counter() - began, _cpu() - cpu)


async def _client(port: int, left: deque[str], milliseconds: list[float], errors: list[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while left:
        request = f"GET /search?q={quote(left.popleft(), safe='')}&k=10 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        began = time.perf_counter()
        try:
            writer.write(request.encode())
            async with asyncio.timeout(_SECONDS):
                status, body = await _answer(reader)
            if status != 200 or not _n_hits(body):
                errors.append(str(status))
                continue
            milliseconds.append(1000 * (time.perf_counter() - began))
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            errors.append(type(error).__name__)
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def _n_hits(body: bytes) -> int:
    found = json.loads(body)
    return len(found if isinstance(found, list) else found["hits"])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
