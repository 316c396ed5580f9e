"""The process that reads files of formats whose parsers nobody should have to trust: one file after the other.

It is asked over its standard input and answers over what was its standard output (``wire``). Both are then closed to
libraries: what they print goes nowhere. It ends when its input does, which is when whoever asks ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from index.readers.temporary import remove_folder
from index.readers.wire import Message, WireError, answer_of, packed, request_in, unpacked
from index.records import Document, Rejected

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_MEMORY_BYTES = 1536 * 1024 * 1024
"""The most memory the process may ask for, its code and libraries included (160 to 420 MB).

macOS and Windows do not bound it: there time and the text that comes out are what is bounded.
"""

_SECONDS, _SECONDS_A_MB, _MOST_SECONDS = 30.0, 5.0, 300.0

_GRACE = 5.0
"""Seconds after which the process ends itself, should nobody have ended it."""
_FILES = 500
"""Files after which another process goes on: libraries may keep something of each."""
_MOST_REQUEST = 1024 * 1024


def seconds_for(n_bytes: int) -> float:
    """Return how long a file of a size may take to be read: half a minute, a book of a thousand pages longer."""
    return min(_MOST_SECONDS, _SECONDS + _SECONDS_A_MB * (n_bytes >> 20))


def serve() -> None:
    """Answer requests until there are no more."""
    asked, answers = _own_pipes()
    _limit()
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked, requests), daemon=True).start()
    _send(answers, {"ready": True})
    for n in range(1, _FILES + 1):
        is_full = not _answer(requests.get(), answers)
        is_spent = is_full or n == _FILES
        _send(answers, {"done": True, "ends": is_spent, "memory": is_full})
        if is_spent:
            break
    _end()


def _end() -> NoReturn:
    """End, whatever a library is doing, with what was unpacked: whoever asked may not be there to remove it."""
    if tempfile.tempdir:
        remove_folder(Path(os.fsdecode(tempfile.tempdir)))
    os._exit(0)


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output away from everybody else; returns them."""
    asked, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
    return os.fdopen(asked, "rb"), os.fdopen(answers, "wb")


def _limit() -> None:
    """Bound what the process may take, and keep its libraries quiet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    if resource is None:
        return
    for kind, most in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS bounds no address space
            resource.setrlimit(kind, (most, most))


def _listen(asked: BinaryIO, requests: queue.SimpleQueue[Message]) -> None:
    """Take requests in; at their end the process ends, whatever a library is doing."""

    def read(n: int) -> bytes:
        return asked.read(n)

    while True:
        try:
            requests.put(unpacked(read, _MOST_REQUEST))
        except (WireError, OSError):
            _end()


def _answer(request: Message, answers: BinaryIO) -> bool:
    """Read a file and send what is in it; returns False when the memory does not suffice."""
    from index.readers.registry import read_here

    file, fields, encoding = request_in(request)
    seconds = seconds_for(file.size)
    try:
        items = read_here(file, fields=fields, encoding=encoding)
        while (item := _timed(lambda: next(items, None), seconds)) is not None:
            _send(answers, answer_of(item))
    except MemoryError:
        return False
    except Exception as error:  # a library that stumbles over a damaged file raises anything
        told = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        told = f"cannot be read ({told}); it may be damaged: open it in its own program and save it anew."
        _send(answers, answer_of(Rejected(file.source, told)))
    return True


TOO_MUCH_MEMORY = f"takes more than {MAX_MEMORY_BYTES >> 20:,} MB of memory to read; split it."


def _timed(next_item: Callable[[], Document | Rejected | None], seconds: float) -> Document | Rejected | None:
    """Have the system end the process when this takes too long: a library may keep Python from running."""
    if not hasattr(signal, "setitimer"):
        return next_item()
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    try:
        return next_item()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _send(answers: BinaryIO, message: Message) -> None:
    try:
        answers.write(packed(message))
        answers.flush()
    except OSError:  # nobody listens any more
        _end()
