"""What is well with an installation, its model and an index, and what is not: looked at and measured, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from index.config import OFFLINE_MODEL, Backend, ModelSettings
from index.encoder import Encoder, settings_for
from index.errors import SettingsError
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
    manifest: Manifest | None = None
    encoder: Encoder | None = None

    def look_at_index() -> Iterable[Finding]:
        from search import doctor_index

        nonlocal manifest
        if directory is None:
            return []
        manifest, findings = doctor_index.look_at_index(directory, deep=deep)
        return findings

    def look_at_model() -> Iterable[Finding]:
        from search import doctor_model

        nonlocal encoder
        if manifest:
            settings = settings_for(manifest.encoder, model, backend, threads)
        else:
            settings = ModelSettings(model or OFFLINE_MODEL, backend=backend, threads=threads)
        encoder, findings = doctor_model.look_at_model(settings, manifest.encoder if manifest else None)
        return findings

    def measure_start() -> Iterable[Finding]:
        from search import doctor_speed

        return doctor_speed.measure_start()

    def measure_index() -> Iterable[Finding]:
        from search import doctor_speed

        if encoder and manifest and directory is not None:
            return doctor_speed.measure_index(directory, manifest, encoder)
        return []

    from search.doctor_machine import look_at_libraries, look_at_machine

    yield from _guarded("machine", "looked at", lambda: look_at_machine(threads))
    yield from _guarded("libraries", "looked at", look_at_libraries)
    of_index = list(_guarded("index", "looked at", look_at_index))
    yield from _guarded("model", "looked at", look_at_model)
    yield from of_index
    yield from _guarded("speed", "start", measure_start)
    yield from _guarded("speed", "search", measure_index)


def _guarded(section: str, name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what is found; that it cannot be looked at, as where a library is broken, is a finding too.

    Raises:
        SettingsError: When it is asked for in a way that there is none of.
    """
    try:
        yield from look()
    except SettingsError:
        raise
    except Exception as error:  # a broken library may raise anything
        remedy = "Mend what fails above, if anything does. If not, this is a defect: report it with this line."
        yield Finding(section, name, State.FAIL, f"cannot be looked at: {type(error).__name__}: {error}", remedy)
