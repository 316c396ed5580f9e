"""The notebooks: each runs from the top in a new kernel, and shows what is saved in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from index.encoder import PromptedEncoder
from scripts.run_notebooks import NOTEBOOKS, ROOT, VARIES, cleaned, complaints, execute, paths, read
from tests.shown import NEAR, VARIES_NEAR, alike

LARGEST = 300_000
"""Bytes of a notebook, its pictures with it."""


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
        near = VARIES_NEAR if VARIES in old.metadata.get("tags", []) else NEAR
        for (_, one), (_, other) in zip(after, before, strict=True):
            assert alike(one, other, near), f"cell {number}: shows\n{one}\nand has saved\n{other}"


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


SAVED = """en
  0.860 ur/milk.md
  0.850 ur/milk.md
  0.842 fa/bakery.txt
  0.830 lt/parcels.txt
  0.821 te/water.txt
mean of 5: 0.84"""
"""What is saved in the tests below: milk stands clear, parcels and water stand near the end."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"0.84": "0.85"},
        {"0.860": "0.868", "0.830": "0.823"},
        {"0.842 fa/bakery.txt": "0.839 lt/parcels.txt", "0.830 lt/parcels.txt": "0.836 fa/bakery.txt"},
        {"0.821 te/water.txt": "0.824 fa/optician.md"},
        {"0.830 lt/parcels.txt": "0.830 te/water.txt", "0.821 te/water.txt": "0.821 ur/milk.md"},
    ],
    ids=["same", "mean", "scores", "neighbours exchanged", "another last hit", "fell out near the end"],
)
def test_what_rounding_may_change(changes: dict[str, str]) -> None:
    assert alike(changed(SAVED, changes), SAVED)


@pytest.mark.parametrize(
    "changes",
    [
        {"mean of 5": "mean of 6"},
        {"0.84": "0.86"},
        {"0.84": "0.84 0.84"},
        {"0.84": "-0.84"},
        {"mean": "median"},
        {"en\n": ""},
        {"en": "lt"},
        {"0.860 ur/milk.md": "0.860 fa/bakery.txt", "0.842 fa/bakery.txt": "0.842 ur/milk.md"},
        {"0.860 ur/milk.md": "0.860 fa/optician.md"},
        {"0.842 fa/bakery.txt": "0.842 fa/optician.md"},
        {"0.860": "0.880"},
        {"0.821": "0.800"},
        {"0.850 ur/milk.md": "0.842 fa/bakery.txt", "0.842 fa/bakery.txt": "0.850 ur/milk.md"},
        {"  0.821 te/water.txt\n": ""},
        {"  0.821 te/water.txt": "  0.821 te/water.txt\n  0.820 te/water.txt"},
        {"  0.821 te/water.txt": "te/water.txt"},
    ],
)
def test_what_is_wrong_on_every_processor(changes: dict[str, str]) -> None:
    now = changed(SAVED, changes)
    assert now != SAVED
    assert not alike(now, SAVED)


def test_hits_are_compared_with_their_parts() -> None:
    saved = "0.88 = 0.87 + 0.01 lt ['siurblys']\n0.83 = 0.85 + -0.02 lt []"
    assert alike(changed(saved, {"0.87 + 0.01": "0.88 + 0.00"}), saved)
    assert not alike(changed(saved, {"0.87 + 0.01": "0.84 + 0.04"}), saved)
    assert not alike(changed(saved, {"siurblys": "siurbli"}), saved)


def test_a_cell_that_varies_is_compared_by_its_words_and_roughly() -> None:
    saved = "balance off: +0.21, p <0.001"
    assert alike("balance off: +0.30, p <0.001", saved, VARIES_NEAR)
    for now in ("balance off: -0.05, p <0.001", "balance off: +0.33, p <0.001", "balance off: +0.21, p 0.001"):
        assert not alike(now, saved, VARIES_NEAR)


def changed(text: str, changes: dict[str, str]) -> str:
    """Return a text with some parts replaced, all at once."""
    pattern = "|".join(rf"(?<![\w.]){re.escape(part)}(?!\d)" for part in changes)
    return re.sub(pattern, lambda found: changes[found[0]], text) if changes else text
