"""The model that learns: low-rank matrices added to its linear layers, and the vectors it had before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from index.config import ModelSettings
from index.encoder import token_batches
from index.learned_delta import LowRank
from index.models import find_model
from index.prompts import resolve_prompts
from index.text import for_model
from index.torch_encoder import load, max_tokens, quiet
from scripts.training_items import TrainingText
from scripts.training_recipe import KINDS, Recipe

_BATCH_TOKENS = 2048
_KEPT_AFTER = 1000
"""Texts after which the base's vectors are kept on disk."""


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
        self.tokens = min(recipe.tokens, max_tokens(self.model))
        prompts = resolve_prompts(self.files.folder, self.files.name)
        self._prompts = {"query": prompts.query, "passage": prompts.passage}
        self.layers: dict[str, LowRankLinear] = {}
        transformer = self.model[0].auto_model
        for parameter in self.model.parameters():
            parameter.requires_grad = False
        for name, module in list(transformer.named_modules()):
            if isinstance(module, torch.nn.Linear) and not name.startswith("pooler"):
                self.layers[name] = LowRankLinear(module, recipe.rank)
                parent, _, attribute = name.rpartition(".")
                setattr(transformer.get_submodule(parent), attribute, self.layers[name])

    def asked(self, kind: str, text: str) -> str:
        """Return a text as the model reads it as a ``query`` or a ``passage``."""
        return self._prompts[kind] + for_model(text)

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
    # Another base, or another limit of tokens, gives other vectors.
    file = folder / f"base-vectors-{student.files.weights_hash[:12]}-{student.tokens}.npz"
    known: dict[str, NDArray[np.float32]] = {}
    if file.exists():
        with np.load(file) as kept:
            known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
    wanted = {
        student.asked(kind, words) for item in text.items for kind in KINDS[item.role] for words in item.texts.values()
    }
    missing = sorted(wanted - set(known))
    with torch.no_grad(), click.progressbar(length=len(missing), label="vectors of the base") as bar:
        for at in range(0, len(missing), _KEPT_AFTER):
            part = missing[at : at + _KEPT_AFTER]
            with quiet():
                lengths = [len(ids) for ids in student.model.tokenizer(part)["input_ids"]]
            for batch in token_batches([min(n, student.tokens) for n in lengths], _BATCH_TOKENS):
                some = [part[i] for i in batch]
                known.update(zip(some, student.vectors(some).numpy(), strict=True))
                bar.update(len(batch))
            new = file.with_suffix(".new.npz")
            np.savez(new, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
            new.replace(file)
    return known
