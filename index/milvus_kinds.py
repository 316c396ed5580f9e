"""The kinds of vector index in Milvus: what makes them, and how widely they are searched."""

from __future__ import annotations

import math

from index.config import IndexKind

HNSW_FROM = 200_000
"""Rows from which ``auto`` is a graph: comparing fewer costs less than what else a question costs.

Source: 100,000 vectors of 384 numbers are compared in 6.9 ms on 2 cores (``index.kinds.PQ_FROM``).
"""


INDEX_TYPES = {
    IndexKind.FLAT: "FLAT",
    IndexKind.HNSW: "HNSW",
    IndexKind.IVF_SQ: "IVF_SQ8",
    IndexKind.IVF_PQ: "IVF_PQ",
}
"""What Milvus calls them; it has no codes without cells."""
OF_A_FILE = (IndexKind.FLAT, IndexKind.HNSW, IndexKind.IVF_SQ)
"""Those that the embedded Milvus makes too."""


def suited(wanted: IndexKind, n_rows: int) -> IndexKind:
    """Return the kind to make for so many rows: the one wanted, or exact while that is fast, then a graph."""
    if wanted is not IndexKind.AUTO:
        return wanted
    return IndexKind.HNSW if n_rows >= HNSW_FROM else IndexKind.FLAT


def _n_lists(n_rows: int) -> int:
    """Return into how many lists an inverted file is cut. Source: Milvus's own advice, 4 times the root of the rows."""
    return min(65_536, max(1, 4 * math.isqrt(n_rows)))


def build_params(kind: IndexKind, n_rows: int, dim: int) -> dict[str, int]:
    """Return what a vector index is made with."""
    if kind is IndexKind.HNSW:
        return {"M": 16, "efConstruction": 200}
    if kind is IndexKind.IVF_SQ:
        return {"nlist": _n_lists(n_rows)}
    if kind is IndexKind.IVF_PQ:  # codes of 8 numbers each, or of the most below that the dimension divides into
        return {"nlist": _n_lists(n_rows), "m": dim // next(n for n in range(8, 0, -1) if dim % n == 0), "nbits": 8}
    return {}


def search_params(kind: IndexKind, n_rows: int, k: int) -> list[dict[str, int]]:
    """Return what to search with: first as is usual, then as widely as the index can."""
    if kind is IndexKind.HNSW:
        return [{"ef": max(2 * k, 128)}, {"ef": min(32_768, max(n_rows, k))}]
    if kind in (IndexKind.IVF_SQ, IndexKind.IVF_PQ):
        n_lists = _n_lists(n_rows)
        return [{"nprobe": max(8, n_lists // 8)}, {"nprobe": n_lists}]
    return [{}]
