"""A model's token vectors on disk: four fifths of a multilingual model, of which a text needs some dozen rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from index.config import Precision
from index.vectors import open_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VALUES = "tokens.npy"
SCALES = "token_scales.npy"
_DTYPES = {Precision.INT8: "int8", Precision.BF16: "float16", Precision.FP32: "float32"}
"""float16 where the computation is in bfloat16: as small, and nearer to the weights, which are all far below 65,504."""


class TokenTable:
    """Gives the vectors of tokens, mapped into memory: only the rows asked for are read."""

    def __init__(self, values: NDArray[np.generic], scales: NDArray[np.float32]) -> None:
        """Use ``TokenTable.open``."""
        self._values = values
        self._scales = scales

    @classmethod
    def open(cls, folder: Path, n_tokens: int, dim: int, precision: Precision) -> TokenTable:
        """Open the table of a folder.

        Raises:
            IndexDamagedError: When it is not the table that was written.
        """
        values = open_array(folder / VALUES, (n_tokens, dim), _DTYPES[precision])
        return cls(values, open_array(folder / SCALES, (n_tokens,), "float32"))

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of token ids of any shape, one axis of ``dim`` numbers added."""
        import numpy as np

        rows = self._values[ids].astype(np.float32)
        rows *= self._scales[ids][..., None]
        return rows


def write_table(weights: NDArray[np.float32], folder: Path, precision: Precision) -> None:
    """Write token vectors, shape (n_tokens, dim); int8 has one scale a row, so that rare, small rows keep their digits.

    Source: row-wise symmetric quantization, as FBGEMM stores embedding tables.
    """
    import numpy as np

    scales = np.ones(len(weights), np.float32)
    if precision is Precision.INT8:
        scales = (np.abs(weights).max(axis=1) / 127).astype(np.float32)
        scales[scales == 0] = 1
        weights = np.rint(weights / scales[:, None])
    np.save(folder / VALUES, weights.astype(_DTYPES[precision]))
    np.save(folder / SCALES, scales)
