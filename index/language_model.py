"""py3langid, with its model kept unpacked: unpacking it takes half a second, opening the unpacked files hardly any.

py3langid's own code computes the scores either way, and the scores are the same to the last bit. Where the files
cannot be kept, or its parts are not those known here, it loads its model in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from index.cache import STAMP, make_once
from index.errors import StoreError
from index.files import home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ranker: TypeAlias = Callable[[str], list[tuple[str, float]]]
"""Returns every language known with its score (natural logarithm), the likeliest first."""
FOLDER = "py3langid-{version}-1"
"""Name of the folder in the cache; the number at its end changes when what is kept does."""
_PROBE = "Kada atidaroma biblioteka? When does the library open? کتابخانه"
"""What is kept must rank this as the model it comes from does."""


def rank(text: str) -> list[tuple[str, float]]:
    """Return every language py3langid knows with its score for a text, the likeliest first."""
    return _ranker()(text)


@lru_cache(maxsize=1)
def _ranker() -> Ranker:
    return open_ranker()


def open_ranker() -> Ranker:
    """Return what ranks languages: over the files kept if there are any or they can be made, else py3langid's own."""
    import py3langid

    ordinary: Ranker = py3langid.rank
    try:
        folder = home() / "languages" / FOLDER.format(version=py3langid.__version__)
        make_once(folder, _unpack)
        try:
            return _from_files(folder)
        except (OSError, ValueError, LookupError):  # of full size, yet not what was written
            (folder / STAMP).unlink()
            return _from_files(make_once(folder, _unpack))
    except (StoreError, OSError, ImportError, AttributeError, TypeError, ValueError, LookupError):
        return ordinary


def _unpack(folder: Path) -> dict[str, Any]:
    """Write the model's arrays; return its languages, and what each array is."""
    import numpy as np
    import py3langid
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    packed = LanguageIdentifier.from_model_file(MODEL_FILE)
    arrays = {
        "ptc": np.asarray(packed.nb_ptc, np.float32),  # in 16 bits: converted for every text, most of the work
        "pc": np.asarray(packed.nb_pc),
        "nextmove": np.asarray(packed.tk_nextmove),
        "row": np.asarray(packed.tk_row),
        "output": np.asarray(packed.tk_output, np.int32),
    }
    classes = list(packed.nb_classes)
    if _make_ranker(arrays, classes)(_PROBE) != packed.rank(_PROBE):
        raise ValueError("py3langid's model does not work from its parts")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    facts = {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}
    return {"py3langid": py3langid.__version__, "classes": classes, "arrays": facts}


def _from_files(folder: Path) -> Ranker:
    """Open what ``_unpack`` wrote, mapped into memory.

    Raises:
        OSError, ValueError, LookupError: When it is not that.
    """
    import numpy as np

    stamp = json.loads((folder / STAMP).read_text("utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in stamp["arrays"]}
    if {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()} != stamp["arrays"]:
        raise ValueError(f"{folder}: not the arrays that were written here")
    return _make_ranker(arrays, stamp["classes"])


def _make_ranker(arrays: Mapping[str, NDArray[np.generic]], classes: list[str]) -> Ranker:
    import numpy as np
    from py3langid.langid import LanguageIdentifier

    identifier = LanguageIdentifier(
        np.asarray(arrays["ptc"]),  # without what a mapped array does at every access
        np.asarray(arrays["pc"]),
        classes,
        arrays["nextmove"].data,  # gives plain integers, as quickly as an array of the standard library
        arrays["output"].tolist(),
        tk_row=arrays["row"].tolist(),
    )
    ranker: Ranker = identifier.rank
    return ranker
