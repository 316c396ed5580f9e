"""Trains the offline model to put texts that say the same in several languages close together.

    python scripts/train_model.py --delta index/tongues-small.safetensors            # the model that is shipped
    python scripts/train_model.py my-text/ --model-out models/mine --base tongues-small    # with text of your own

The text is described in ``scripts/training_items.py``, and the numbers in ``scripts/training_recipe.py``. Two aims are
weighed against each other at every step:

- *Alignment*: the vector of each text moves to a target made of the base model's own vectors, each language's mean
  taken out and the English one put in its place: a query to the mean of all its translations, of which English counts
  three times, a passage half-way from its own vector to that mean. Source: Reimers and Gurevych 2020, arXiv:2004.09813
  (a teacher's vectors of the original as targets of translations).
- *Contrast*: a question is told from all other questions, its answer from the other passages of the batch, and a
  translation from the other texts, in whatever language they are, passages on the same subject that do not answer among
  them. Source: Wang et al. 2024, arXiv:2402.05672.

What is learned are low-rank updates of all linear layers (Hu et al. 2021, arXiv:2106.09685); token vectors stay. A part
of what was learned is written, which keeps more of what the base knows (Wortsman et al. 2022, arXiv:2109.01903). An
interrupted run goes on where it was when it is started again with the same ``--work``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from index.config import OFFLINE_MODEL
from index.errors import TonguesError
from index.files import new_folder
from index.learned_delta import LowRank, write_delta
from index.parallel import PARALLEL_TEXT
from scripts.training_items import HELD_OUT, TEXT, TrainingText, read_training_text, text_files
from scripts.training_lessons import Lessons, Targets
from scripts.training_recipe import Recipe
from scripts.training_student import Student, base_vectors

_SAVED_EVERY = 25
"""Steps after which what was learned is kept."""


def train(student: Student, text: TrainingText, recipe: Recipe, work: Path) -> None:
    """Run all steps that the folder does not hold yet; every few steps what was learned is kept there."""
    targets = Targets(student, text, base_vectors(student, text, work), recipe)
    torch.manual_seed(recipe.seed)
    for layer in student.layers.values():
        torch.nn.init.normal_(layer.down, std=1 / math.sqrt(layer.down.shape[1]))
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.rate, weight_decay=0.0)
    warm = max(1, recipe.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm) * (1 - step / recipe.steps)
    )
    lessons = Lessons(student, text, targets, recipe)
    done, seen = 0, []
    everything = [dataclasses.asdict(recipe), student.files.weights_hash, dataclasses.asdict(text)]
    made_of = json.dumps(everything, sort_keys=True)
    kept = work / f"run-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.pt"
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        student.restore(state["learned"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        lessons.chooser.setstate(state["chooser"])
        done = state["done"]
        click.echo(f"goes on after step {done} of {kept}", err=True)
    began, first = time.perf_counter(), done
    while done < recipe.steps:
        alignment, contrast = lessons.next()
        optimizer.zero_grad()
        (alignment + recipe.contrast * contrast).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        done += 1
        seen.append((alignment.item(), contrast.item()))
        if done % _SAVED_EVERY == 0 or done == recipe.steps:
            state = {"learned": student.state(), "optimizer": optimizer.state_dict(), "done": done}
            state |= {"schedule": schedule.state_dict(), "chooser": lessons.chooser.getstate()}
            torch.save(state, kept.with_suffix(".new"))
            kept.with_suffix(".new").replace(kept)
            mean = np.mean(seen[-_SAVED_EVERY:], axis=0)
            each = (time.perf_counter() - began) / (done - first)
            click.echo(
                f"step {done} of {recipe.steps}: alignment {mean[0]:.4f}, contrast {mean[1]:.3f}, {each:.2f} s a step",
                err=True,
            )


def recipe_of(changed: Sequence[str]) -> Recipe:
    """Return the recipe with some numbers changed, each given as NAME=NUMBER.

    Raises:
        click.UsageError: When a name is not known, or what follows it is no number.
        SettingsError: When a number is out of its range.
    """
    usual = dataclasses.asdict(Recipe())
    numbers: dict[str, Any] = {}
    for one in changed:
        name, _, value = one.partition("=")
        if name not in usual:
            raise click.UsageError(f"--set {one}: there is no {name!r}; there are {', '.join(usual)}.")
        try:
            numbers[name] = type(usual[name])(value)
        except ValueError as error:
            raise click.UsageError(f"--set {one}: {value!r} is no {type(usual[name]).__name__}.") from error
    return Recipe(**numbers)


def check_outputs(delta: Path | None, model_out: Path | None) -> None:
    """Check before the work that what comes of it can be written.

    Raises:
        click.UsageError: When nothing is to be written, or not there.
    """
    if delta is None and model_out is None:
        raise click.UsageError("name what to write: --model-out FOLDER, or --delta FILE.")
    if delta is not None and not delta.absolute().parent.is_dir():
        raise click.UsageError(f"--delta: there is no folder {delta.parent}; make it first.")
    if model_out is not None and model_out.exists() and any(model_out.iterdir()):
        raise click.UsageError(f"--model-out: {model_out} is there and not empty; name a new folder.")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--delta", type=click.Path(dir_okay=False, path_type=Path), help="Write what was learned to this file.")
@click.option("--model-out", type=click.Path(file_okay=False, path_type=Path), help="Write the whole model here.")
@click.option("--base", default=OFFLINE_MODEL, show_default=True, help="The model to start from.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), default=Path("training"), show_default=True)
@click.option("--strength", type=float, default=0.7, show_default=True, help="The part of what was learned to write.")
@click.option("--threads", type=int, default=0, help="Threads that compute.  [default: as many as there are cores]")
@click.option(
    "--set", "changed", multiple=True, metavar="NAME=NUMBER", help="A number of the recipe, another than usual."
)
def main(
    paths: tuple[Path, ...],
    delta: Path | None,
    model_out: Path | None,
    base: str,
    work: Path,
    strength: float,
    threads: int,
    changed: tuple[str, ...],
) -> None:
    """Train with the project's text but for the domains that measure, or with the files and folders named."""
    recipe = recipe_of(changed)
    check_outputs(delta, model_out)
    if threads:
        torch.set_num_threads(threads)
    files = text_files(paths) if paths else text_files((TEXT, PARALLEL_TEXT), HELD_OUT)
    text = read_training_text(files)
    work.mkdir(parents=True, exist_ok=True)
    student = Student(base, recipe)
    click.echo(f"{len(text.items)} items, {len(text.pairs)} pairs, {', '.join(text.languages)}", err=True)
    began = time.perf_counter()
    train(student, text, recipe, work)
    click.echo(f"trained in {time.perf_counter() - began:.0f} s", err=True)
    learned = {name: LowRank.of(strength * matrix, recipe.rank) for name, matrix in student.matrices().items()}
    if delta:
        about = {
            "base": base,
            "base_weights_hash": student.files.weights_hash,
            "made_by": "scripts/train_model.py",
            "recipe": {**dataclasses.asdict(recipe), "strength": strength},
            "text": {f.name: hashlib.sha256(f.read_bytes()).hexdigest()[:16] for f in files},
            "torch": torch.__version__,
            **({} if paths else {"licence": "MIT"}),  # of text that is not the project's, others decide
        }
        sha256 = write_delta(delta, learned, about)
        click.echo(f"{delta}: to ship it, write its sha256 into index/offline_model.py, DELTA_SHA256: {sha256}")
    if model_out:
        model_out.mkdir(parents=True, exist_ok=True)
        model_out.rmdir()  # it is empty
        with new_folder(model_out) as folder:
            student.save(folder, learned)
        click.echo(str(model_out))


if __name__ == "__main__":
    try:
        main()
    except TonguesError as error:
        raise SystemExit(f"Error: {error}") from error
