"""Reads files in a process of their own, which may crash, hang or fill its memory without harm to this one.

A process is started for the first such file and reads one after the other; several threads have one each. What breaks
it is rejected, and a new process reads the next file. One that read other files before may have ended for their sake:
then a new one goes on with the file. What took too long, or ended a process from outside, is no fault of the file: what
was read of it before stays, and it is read again at the next update.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice

from index.config import FieldNames
from index.readers.decoding import MAX_TEXT_BYTES
from index.readers.source_file import SourceFile
from index.readers.temporary import remove_folder, temporary_folder
from index.readers.wire import Message, WireError, answer_in, packed, request_of, unpacked
from index.readers.worker import TOO_MUCH_MEMORY, seconds_for
from index.records import Document, Rejected

_PROGRAM = (
    "import sys, tempfile; tempfile.tempdir = sys.argv[1]; sys.path[:] = sys.argv[2:]; "
    "from index.readers.worker import serve; serve()"
)
_START_SECONDS = 120.0
"""How long a process may take to start: on a busy machine, from a slow disk."""
_END_SECONDS = 2.0
_MOST_IDLE = 4
_SMALL = 4096

_TOO_LONG = "takes longer than {:.0f} s to read and was given up; split it, or convert it to plain text."
_TOO_MUCH = f"holds more than {MAX_TEXT_BYTES >> 20:,} MB of text; split it."
_CRASHED = (
    "the program that reads such files ended on it ({how}); it may be damaged: open it in its own program and save it "
    "anew."
)
_ENDED = (
    "the program that reads such files was ended on the way ({how}), as where memory is short; what was read of it "
    "before stays. Try again."
)
_OUTSIDE = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGALRM", "SIGTERM", "SIGXCPU")
"""Signals that a parser does not die of by itself."""
_ENDED_ON_WINDOWS = 1
"""The status of a process that another one ended there."""
_NOT_STARTED = (
    "the process that reads such files could not be started ({reason}); what was read of it before stays. Try again."
)


class _NotStarted(Exception):
    """The process could not be started."""


class _Process:
    """A process that reads files."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            _NotStarted: When it does not start.
        """
        if not sys.executable:
            raise _NotStarted("Python does not know its own program")
        # The same modules as here: an editable install, a folder that a test put in.
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 "" is the current folder
        try:
            self._folder = temporary_folder()
        except OSError as error:
            raise _NotStarted(f"it has no room: {error.strerror}") from error
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(self._folder), *paths],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            remove_folder(self._folder)
            raise _NotStarted(error.strerror or type(error).__name__) from error
        self.is_late = False
        try:
            self.receive(_START_SECONDS, _SMALL)
        except WireError as error:
            self.kill()
            raise _NotStarted(f"it {self.how_it_ended()}") from error
        except BaseException:
            self.kill()
            raise

    def send(self, message: Message) -> None:
        """Send a message; when nobody listens any more, the answer will be missing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(packed(message))
            self._process.stdin.flush()

    def receive(self, seconds: float, most: int) -> Message:
        """Wait for a message; a process that takes too long is ended.

        Args:
            seconds: How long to wait.
            most: The most bytes it may be long.

        Raises:
            WireError: When there is none.
        """
        assert self._process.stdout is not None
        # Pipes of Windows cannot be waited for with a time limit; what ends with its process can be read anywhere.
        late = threading.Timer(seconds, self._end_late)
        late.daemon = True
        late.start()
        try:
            return unpacked(self._process.stdout.read, most)
        finally:
            late.cancel()

    def _end_late(self) -> None:
        self.is_late = True
        self._process.kill()

    def how_it_ended(self) -> str:
        """Say how the process, which ended by itself or was ended, did so."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if code >= 0:
            return f"ended with status {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"was ended by {name}"

    def was_ended(self) -> bool:
        """Tell whether somebody else ended it; asked after ``how_it_ended``."""
        code = self._process.poll()
        if code is None or code >= 0:
            return os.name == "nt" and code == _ENDED_ON_WINDOWS
        return -code in {getattr(signal, name, None) for name in _OUTSIDE}

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._close()

    def end(self) -> None:
        """Let it end: it does nothing now."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self.kill()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.wait()
        remove_folder(self._folder)  # with what was unpacked when it was ended


