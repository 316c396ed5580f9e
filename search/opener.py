"""Opens the source of a hit where the passage stands: in the user's editor, a browser, or what the system has for it.

Programs are started directly, never through a shell, and every file by its absolute path: no name of a file is read as
an option or a command.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import InputError, QueryError
from search.source_place import SourcePlace, find_place

if TYPE_CHECKING:
    from index.manifest import Manifest
    from search.hits import Hit

_GOTO = frozenset(("code", "code-insiders", "code-oss", "codium", "vscodium", "cursor", "windsurf"))
_COLON = frozenset(("hx", "helix", "subl", "sublime_text", "zed", "zeditor"))
_LINE_OPTION = frozenset(("charm", "goland", "idea", "kate", "kwrite", "pycharm", "webstorm"))
_PLUS = frozenset(
    [
        "emacs",
        "emacsclient",
        "gedit",
        "gvim",
        "jed",
        "joe",
        "kak",
        "less",
        "mcedit",
        "mg",
        "micro",
        "nano",
        "ne",
        "neovide",
        "nvim",
        "pico",
        "vi",
        "view",
        "vim",
        "vimx",
        "xed",
    ]
)
_BROWSERS = [
    "sensible-browser",
    "x-www-browser",
    "firefox",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "brave-browser",
    "microsoft-edge",
    "vivaldi",
    "epiphany",
]
_SECONDS = 2.0
"""How long a program that opens a window of its own is waited for: one that cannot mostly says so at once."""
_CHOSEN = re.compile(r"(?:(?P<lang>[A-Za-z][A-Za-z0-9-]*):)?(?P<rank>[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Opening:
    """What is run to open a source.

    Attributes:
        command: The program and its arguments; empty where Windows opens files by itself.
        waits: Whether it works in this terminal, so that it is waited for.
        told: What is opened and where in it, as people read it.
    """

    command: tuple[str, ...]
    waits: bool
    told: str


def chosen_hit(hits: Sequence[Hit], which: str) -> Hit:
    """Return the hit that is meant: by its rank, or in grouped answers by language and rank, "te:2".

    Raises:
        QueryError: When there is no such hit, or several.
    """
    match = _CHOSEN.fullmatch(which.strip())
    if not match:
        raise QueryError(f"{which!r} names no hit; give its rank, such as 2, or te:2 where ranks are by language.")
    lang, rank = match["lang"], int(match["rank"])
    found = [hit for hit in hits if hit.rank == rank and lang in (None, hit.lang)]
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(f"{hit.lang}:{rank}" for hit in found)
        raise QueryError(f"several hits have the rank {rank}; say which of {choices}.")
    raise QueryError(f"there is no hit {which.strip()}" + (f"; there are {len(hits):,}." if hits else " to open."))


def open_hit(hit: Hit, manifest: Manifest) -> str:
    """Open the source of a hit at the passage; returns what was opened, and what a person should know of it.

    Raises:
        InputError: When the source is not there, or there is no program to open it.
    """
    place = find_place(hit, manifest)
    opening = plan(place, os.environ)
    _run(opening, place.path)
    return f"{opening.told}: {place.notice}." if place.notice else opening.told


def plan(place: SourcePlace, environ: Mapping[str, str]) -> Opening:
    """Return what opens a place.

    Raises:
        InputError: When there is no program for it.
    """
    editor = environ.get("VISUAL") or environ.get("EDITOR") or ""
    if place.is_text and editor.strip():
        return Opening(editor_command(editor, place.path, place.line), True, f"{place.path}, line {place.line}")
    line = f", line {place.line}" if place.line > 1 else ""
    told = f"{place.url or place.path}{line}" + place.fragment.replace("page=", ", page ") * ("=" in place.fragment[:5])
    if place.url or place.fragment:
        url = place.url or place.path.as_uri()
        address = f"{url}#{place.fragment}" if place.fragment and "#" not in url else url
        return Opening(_browser_command(address, environ), False, told)
    return Opening(_system_command(str(place.path), "EDITOR" if place.is_text else "", environ), False, told)


def editor_command(editor: str, path: Path, line: int) -> tuple[str, ...]:
    """Return what opens a file at a line; an editor whose way of naming lines is not known opens it at the top.

    Args:
        editor: The editor as $VISUAL or $EDITOR has it, options included.
        path: The file, absolute.
        line: From 1.

    Raises:
        InputError: When it cannot be parsed.
    """
    words = _words_of(editor, "editor", "VISUAL or EDITOR")
    name = Path(words[0].strip('"')).name.lower().removesuffix(".exe").removesuffix(".cmd")
    if name in _GOTO:
        return (*words, "--goto", f"{path}:{line}")
    if name in _COLON:
        return (*words, f"{path}:{line}")
    if name in _LINE_OPTION:
        return (*words, "--line", str(line), str(path))
    if name in _PLUS or name.startswith(("vim.", "emacs-", "nvim-")):
        return (*words, f"+{line}", str(path))
    return (*words, str(path))


def _words_of(command: str, what: str, variable: str) -> list[str]:
    """Return a program and its options as a variable of the environment has them.

    Raises:
        InputError: When it cannot be parsed.
    """
    try:
        return shlex.split(command, posix=os.name == "posix")
    except ValueError as error:
        raise InputError(f"the {what} {command!r} cannot be parsed ({error}). Mend {variable}.") from error


def _browser_command(address: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what opens an address in a browser: the one named, or one that goes to a place in a local file.

    Raises:
        InputError: When the one named cannot be parsed, or there is none.
    """
    for named in environ.get("BROWSER", "").split(os.pathsep):
        words = _words_of(named, "browser", "BROWSER")
        if words and shutil.which(words[0], path=environ.get("PATH")):
            filled = [word.replace("%s", address) for word in words]
            return tuple(filled if filled != words else [*words, address])
    if sys.platform == "darwin":  # `open` drops what is after "#" of a local file
        return ("osascript", "-e", "on run argv", "-e", "open location (item 1 of argv)", "-e", "end run", address)
    if os.name == "nt":
        return ()
    if _has_display(environ):
        for browser in _BROWSERS:
            if shutil.which(browser, path=environ.get("PATH")):
                return (browser, address)
    return _system_command(address, "BROWSER", environ)


