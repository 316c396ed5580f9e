"""Fits the balance of languages of an index anew, from the vectors it holds: no passage is embedded again."""

from __future__ import annotations

import dataclasses
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from index.balance import STRENGTH, fitted_from, primary
from index.config import IndexKind
from index.derived import fit, save_array, write_vector_index
from index.encoder import Encoder, OpenEncoder, opened
from index.errors import REPAIR, IndexDamagedError, IndexFormatError, InputError
from index.files import link
from index.generations import locked, new_generation
from index.layout import DATABASE, FAISS, OFFSETS
from index.manifest import Manifest, check_encoder, record_file
from index.parallel import parallel_langs, parallel_means, read_parallel, unheard
from index.progress import SILENT, Progress
from index.store import Store, current_generation, expected_files
from index.version import __version__
from index.writer import write_manifest, writing


def refit(
    directory: str | os.PathLike[str],
    encoder: Encoder | OpenEncoder | None = None,
    *,
    parallel: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> Manifest:
    """Fit the languages' offsets of an index anew, and make its vector index of them; the old one serves meanwhile.

    Args:
        directory: The index directory.
        encoder: The encoder that made it, or what gives it; by default the index's own model.
        parallel: A JSON Lines file beside the project's own texts: each line the same in several languages, their tags
            the keys; "" for none, None for what the index was built with.
        progress: Told how far the parallel text is embedded.

    Returns:
        The manifest of the new generation.

    Raises:
        InputError: When the parallel text cannot be read, or holds no language of the index.
        StoreError: When the index cannot be read or written, is damaged or too old, or was made with another encoder.
    """
    out = Path(directory)
    current_generation(out)  # a directory that is no index is not made one
    with locked(out), Store.open(out) as store:
        manifest = store.manifest
        if manifest.format_version < 3:
            raise IndexFormatError(
                f"{out}: written in format {manifest.format_version}, which cannot be balanced anew. Build it once "
                "more; its vectors are taken over."
            )
        if manifest.store:
            raise IndexFormatError(
                f"{out}: keeps its vectors in {manifest.store}, where they cannot be balanced anew. Build it once more "
                "with --parallel; its vectors are taken over."
            )
        used = opened(encoder, manifest.encoder, progress)
        check_encoder(manifest, used.fingerprint, str(out))
        named = str(manifest.settings.get("parallel", "")) if parallel is None else os.fspath(parallel)
        if parallel and named:
            named = str(Path(named).absolute())
        own = Path(manifest.root, named) if named else None
        languages = list(manifest.counts.languages)
        if own and (notice := unheard(own, languages)):
            if not {primary(lang) for lang in languages} & read_parallel(own)[0].keys():
                raise InputError(notice)
            progress.note(notice)
        fitted = fitted_from(languages, parallel_langs(own))
        means = parallel_means(used, progress, own) if "parallel text" in fitted.values() else {}
        with new_generation(out) as folder, writing(out):
            _link_all(store, folder)
            offsets = fit(store.vectors(), store.lang_codes, manifest.languages, means)
            save_array(folder / OFFSETS, offsets)
            kind = str(manifest.settings.get("kind", IndexKind.AUTO))
            segments = [
                write_vector_index(folder / one.name, one, offsets, kind if i == 0 else IndexKind.AUTO)
                for i, one in enumerate(manifest.segments)
            ]
            new = dataclasses.replace(
                manifest,
                tool_version=__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                settings={**manifest.settings, "parallel": named},
                segments=tuple(segments),
                balance=STRENGTH,
                fitted_from=fitted,
            )
            return write_manifest(folder, new, store)


def _link_all(store: Store, folder: Path) -> None:
    """Have all files of a generation in another one, but for those that are made anew.

    Raises:
        IndexDamagedError: When one of them is damaged: what is made of it must not seem whole.
    """
    for name in expected_files(store.manifest):
        if Path(name).name in (OFFSETS, FAISS):
            continue
        if record_file(store.folder / name) != store.manifest.files[name]:
            raise IndexDamagedError(f"{store.folder / name}: damaged. {REPAIR}")
        (folder / name).parent.mkdir(exist_ok=True)
        # The passages can be made of nothing else: two generations do not share their one copy.
        (shutil.copyfile if name == DATABASE else link)(store.folder / name, folder / name)
