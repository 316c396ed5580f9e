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
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from index.config import ModelSettings
from index.encoder import token_batches
from index.learned_delta import LowRank, write_delta
from index.models import find_model
from index.parallel import PARALLEL_TEXT
from index.torch_encoder import load
from scripts.training_items import HELD_OUT, TEXT, Role, TrainingText, read_training_text, sample, text_files

PROMPTS = {"query": "query: ", "passage": "passage: "}
_KINDS = {Role.QUESTION: ("query",), Role.PASSAGE: ("passage",), Role.SENTENCE: ("query", "passage")}
_ENGLISH = 3.0
"""How much the English translation counts among the others in a target: the base knows English best."""
_SAVED_EVERY = 25


_SHARE = {Role.SENTENCE: 3, Role.QUESTION: 1, Role.PASSAGE: 6}
"""How often batches of translations are of each role."""

Text = tuple[str, int, str]
"""A text to be encoded: its prompt, the position of its item, and its language."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a training run.

    Attributes:
        steps: Updates of the weights.
        couples: Texts that belong together in a batch: questions and answers, or translations; half for passages.
        rate: The highest learning rate, reached after a twentieth of the steps, falling to nothing at the end.
        rank: Directions that each layer's weights may change in.
        shared_by_queries: The part of a query's target that is the mean of all translations, 0 to 1; the rest is the
            text's own.
        shared_by_passages: The same of a passage.
        contrast: Weight of the contrast against that of the alignment, which is 1.
        temperature: Of the contrast.
        short: The part of the batches that are questions and sentences, as queries.
        texts: How many of them in such a batch.
        questions: The part of the other batches that are questions and answers; the rest are translations.
        own_language: The part of the questions whose answer is in the question's language.
        tokens: Where texts are cut.
        seed: Of all that is drawn.
    """

    steps: int = 360
    couples: int = 16
    rate: float = 3e-4
    rank: int = 32
    shared_by_queries: float = 1.0
    shared_by_passages: float = 0.5
    contrast: float = 0.05
    temperature: float = 0.03
    short: float = 0.65
    texts: int = 48
    questions: float = 0.4
    own_language: float = 0.3
    tokens: int = 256
    seed: int = 1


class LowRankLinear(torch.nn.Module):  # type: ignore[misc] # torch is not followed
    """A linear layer that stays as it is, with a learned low-rank matrix added."""

    def __init__(self, linear: Any, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = torch.nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        self.up = torch.nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, inputs: Any) -> Any:
        """Return the layer's output."""
        return self.linear(inputs) + functional.linear(functional.linear(inputs, self.down), self.up)


class Student:
    """A sentence-transformers model whose linear layers learn."""

    def __init__(self, base: str, recipe: Recipe) -> None:
        self.files = find_model(base)
        self.model = load(self.files, ModelSettings(base))
        self.tokens = recipe.tokens
        self.layers: dict[str, LowRankLinear] = {}
        transformer = self.model[0].auto_model
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        for name, module in list(transformer.named_modules()):
            if isinstance(module, torch.nn.Linear) and not name.startswith("pooler"):
                self.layers[name] = LowRankLinear(module, recipe.rank)
                parent, _, attribute = name.rpartition(".")
                setattr(transformer.get_submodule(parent), attribute, self.layers[name])

    def parameters(self) -> list[Any]:
        """Return what is learned."""
        return [parameter for layer in self.layers.values() for parameter in (layer.down, layer.up)]

    def state(self) -> dict[str, Any]:
        """Return what is learned, by name."""
        return {
            f"{name}.{part}": getattr(layer, part) for name, layer in self.layers.items() for part in ("down", "up")
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take what was learned before."""
        with torch.no_grad():
            for name, value in self.state().items():
                value.copy_(state[name])

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return the vectors of texts with their prompts, shape (n, dim), unit rows, with gradients."""
        batch = self.model.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.tokens, return_tensors="pt"
        )
        features = {name: batch[name] for name in ("input_ids", "attention_mask")}
        return functional.normalize(self.model(features)["sentence_embedding"], dim=1)

    def matrices(self) -> dict[str, NDArray[np.float32]]:
        """Return what is added to each weight."""
        with torch.no_grad():
            return {f"{name}.weight": (layer.up @ layer.down).numpy() for name, layer in self.layers.items()}

    def save(self, folder: Path, delta: dict[str, LowRank]) -> None:
        """Write the whole model, the delta added to the weights, as sentence-transformers loads it."""
        transformer = self.model[0].auto_model
        for name, layer in self.layers.items():
            parent, _, attribute = name.rpartition(".")
            with torch.no_grad():
                layer.linear.weight += torch.from_numpy(delta[f"{name}.weight"].matrix())
            setattr(transformer.get_submodule(parent), attribute, layer.linear)
        self.model.save(str(folder))


