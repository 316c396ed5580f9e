"""Looks for mistakes in text that a model is trained with: form, languages, lengths, repetitions, what tests use.

    python scripts/check_training_text.py                        # the project's own
    python scripts/check_training_text.py my-text/ --not-in corpus.jsonl --vectors

Each finding is a line with file and line; exit status 1 when there are any. ``--vectors`` also lists, without counting
them, the items whose translations are farther apart than those of their like: most say something else, or less.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import numpy as np
import regex

from index import ModelSettings, open_encoder
from index.errors import InputError
from index.language import detect_language
from index.lines import placed_lines
from index.parallel import PARALLEL_TEXT
from index.sample_corpus import SAMPLES, read_questions
from scripts.training_items import TEXT, Role, TrainingText, read_training_text, text_files

_GRAM = 10
"""Words in a row that are taken for copied."""
_SHORTEST_CHECKED = 40
"""Characters from which on a language is detected."""
_LENGTHS = (0.5, 1.9)
"""How many times as long as usual in its language, against the first one, a translation may be.

Source: what the project's text has, and a little more."""
_USUAL = 30
"""Items from which on what is usual in a language is known; before, it is taken to be the same length."""
_ODD = 3.5
"""Standard deviations below the mean of its role at which an item's agreement is listed."""
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}\u200c]+")


def grams(text: str) -> set[tuple[str, ...]]:
    """Return all runs of ten words of a text, in lower case."""
    words = _WORD.findall(text.lower())
    return {tuple(words[i : i + _GRAM]) for i in range(len(words) - _GRAM + 1)}


def sample_texts() -> Iterator[str]:
    """Yield the sample corpus and its questions, which measure a model."""
    for path in sorted(SAMPLES.glob("*/*")):
        yield path.read_text("utf-8")
    for question in read_questions():
        yield question.text


def texts_of(path: Path) -> Iterator[str]:
    """Yield the texts of a file of a set: the field ``text`` of JSON Lines."""
    for where, line in placed_lines(path):
        try:
            yield str(json.loads(line)["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{where}: is no object with the field 'text'. Name JSON Lines of a set.") from error


def findings(text: TrainingText, measured: Iterable[str]) -> Iterator[str]:
    """Yield what looks wrong, each with its place.

    Args:
        text: What is looked at.
        measured: Texts that measure a model; none of their runs of ten words may occur.
    """
    seen: dict[tuple[str, str], str] = {}
    measured = list(measured)
    taken = set[tuple[str, ...]]().union(*map(grams, measured))
    whole = {words.strip().lower() for words in measured}
    main, usual = text.languages[0], _usual_lengths(text)
    for item in text.items:
        length = len(item.texts[main])
        for lang, words in item.texts.items():
            short = f"{words[:50]}…"
            if (lang, words) in seen:
                yield f"{item.where}: {lang}: the same text as in {seen[lang, words]}: {short}"
            seen[lang, words] = item.where
            if len(words) >= _SHORTEST_CHECKED and (detected := detect_language(words, item.texts)) != lang:
                yield f"{item.where}: {lang}: looks like {detected}: {short}"
            ratio = len(words) / length / usual[lang]
            if length > _SHORTEST_CHECKED and not _LENGTHS[0] < ratio < _LENGTHS[1]:
                yield f"{item.where}: {lang}: {ratio:.2f} times as long as usual beside the {main} text: {short}"
            if words.strip().lower() in whole:
                yield f"{item.where}: {lang}: is a text of a set that measures: {short}"
            for gram in sorted(grams(words) & taken)[:1]:
                yield f"{item.where}: {lang}: ten words in a row are of a set that measures: {' '.join(gram)}"


def _usual_lengths(text: TrainingText) -> dict[str, float]:
    """Return how long the texts of each language usually are for one character of the first language."""
    if len(text.items) < _USUAL:
        return dict.fromkeys(text.languages, 1.0)
    main = text.languages[0]
    ratios = {lang: [len(item.texts[lang]) / len(item.texts[main]) for item in text.items] for lang in text.languages}
    return {lang: float(np.median(values)) for lang, values in ratios.items()}


def disagreements(text: TrainingText) -> Iterator[str]:
    """Yield the items whose translations are farther apart than those of their like, the worst first."""
    encoder = open_encoder(ModelSettings())
    rows = []
    for role in Role:
        items = [item for item in text.items if item.role is role]
        if len(items) < len(text.languages):
            continue
        vectors = {lang: encoder.encode_passages([item.texts[lang] for item in items]) for lang in text.languages}
        for lang in text.languages:
            others = np.sum([vectors[other] for other in text.languages if other != lang], axis=0)
            agreement = np.einsum("ij,ij->i", vectors[lang], others) / np.linalg.norm(others, axis=1)
            away = (agreement - agreement.mean()) / agreement.std()
            rows += [
                (a, f"{items[i].where}: {lang}: {a:+.1f}: {items[i].texts[lang][:70]}…") for i, a in enumerate(away)
            ]
    yield from (row for away, row in sorted(rows) if away < -_ODD)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--not-in", multiple=True, type=click.Path(exists=True, path_type=Path), help="Files of sets that measure."
)
@click.option("--vectors", is_flag=True, help="List items whose translations are far apart, too.")
def main(paths: tuple[Path, ...], not_in: tuple[Path, ...], vectors: bool) -> None:
    """Check the project's text, or the files and folders named."""
    text = read_training_text(text_files(paths or (TEXT, PARALLEL_TEXT)))
    found = list(findings(text, [*sample_texts(), *(words for path in not_in for words in texts_of(path))]))
    odd = list(disagreements(text)) if vectors else []
    for line in [*found, *odd]:
        click.echo(line)
    counts = ", ".join(f"{sum(item.role is role for item in text.items)} {role}s" for role in Role)
    click.echo(f"{len(text.items)} items ({counts}), {len(text.pairs)} pairs: {len(found)} findings", err=True)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
