"""Trains the offline model to put texts that say the same in several languages close together.

    python scripts/train_model.py --delta index/tongues-small.safetensors            # the model that is shipped
    python scripts/train_model.py my-text/ --model-out models/mine --base tongues-small    # with text of your own

The text is described in ``scripts/training_items.py``. Two aims are weighed against each other at every step:

- *Alignment*: the vector of each text moves to a target made of the base model's own vectors: half of it the text's
  meaning as the base has it in its language, half the mean of what the base makes of all its translations, the language
  itself taken out of both. Source: Reimers and Gurevych 2020, arXiv:2004.09813 (a teacher's vectors of the original as
  targets of translations).
- *Contrast*: a question is closer to its answer, and a text to its translation, than to all others in the batch, in
  whatever language they are, passages on the same subject that do not answer among them. Source: Wang et al. 2024,
  arXiv:2402.05672.

What is learned are low-rank updates of all linear layers (Hu et al. 2021, arXiv:2106.09685); token vectors stay. An
interrupted run goes on where it was when it is started again with the same ``--work``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
import time
from pathlib import Path

import click
import numpy as np
import torch

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
    targets = Targets(text, base_vectors(student, text, work), recipe)
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
    texts = [list(item.texts.items()) for item in text.items]
    made_of = json.dumps([dataclasses.asdict(recipe), student.files.weights_hash, texts], sort_keys=True)
    kept = work / f"run-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.pt"
    if kept.exists():
        state = torch.load(kept, weights_only=False)
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


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--delta", type=click.Path(dir_okay=False, path_type=Path), help="Write what was learned to this file.")
@click.option("--model-out", type=click.Path(file_okay=False, path_type=Path), help="Write the whole model here.")
@click.option("--base", default="e5-small", show_default=True, help="The model to start from.")
@click.option("--without", multiple=True, default=HELD_OUT, show_default=True, help="Files left out, without .jsonl.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), default=Path("training"), show_default=True)
@click.option("--strength", type=float, default=1.0, show_default=True, help="The part of what was learned to write.")
@click.option("--threads", type=int, default=0, help="Threads that compute.  [default: as many as there are cores]")
@click.option(
    "--set", "changed", multiple=True, metavar="NAME=NUMBER", help="A number of the recipe, another than usual."
)
def main(
    paths: tuple[Path, ...],
    delta: Path | None,
    model_out: Path | None,
    base: str,
    without: tuple[str, ...],
    work: Path,
    strength: float,
    threads: int,
    changed: tuple[str, ...],
) -> None:
    """Train with the project's text, or with the files and folders named."""
    if threads:
        torch.set_num_threads(threads)
    numbers = {name: json.loads(value) for name, _, value in (one.partition("=") for one in changed)}
    recipe = Recipe(**numbers)
    files = text_files(paths or (TEXT, PARALLEL_TEXT), without)
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
            "licence": "MIT",
            "made_by": "scripts/train_model.py",
            "recipe": {**dataclasses.asdict(recipe), "strength": strength},
            "text": {f.name: hashlib.sha256(f.read_bytes()).hexdigest()[:16] for f in files},
            "torch": torch.__version__,
        }
        click.echo(f"{delta}: sha256 {write_delta(delta, learned, about)}")
    if model_out:
        shutil.rmtree(model_out, ignore_errors=True)
        student.save(model_out, learned)
        click.echo(str(model_out))


if __name__ == "__main__":
    main()
