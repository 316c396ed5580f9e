"""Watches the sources of an index, and brings it up to date whenever one of them changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from index.errors import TonguesError
from index.readers.walk import has_magic
from index.store import Store

_SETTLED_MS = 1_600
"""How long changes are gathered before they are looked at: who saves a file often saves several."""


def update_whenever(directory: str, paths: Sequence[str], update: Callable[[], None], *, quiet: bool) -> None:
    """Update now, and again whenever a source changes, until Ctrl-C.

    An error is told, and the next change is waited for: a file may be half written, or a folder away for a while.

    Args:
        directory: The index directory.
        paths: What is watched; all sources of the index when none is named.
        update: Brings the index up to date.
        quiet: Say nothing of waiting.

    Raises:
        TonguesError: When the first update fails.
    """
    import watchfiles

    update()
    places = _places(directory, paths)
    own = str(Path(directory).resolve())

    def is_ours(_: watchfiles.Change, path: str) -> bool:
        real = os.path.realpath(path)
        hidden = any(part.startswith(".") for part in Path(path).relative_to(Path(path).anchor).parts[-2:])
        return not hidden and real != own and not real.startswith(own + os.sep)

    if not quiet:
        click.echo(f"watching {', '.join(places)}; Ctrl-C ends.", err=True)
    try:
        for _ in watchfiles.watch(*places, watch_filter=is_ours, debounce=_SETTLED_MS, raise_interrupt=True):
            try:
                update()
            except TonguesError as error:
                click.echo(f"Error: {error} Waiting for the next change.", err=True)
    except KeyboardInterrupt as end:
        raise KeyboardInterrupt(str(end) or f"The index in {directory} is as of its last update.") from None


def _places(directory: str, paths: Sequence[str]) -> list[str]:
    """Return the files and folders to watch: of a pattern the folder before its first wildcard, of a file its own."""
    with Store.open(directory) as store:
        root = Path(store.manifest.root)
        named = [Path.cwd() / path for path in paths] or [root / source for source in store.manifest.sources]
    found = []
    for path in named:
        parts = path.parts
        n_literal = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
        place = path if path.exists() else Path(*parts[:n_literal])
        # A file that is replaced as a whole is another one to those who watch it.
        found.append(place if place.is_dir() else place.parent)
    return [str(place) for place in dict.fromkeys(found) if place.is_dir()]
