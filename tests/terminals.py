"""Programs at a pseudo-terminal, typed to by pexpect.

They are started by ``subprocess`` and not by pexpect itself, which forks: a process in which OpenVINO and others run
threads cannot always be forked.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

fdpexpect: Any = importlib.import_module("pexpect.fdpexpect")  # it has no types

_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
"""Makes the terminal that a new session was started at its own, so that Ctrl-C is a signal there."""
CTRL_C, CTRL_D = "\x03", "\x04"
EOF: Any = importlib.import_module("pexpect").EOF


@contextlib.contextmanager
def at_a_terminal(
    args: Sequence[str], *, env: Mapping[str, str], cwd: Path, columns: int, seconds: float = 60
) -> Iterator[tuple[Any, subprocess.Popen[bytes]]]:
    """Run a program at a terminal of 24 lines; what is typed to, and its process, which is ended with the block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    os.close(theirs)
    # More files may be open in a long run of tests than select takes.
    typed = fdpexpect.fdspawn(ours, encoding="utf-8", timeout=seconds, use_poll=True)
    try:
        yield typed, process
    finally:
        process.kill()
        process.wait()
        typed.close()
