"""The notebooks: each runs from the top in a new kernel, and shows what is saved in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from index.encoder import PromptedEncoder
from scripts.run_notebooks import NOTEBOOKS, ROOT, VARIES, cleaned, complaints, execute, paths, read

LARGEST = 300_000
"""Bytes of a notebook, its pictures with it."""
_NUMBER = re.compile(r"-?\d+\.\d+")
_NEAR = 0.05
"""How far a decimal may be from the one saved: processors round int8 in different ways."""


def texts(cell: Any) -> list[tuple[str, str]]:
    """Return what a cell shows: its kind, and its words; of a picture only that it is there."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append((output.name, output.text))
        else:
            data = sorted(output.data.items())
            shown += [(kind, "" if kind.startswith("image/") else str(text)) for kind, text in data]
    return shown


def alike(now: str, saved: str) -> bool:
    """Say whether two texts have the same words, and decimals near to each other."""
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (now, saved)]
    words = [_NUMBER.sub("#", text).split() for text in (now, saved)]
    return words[0] == words[1] and all(abs(one - other) <= _NEAR for one, other in zip(*numbers, strict=True))


@pytest.mark.timeout(1500)  # training takes many times longer where other programs have the processor too
@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_saved(path: Path, fast_encoder: PromptedEncoder) -> None:
    saved, now = read(path), execute(path)
    assert complaints(now) == []
    for number, (old, new) in enumerate(zip(saved.cells, now.cells, strict=True), 1):
        if old.cell_type != "code":
            continue
        before, after = texts(old), texts(new)
        assert [kind for kind, _ in after] == [kind for kind, _ in before], f"cell {number}"
        if VARIES not in old.metadata.get("tags", []):
            different = [(one, other) for (_, one), (_, other) in zip(after, before, strict=True) if one != other]
            assert [pair for pair in different if not alike(*pair)] == [], f"cell {number}: run the script to save it"


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_a_saved_notebook_is_small_and_clean(path: Path) -> None:
    text = path.read_text("utf-8")
    notebook = read(path)
    assert path.stat().st_size < LARGEST
    assert complaints(notebook) == []
    # Every cell was run, in order, and nothing is left of the run but what it shows.
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert cleaned(read(path)) == notebook
    places = [str(ROOT), str(Path.home()), "/tmp/", "/home/", "/Users/", "site-packages"]
    shown = "\n".join(text for cell in code for _, text in texts(cell))
    assert [place for place in places if place in shown] == []
    assert not re.search(r"\d ?(ms|s|seconds)\b", shown)
    assert "\\u" not in text  # letters as they are, so that changes can be read


def test_the_notebooks_are_there_and_lead_to_each_other() -> None:
    names = [path.name for path in paths()]
    assert names == ["01_quickstart.ipynb", "02_languages.ipynb", "03_your_own_model.ipynb"]
    for path in paths():
        source = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])
        linked = re.findall(r"\]\(([^)]+\.ipynb)\)", source)
        assert linked
        assert [name for name in linked if not (NOTEBOOKS / name).is_file()] == []


@pytest.mark.parametrize(
    ("now", "saved", "same"),
    [
        ("lt 0.84 a", "lt  0.82 a", True),
        ("lt 0.84 a", "lt 0.74 a", False),
        ("lt 3 a", "lt 4 a", False),
        ("lt a", "te a", False),
        ("0.1 0.2", "0.1", False),
    ],
)
def test_what_counts_as_the_same(now: str, saved: str, same: bool) -> None:
    assert alike(now, saved) is same