def base_vectors(student: Student, text: TrainingText, folder: Path) -> dict[str, NDArray[np.float32]]:
    """Return the base's vectors of every text under every prompt that it may have; kept in the folder.

    The student must not have learned anything yet.
    """
    known: dict[str, NDArray[np.float32]] = {}
    file = folder / "base-vectors.npz"
    if file.exists():
        with np.load(file) as kept:
            known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
    wanted = {
        PROMPTS[kind] + words for item in text.items for kind in _KINDS[item.role] for words in item.texts.values()
    }
    missing = sorted(wanted - set(known))
    lengths = [len(ids) for ids in student.model.tokenizer(missing)["input_ids"]] if missing else []
    with torch.no_grad(), click.progressbar(length=len(missing), label="vectors of the base") as bar:
        for batch in token_batches([min(n, student.tokens) for n in lengths], 2048):
            some = [missing[i] for i in batch]
            known.update(zip(some, student.vectors(some).numpy(), strict=True))
            bar.update(len(batch))
    if missing:
        np.savez(file, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
    return known


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of length 1."""
    rows: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return rows


class Targets:
    """Where the vectors of texts should be: ``of`` each text, and ``shared`` by all translations of an item."""

    def __init__(self, text: TrainingText, base: dict[str, NDArray[np.float32]], recipe: Recipe) -> None:
        self._rows: dict[Text, Any] = {}
        self.shared: dict[tuple[str, int], Any] = {}
        middle = "en" if "en" in text.languages else text.languages[0]
        weights = {lang: _ENGLISH if lang == "en" else 1.0 for lang in text.languages}
        for kind, shared in (("query", recipe.shared_by_queries), ("passage", recipe.shared_by_passages)):
            chosen = [i for i, item in enumerate(text.items) if kind in _KINDS[item.role]]
            if not chosen:
                continue
            meanings, means = {}, {}
            for lang in text.languages:
                vectors = np.stack([base[PROMPTS[kind] + text.items[i].texts[lang]] for i in chosen])
                means[lang] = vectors.mean(axis=0)
                meanings[lang] = vectors - means[lang]
            sums = [weights[lang] * meanings[lang] for lang in text.languages]
            together = np.sum(sums, axis=0) / sum(weights.values())
            self.shared.update(
                {
                    (kind, i): torch.from_numpy(row)
                    for i, row in zip(chosen, unit(together + means[middle]), strict=True)
                }
            )
            for lang, own in meanings.items():
                mixed = unit(shared * unit(together) + (1 - shared) * unit(own))
                rows = unit(mixed * np.linalg.norm(own, axis=1, keepdims=True) + means[middle])
                self._rows.update({(kind, i, lang): torch.from_numpy(row) for i, row in zip(chosen, rows, strict=True)})

    def of(self, texts: Sequence[Text]) -> Any:
        """Return the targets of texts, shape (n, dim)."""
        return torch.stack([self._rows[text] for text in texts])


class Lessons:
    """Draws batches, the same for the same seed, and says what is wrong with the student's vectors of them.

    Most batches are many short texts as queries, told apart from all others by the targets these have; the rest are
    couples of longer texts, told apart from each other.
    """

    def __init__(self, student: Student, text: TrainingText, targets: Targets, recipe: Recipe) -> None:
        self._student, self._text, self._targets, self._recipe = student, text, targets, recipe
        self._by_role = {role: [i for i, item in enumerate(text.items) if item.role is role] for role in Role}
        self._asked = [i for i, item in enumerate(text.items) if "query" in _KINDS[item.role]]
        self._bank = torch.stack([targets.shared["query", i] for i in self._asked])
        self.chooser = random.Random(recipe.seed)

    def next(self) -> tuple[Any, Any]:
        """Return the alignment and the contrast of the next batch, both to be made small."""
        if self.chooser.random() < self._recipe.short:
            return self._short()
        if self._text.pairs and self.chooser.random() < self._recipe.questions:
            return self._answered()
        return self._translated()

    def _short(self) -> tuple[Any, Any]:
        at = sample(self.chooser, range(len(self._asked)), self._recipe.texts)
        texts = [("query", self._asked[i], self.chooser.choice(self._text.languages)) for i in at]
        vectors = self._vectors(texts)
        cosines = vectors @ self._bank.T
        contrast = functional.cross_entropy(cosines / self._recipe.temperature, torch.tensor(at))
        return self._alignment(texts, vectors), contrast

    def _answered(self) -> tuple[Any, Any]:
        choose, langs = self.chooser, self._text.languages
        first, second, near = [], [], []
        for at in sample(choose, range(len(self._text.pairs)), self._recipe.couples):
            pair = self._text.pairs[at]
            asked, answered = choose.choice(langs), choose.choice(langs)
            if choose.random() < self._recipe.own_language:
                answered = asked
            first.append(("query", pair.question, asked))
            second.append(("passage", pair.answer, answered))
            if pair.near:
                near.append(("passage", choose.choice(pair.near), choose.choice((asked, answered))))
        texts = [*first, *second, *near]
        vectors = self._vectors(texts)
        n = len(first)
        return self._alignment(texts, vectors), self._told_apart(vectors[:n], vectors[n : 2 * n], vectors[n:], None)

    def _translated(self) -> tuple[Any, Any]:
        choose, n = self.chooser, self._recipe.couples
        roles = [role for role in Role if self._by_role[role]]
        role = choose.choices(roles, [_SHARE[role] for role in roles])[0]
        first, second = [], []
        for i in sample(choose, self._by_role[role], max(2, n // 2) if role is Role.PASSAGE else n):
            one, other = choose.sample(self._text.languages, 2)
            first.append((choose.choice(_KINDS[role]), i, one))
            second.append((choose.choice(_KINDS[role]), i, other))
        texts = [*first, *second]
        vectors = self._vectors(texts)
        ours, theirs = vectors[: len(first)], vectors[len(first) :]
        # What else is in a text's own language must not be closer to it than its translation.
        return self._alignment(texts, vectors), self._told_apart(ours, theirs, theirs, ours)

    def _told_apart(self, first: Any, second: Any, all_second: Any, own: Any) -> Any:
        right, temperature = torch.arange(len(first)), self._recipe.temperature
        forwards, backwards = first @ all_second.T, second @ first.T
        if own is not None:
            itself = torch.eye(len(first), dtype=torch.bool)
            forwards = torch.cat([forwards, (own @ own.T).masked_fill(itself, -1.0)], dim=1)
            backwards = torch.cat([backwards, (second @ second.T).masked_fill(itself, -1.0)], dim=1)
        losses = [functional.cross_entropy(cosines / temperature, right) for cosines in (forwards, backwards)]
        return (losses[0] + losses[1]) / 2

    def _alignment(self, texts: Sequence[Text], vectors: Any) -> Any:
        return (vectors - self._targets.of(texts)).square().sum(dim=1).mean()

    def _vectors(self, texts: Sequence[Text]) -> Any:
        """Return the student's vectors, computed in two parts of like lengths."""
        words = [PROMPTS[kind] + self._text.items[i].texts[lang] for kind, i, lang in texts]
        order = sorted(range(len(words)), key=lambda i: len(words[i]))
        halves = [half for half in (order[: len(order) // 2], order[len(order) // 2 :]) if half]
        rows = torch.cat([self._student.vectors([words[i] for i in half]) for half in halves])
        place = {i: at for at, i in enumerate(i for half in halves for i in half)}
        return rows[[place[i] for i in range(len(words))]]


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