class _Idle:
    """Processes that wait for a file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[_Process] = []
        self._owner = 0

    def take(self) -> _Process | None:
        """Return a process that has read files before; None when there is none."""
        with self._lock:
            if not self._owner:
                atexit.register(self.end)
            if self._owner != os.getpid():  # a copy of the program that has them
                self._processes.clear()
                self._owner = os.getpid()
            if self._processes:
                return self._processes.pop()
        return None

    def give_back(self, process: _Process) -> None:
        """Keep a process that has read a file to its end."""
        with self._lock:
            if len(self._processes) < _MOST_IDLE and not process.is_late:
                self._processes.append(process)
                return
        process.end()

    def end(self) -> None:
        """End all."""
        with self._lock:
            processes, self._processes = self._processes, []
        if self._owner == os.getpid():
            for process in processes:
                process.end()


_IDLE = _Idle()


def end_processes() -> None:
    """End the processes that wait for a file, which hold 70 MB each; the next file starts one again."""
    _IDLE.end()


def read_isolated(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read one file in another process; what breaks that process comes out as a ``Rejected``.

    Args:
        file: The file.
        fields: Which fields of a record hold what.
        encoding: The name of the text encoding, or "" to detect it.
    """
    asked = dataclasses.replace(file, place=os.path.abspath(file.place))  # noqa: PTH100
    request = request_of(asked, fields, encoding)
    process = _IDLE.take()
    is_new = process is None
    n_read = 0
    while True:
        try:
            process = process or _Process()
        except _NotStarted as error:
            yield Rejected(file.source, _NOT_STARTED.format(reason=error), out_of_reach=True)
            return
        answers = _Answers(process, file)
        try:
            process.send(request)
            for item in islice(answers, n_read, None):
                n_read += 1
                yield item
        finally:
            if answers.is_whole:
                _IDLE.give_back(process)
            else:
                process.kill()
        if is_new or not answers.may_be_others_fault:
            break
        process, is_new = None, True
    if answers.problem:
        yield answers.problem


class _Answers:
    """What a process finds in a file.

    Attributes:
        is_whole: Whether all was read, and the process can read another file.
        problem: Why not all was read.
        may_be_others_fault: Whether what was read before in the process may be the reason.
    """

    def __init__(self, process: _Process, file: SourceFile) -> None:
        self._process = process
        self._source = file.source
        self._seconds = seconds_for(file.size)
        self.is_whole = False
        self.problem: Rejected | None = None
        self.may_be_others_fault = False

    def __iter__(self) -> Iterator[Document | Rejected]:
        seconds, most = self._seconds, MAX_TEXT_BYTES
        try:
            while True:
                began = time.monotonic()
                message = self._process.receive(max(0.0, seconds), max(most, _SMALL))
                # What the caller does with a document takes nothing of the file's time.
                seconds -= time.monotonic() - began
                if message.get("done") is True:
                    self.is_whole = message.get("ends") is False
                    if message.get("memory") is True:
                        self.may_be_others_fault = True
                        self.problem = Rejected(self._source, TOO_MUCH_MEMORY)
                    return
                item = answer_in(message)
                most -= len(item.text if isinstance(item, Document) else item.reason)
                yield item
        except WireError as error:
            self.may_be_others_fault = not self._process.is_late and str(error) != "too much"
            self.problem = _problem(self._process, str(error), self._source, self._seconds)
        except MemoryError:  # of this process
            self.problem = Rejected(self._source, TOO_MUCH_MEMORY, out_of_reach=True)


def _problem(process: _Process, problem: str, source: str, seconds: float) -> Rejected:
    """Say why a file could not be read to its end."""
    if process.is_late:
        return Rejected(source, _TOO_LONG.format(seconds), out_of_reach=True)
    if problem == "too much":
        return Rejected(source, _TOO_MUCH)
    if problem == "ended":
        how = f"it {process.how_it_ended()}"
        if process.was_ended():
            return Rejected(source, _ENDED.format(how=how), out_of_reach=True)
        return Rejected(source, _CRASHED.format(how=how))
    return Rejected(source, _CRASHED.format(how="it answered something else than was asked"))
