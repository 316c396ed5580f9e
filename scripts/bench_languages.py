"""Measures how often the language of a text is told right: passages, questions, and few words of them.

    python scripts/bench_languages.py SET_DIR... --out scripts/results/languages.json

A set is a folder for ``tongues eval`` whose texts have languages. Each text is taken alone; the languages of the set's
questions are expected, as they are in an index of it. Few words are taken from anywhere in a question, once each.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from index.language import detect_language
from scripts.measuring import machine, write_results

_FEW = (3, 2, 1)
_SEED = 17


def few_words(texts: Iterable[tuple[str, str]], n: int) -> Iterator[tuple[str, str]]:
    """Yield n words with letters that stand together, from each text that has so many, with its language."""
    chosen = random.Random(_SEED)
    for text, lang in texts:
        words = [word for word in text.split() if any(char.isalpha() for char in word)]
        if len(words) >= n:
            at = chosen.randrange(len(words) - n + 1)
            yield " ".join(words[at : at + n]), lang


def measure(texts: Iterable[tuple[str, str]], expected: set[str]) -> dict[str, Any]:
    """Return how many texts of each language there are, and the part of them whose language is told right."""
    n: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for text, lang in texts:
        n[lang] += 1
        right[lang] += detect_language(text, expected) == lang
    return {"n": dict(sorted(n.items())), "right": {lang: round(right[lang] / n[lang], 4) for lang in sorted(n)}}


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(sets: tuple[Path, ...], out: Path) -> None:
    """Measure the passages and questions of all sets together."""
    read: dict[str, list[tuple[str, str]]] = {"corpus": [], "queries": []}
    for folder in sets:
        for name, texts in read.items():
            records = map(json.loads, (folder / f"{name}.jsonl").read_text("utf-8").splitlines())
            texts += [(record["text"], record["lang"]) for record in records]
    expected = {lang for _, lang in read["queries"]}
    rows = {"passages": measure(read["corpus"], expected), "questions": measure(read["queries"], expected)}
    for n in _FEW:
        rows[f"{n} word{'s' * (n > 1)} of a question"] = measure(few_words(read["queries"], n), expected)
    write_results(out, {**machine(1), "sets": [folder.name for folder in sets], "rows": rows})


if __name__ == "__main__":
    main()
