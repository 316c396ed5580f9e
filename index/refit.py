"""Fits the balance of languages of an index anew, from the vectors it holds: no passage is embedded again."""

from __future__ import annotations

import dataclasses
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from index.balance import STRENGTH, fitted_from, primary
from index.derived import write_derived
from index.encoder import Encoder
from index.errors import IndexDamagedError, IndexFormatError, InputError
from index.generations import locked, new_generation
from index.manifest import MANIFEST, Manifest, check_encoder, record_file
from index.parallel import parallel_langs, parallel_means, read_parallel, unheard
from index.progress import SILENT, Progress
from index.store import FAISS, FILES, OFFSETS, Store, current_generation
from index.version import __version__
from index.writer import writing

_DERIVED = (OFFSETS, FAISS)


def refit(
    directory: str | os.PathLike[str],
    encoder: Encoder,
    *,
    parallel: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> Manifest:
    """Fit the languages' offsets of an index anew, and make its vector index of them; the old one serves meanwhile.

    Args:
        directory: The index directory.
        encoder: The encoder that made it.
        parallel: A JSON Lines file beside the project's own texts: each line the same in several languages, their tags
            the keys; "" for none, None for what the index was built with.
        progress: Told how far the parallel text is embedded.

    Returns:
        The manifest of the new generation.

    Raises:
        InputError: When the parallel text cannot be read, or holds no language of the index.
        StoreError: When the index cannot be read or written, is damaged or of format 1, or was made with another
            encoder.
    """
    out = Path(directory)
    current_generation(out)  # a directory that is no index is not made one
    with locked(out), Store.open(out) as store:
        manifest = store.manifest
        if not store.has_parts:
            raise IndexFormatError(
                f"{out}: written in format {manifest.format_version}, which has no balance of languages. Build it anew."
            )
        check_encoder(manifest, encoder.fingerprint, str(out))
        named = str(manifest.settings.get("parallel", "")) if parallel is None else os.fspath(parallel)
        own = Path(named) if named else None
        if own and (notice := unheard(own, manifest.languages)):
            if not {primary(lang) for lang in manifest.languages} & read_parallel(own)[0].keys():
                raise InputError(notice)
            progress.note(notice)
        fitted = fitted_from(manifest.languages, parallel_langs(own))
        means = parallel_means(encoder, progress, own) if "parallel text" in fitted.values() else {}
        with new_generation(out) as folder, writing(out):
            for name in FILES:
                if name not in _DERIVED:
                    if record_file(store.folder / name) != manifest.files[name]:
                        raise IndexDamagedError(f"{store.folder / name}: damaged. Build the index again.")
                    _link(store.folder / name, folder / name)
            kind = write_derived(folder, store.vectors(), store.lang_codes, manifest.languages, means)
            new = dataclasses.replace(
                manifest,
                tool_version=__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                settings={**manifest.settings, "parallel": named},
                kind=kind.value,
                balance=STRENGTH,
                fitted_from=fitted,
                files={**manifest.files, **{name: record_file(folder / name) for name in _DERIVED}},
            )
            (folder / MANIFEST).write_text(new.to_json(), "utf-8")
    return new


def _link(source: Path, target: Path) -> None:
    """Have a file in two generations, which never change; copied where the disk cannot do that."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
