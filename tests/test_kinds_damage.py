"""Damaged files of vector indexes: told, or at worst something is missed; never the end of the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.errors import IndexDamagedError
from index.ivf_index import IvfIndex
from index.kinds import VectorIndexKind, build_vector_index, open_vector_index
from index.vectors import unit_rows
from tests.builds import ROOT, environment

KINDS = [VectorIndexKind.PQ, VectorIndexKind.HNSW, VectorIndexKind.IVF_SQ, VectorIndexKind.IVF_PQ]
N, DIM = 700, 6
ROWS = unit_rows(np.random.default_rng(0).normal(size=(N, DIM)))

USE = """
import resource, sys
from pathlib import Path
import numpy as np
from index.errors import IndexDamagedError
from index.kinds import open_vector_index
from tests.test_kinds_damage import N, ROWS

kind, path, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
whole, chance = path.read_bytes(), np.random.default_rng(seed)
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
exact = ROWS.astype(np.float64) @ ROWS.T.astype(np.float64)
few, told = np.arange(N) % 2 == 0, 0

def use(content, name):
    damaged = path.with_name(name)
    damaged.write_bytes(content)
    try:
        index = open_vector_index(kind, damaged, ROWS)
    except IndexDamagedError as error:
        assert str(damaged) in str(error)
        return 1
    for i in (0, 99):
        for among in (None, few):
            ((rows, scores),) = index.search(ROWS[i : i + 1], 5, among)
            assert len(set(rows.tolist())) == 5 and (among is None or among[rows].all())
            assert np.allclose(scores, exact[i][rows], atol=1e-6)
            (some,) = index.candidates(ROWS[i : i + 1], 20, among)
            assert len(some) >= 20 and 0 <= some.min() <= some.max() < N
    return 0

places = [*range(400), *chance.integers(len(whole), size=500).tolist()]
values = [b"\\xff", b"\\x01", b"\\x80\\x80\\x80\\x80", b"\\xff\\xff\\xff\\x7f", bytes(8), b"\\xff" * 8]
for number, at in enumerate(places):
    value = bytes([whole[at] ^ 1 << number % 8]) if number % 2 else values[number // 2 % len(values)]
    told += use(whole[:at] + value + whole[at + len(value) :], "damaged.faiss")
for at in [*range(120), *chance.integers(len(whole), size=60).tolist()]:
    assert use(whole[:at], "cut.faiss") == 1
assert use(whole + bytes(1), "longer.faiss") == 1
assert use(whole, "whole.faiss") == 0
print("told", told, "of", len(places))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_of_a_file_ends_the_process(kind: VectorIndexKind, tmp_path: Path) -> None:
    build_vector_index(kind, ROWS).save(tmp_path / "index.faiss")
    args = [sys.executable, "-W", "error", "-c", USE, kind, str(tmp_path / "index.faiss"), "0"]
    result = subprocess.run(
        args, cwd=ROOT, env=environment(), capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    n_told = int(result.stdout.split()[1])
    assert 50 < n_told < 900  # the frame is told, codes and centroids may be anything


def damage(path: Path, at: int, values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:at] + values.tobytes() + content[at + values.nbytes :])


def graph(path: Path) -> tuple[int, int, int]:
    """Return where a graph's levels, the beginnings of rows' links, and the links stand in their file."""
    content = np.fromfile(path, np.uint8)
    n_probabilities = int(content[37:45].view("<u8")[0])
    levels = 45 + 8 * n_probabilities + 8 + 4 * (n_probabilities + 1) + 8
    starts = levels + 4 * N + 8
    return levels, starts, starts + 8 * (N + 1) + 8


@pytest.mark.parametrize(
    ("part", "at", "value", "match"),
    [
        (0, 5, np.int32(0), "a row in no level"),
        (0, 5, np.int32(2**30), "a row in no level"),
        (0, 5, np.int32(3), "links that overlap"),
        (1, 6, np.uint64(2**60), "links that overlap"),
        (1, 0, np.uint64(8), "links that overlap"),
        (2, 0, np.int32(N), "a link to a row that does not exist"),
        (2, 9, np.int32(-2), "a link to a row that does not exist"),
        (2, -1, np.int32(-7), "no way in"),
    ],
)
def test_links_that_lead_astray(part: int, at: int, value: np.generic, match: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    build_vector_index(VectorIndexKind.HNSW, ROWS).save(path)
    places = graph(path)
    n_links = int(np.fromfile(path, "<u8", 1, offset=places[2] - 8)[0])
    damage(path, places[part] + (at if at >= 0 else n_links) * value.itemsize, np.array([value]))
    with pytest.raises(IndexDamagedError, match=rf"index\.faiss: not an index of kind hnsw.*{match}"):
        open_vector_index("hnsw", path, ROWS)


def test_an_upper_link_to_a_row_that_is_only_below(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    build_vector_index(VectorIndexKind.HNSW, ROWS).save(path)
    levels, starts, links = graph(path)
    n_levels = np.fromfile(path, "<i4", N, offset=levels)
    high, low = int(np.flatnonzero(n_levels > 1)[0]), int(np.flatnonzero(n_levels == 1)[0])
    first = int(np.fromfile(path, "<u8", N, offset=starts)[high]) + 32
    damage(path, links + 4 * first, np.array([low], np.int32))
    with pytest.raises(IndexDamagedError, match="a link to a row that is not in its level"):
        open_vector_index("hnsw", path, ROWS)


@pytest.mark.parametrize("kind", [VectorIndexKind.IVF_SQ, VectorIndexKind.IVF_PQ])
@pytest.mark.parametrize(
    ("row", "match"), [(N, "a row that does not exist"), (-1, "a row that does not exist"), (1, "do not hold all rows")]
)
def test_cells_that_do_not_hold_each_row_once(kind: VectorIndexKind, row: int, match: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    index = build_vector_index(kind, ROWS)
    index.save(path)
    content = path.read_bytes()
    assert isinstance(index, IvfIndex)
    together = np.flatnonzero(index._cells == index._cells[0]).astype(np.int64)
    assert content.count(together.tobytes()) == 1
    damage(path, content.index(together.tobytes()), np.array([row], np.int64))
    with pytest.raises(IndexDamagedError, match=rf"index\.faiss: damaged \(.*{match}"):
        open_vector_index(kind, path, ROWS)
