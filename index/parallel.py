"""Texts that say the same in several languages, and where a model puts each of these languages."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from index.balance import primary
from index.cache import make_once
from index.encoder import Encoder, PromptedEncoder
from index.errors import IndexDamagedError, InputError, StoreError
from index.files import home
from index.lines import placed_lines
from index.progress import Progress
from index.vectors import open_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARALLEL_TEXT = Path(__file__).parent / "parallel_text.jsonl"
"""Sentences, questions and short passages in five languages, written for this project."""
_MEANS = "means.npy"


def read_parallel(path: Path) -> list[dict[str, str]]:
    """Return the lines of a parallel text: language to text, the same languages in each.

    Args:
        path: JSON Lines, language tags for keys; regions do not count.

    Raises:
        InputError: When it cannot be read, is empty, or a line is not like the first.
    """
    lines: list[dict[str, str]] = []
    for where, text in placed_lines(path):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: is not JSON ({error}). Give one object a line.") from error
        if not isinstance(line, dict) or not all(isinstance(one, str) and one.strip() for one in line.values()):
            raise InputError(f"{where}: is no object of texts. Give one text a language, named by its tag.")
        lines.append({primary(lang): one for lang, one in line.items()})
        if len(lines[-1]) < max(2, len(line)) or lines[-1].keys() != lines[0].keys():
            raise InputError(
                f"{where}: has {', '.join(line)}. Give each line in the same languages ({', '.join(lines[0])}), two "
                "at least, each once."
            )
    if not lines:
        raise InputError(f"{path}: is empty. Give one object a line, the same text in each language.")
    return lines


def parallel_means(encoder: Encoder, progress: Progress, own: Path | None = None) -> dict[str, NDArray[np.float64]]:
    """Return the mean vector of each language of the project's parallel text, as passages, and of a user's own.

    The languages of ``own`` are as far from each other as its texts say, and where the languages that both have put
    them; without a common language, around the same middle. Computed once for a model.

    Args:
        encoder: Makes the vectors.
        progress: Told how far it is.
        own: A parallel text beside the project's.

    Raises:
        InputError: When it cannot be read.
    """
    import numpy as np

    means = _means(encoder, read_parallel(PARALLEL_TEXT), progress)
    if own is None:
        return means
    of_own = _means(encoder, read_parallel(own), progress)
    common = [lang for lang in of_own if lang in means]
    here, there = (np.mean([one[lang] for lang in common or one], axis=0) for one in (means, of_own))
    return {**means, **{lang: mean + here - there for lang, mean in of_own.items()}}


def _means(encoder: Encoder, lines: list[dict[str, str]], progress: Progress) -> dict[str, NDArray[np.float64]]:
    """Return the mean vector of each language of a parallel text."""
    import numpy as np

    langs = list(lines[0])

    def compute() -> NDArray[np.float64]:
        progress.start("comparing languages", len(langs) * len(lines), "text")
        try:
            vectors = (encoder.encode_passages([line[lang] for line in lines], progress) for lang in langs)
            return np.stack([of_lang.mean(axis=0, dtype="float64") for of_lang in vectors])
        finally:
            progress.end()

    # What is not a model of files may change behind its fingerprint.
    means = _kept(encoder, lines, compute, progress) if isinstance(encoder, PromptedEncoder) else compute()
    return dict(zip(langs, means, strict=True))


def parallel_langs(own: Path | None) -> set[str]:
    """Return the languages of the project's parallel text and of a user's own.

    Raises:
        InputError: When it cannot be read.
    """
    return {*read_parallel(PARALLEL_TEXT)[0], *(read_parallel(own)[0] if own else ())}


def unheard(own: Path, languages: Collection[str]) -> str:
    """Return what to tell of the languages of a parallel text that an index does not hold; "" when it holds all."""
    langs = list(read_parallel(own)[0])
    missing = [lang for lang in langs if lang not in map(primary, languages)]
    if not missing:
        return ""
    return (
        f"{own}: is in {', '.join(langs)}; the index holds no passage in {', '.join(missing)} (it holds "
        f"{', '.join(languages)}). Name its languages by these tags."
    )


def _kept(
    encoder: PromptedEncoder,
    lines: list[dict[str, str]],
    compute: Callable[[], NDArray[np.float64]],
    progress: Progress,
) -> NDArray[np.float64]:
    """Return the means kept on this machine, computed and kept first where there are none."""
    import numpy as np

    made_of = json.dumps([dataclasses.asdict(encoder.fingerprint), lines], sort_keys=True)
    folder = home() / "languages-apart" / hashlib.sha256(made_of.encode()).hexdigest()[:16]
    shape = (len(lines[0]), encoder.fingerprint.dim)

    def keep(new: Path) -> dict[str, object]:
        np.save(new / _MEANS, compute())
        return {"langs": list(lines[0])}

    try:
        means = np.array(open_array(make_once(folder, keep, progress) / _MEANS, shape, "float64"))
        if np.isfinite(means).all():
            return means
    except IndexDamagedError:
        pass
    except StoreError:  # nothing can be kept here, and a long build must not be lost for that
        return compute()
    shutil.rmtree(folder, ignore_errors=True)  # damaged
    return compute()
