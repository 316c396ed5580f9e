"""What is well with an installation, its model and an index, and what is not: looked at and measured, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from index.config import OFFLINE_MODEL, Backend, ModelSettings
from index.encoder import settings_for
from index.manifest import Manifest


class State(StrEnum):
    """How it is with something."""

    OK = "ok"
    WARN = "warn"
    """It works, but slowly, or not all of it."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section: machine, libraries, model, index or speed.
        name: What was looked at.
        state: How it is.
        text: What was found.
        remedy: What to do, "" where nothing need be done.
    """

    section: str
    name: str
    state: State
    text: str
    remedy: str = ""


def examine(
    directory: str | None = None,
    *,
    model: str | None = None,
    backend: Backend | str = Backend.AUTO,
    threads: int = 0,
    deep: bool = False,
) -> Iterator[Finding]:
    """Yield what is found of the machine, the libraries, the model, the index and their speed.

    Nothing is written, fetched or prepared.

    Args:
        directory: The index; None to look at the rest alone.
        model: The model, when it is another one than the index's, or e5-small.
        backend: What is to compute.
        threads: Threads of the model; 0 for as many as there are cores.
        deep: Check every checksum of the index.

    Raises:
        SettingsError: For an unknown backend, or a number of threads out of range.
    """
    from search.doctor_index import look_at_index
    from search.doctor_machine import look_at_libraries, look_at_machine
    from search.doctor_model import look_at_model
    from search.doctor_speed import measure_index, measure_start

    yield from look_at_machine(threads)
    yield from look_at_libraries()
    manifest: Manifest | None = None
    of_index: list[Finding] = []
    if directory is not None:
        manifest, of_index = look_at_index(directory, deep=deep)
    if manifest:
        settings = settings_for(manifest.encoder, model, backend, threads)
    else:
        settings = ModelSettings(model or OFFLINE_MODEL, backend=backend, threads=threads)
    encoder, of_model = look_at_model(settings, manifest.encoder if manifest else None)
    yield from of_model
    yield from of_index
    yield from measure_start()
    if encoder and manifest and directory is not None:
        yield from measure_index(directory, manifest, encoder)