def _system_command(what: str, variable: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what has the system open a file or an address.

    Raises:
        InputError: When there is no such program.
    """
    if os.name == "nt":
        return ()
    if sys.platform == "darwin":
        return ("open", what)
    if shutil.which("xdg-open", path=environ.get("PATH")) and _has_display(environ):
        return ("xdg-open", what)
    remedy = f"Name a program for it in {variable}" if variable else "Copy it to where one is"
    raise InputError(f"{what}: there is no program here to open it with. {remedy}.")


def _has_display(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _run(opening: Opening, path: Path) -> None:
    """Run what opens a source.

    Raises:
        InputError: When it cannot be run, or fails.
    """
    if not opening.command:
        os.startfile(path)  # type: ignore[attr-defined,unused-ignore] # of Windows
        return
    name = opening.command[0]
    try:
        if opening.waits:
            with _terminal() as handle, _interrupts_left_to_it():
                status = subprocess.run(opening.command, stdin=handle, stdout=handle, check=False).returncode
        else:
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(opening.command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
            try:
                status = process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                return
    except OSError as error:
        raise InputError(
            f"{name}: cannot be run ({error.strerror or error}). Name another program in VISUAL or EDITOR."
        ) from error
    if status:
        raise InputError(f"{name}: ended with status {status}, so {opening.told} may not be open.")


@contextlib.contextmanager
def _terminal() -> Iterator[int | None]:
    """Give an editor the terminal, where questions come from a pipe or answers go to a file."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        yield None
        return
    try:
        handle = os.open("/dev/tty", os.O_RDWR)
    except OSError:  # there is none; an editor with a window needs none
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Leave Ctrl-C to the program that has the terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: None)  # a handler, unlike SIG_IGN, is not inherited
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
