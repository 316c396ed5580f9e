"""Makes a set for `tongues eval` of parallel text: python scripts/make_eval_set.py FILE... --out SET_DIR.

Every question is asked in every language of the text. Right is its answer, in all of them; the other passages and
sentences of the files, in all languages, are in the pool too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from scripts.training_items import Role, read_training_text, text_files


def write_set(paths: Iterable[Path], out: Path) -> tuple[int, int]:
    """Write corpus.jsonl, queries.jsonl and qrels.tsv; returns how many documents and queries they have.

    Raises:
        InputError: When the text cannot be read.
    """
    text = read_training_text(text_files(paths))
    asked = {pair.question: pair.answer for pair in text.pairs}
    documents = [i for i, item in enumerate(text.items) if item.role is not Role.QUESTION]
    corpus = [
        {"_id": f"{i}-{lang}", "text": text.items[i].texts[lang], "lang": lang}
        for i in documents
        for lang in text.languages
    ]
    queries = [
        {"_id": f"q{i}-{lang}", "text": text.items[i].texts[lang], "lang": lang}
        for i in asked
        for lang in text.languages
    ]
    right = [
        f"q{question}-{asking}\t{answer}-{lang}\t1"
        for question, answer in asked.items()
        for asking in text.languages
        for lang in text.languages
    ]
    out.mkdir(parents=True, exist_ok=True)
    for name, records in (("corpus", corpus), ("queries", queries)):
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (out / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    (out / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *right, ""]), "utf-8")
    return len(corpus), len(queries)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(paths: tuple[Path, ...], out: Path) -> None:
    """Write a set of the files and folders named."""
    documents, queries = write_set(paths, out)
    click.echo(f"{out}: {documents:,} documents, {queries:,} queries")


if __name__ == "__main__":
    main()
