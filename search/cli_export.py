"""``tongues export`` and ``tongues import``: passages with their vectors, out of an index and into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from index.config import BuildSettings, IndexKind, ModelSettings, Precision, VectorNumbers
from search.cli_help import Documented
from search.cli_options import backend_options, choice_option, index_option, quiet_option
from search.terminal import progress_for

if TYPE_CHECKING:
    from index.importer import ImportReport


@click.command(cls=Documented)
@index_option
@click.option(
    "--out",
    required=True,
    metavar="FILE.parquet|DIR",
    help="A Parquet file, or a new or empty folder for JSON and NumPy.",
)
@click.option("--vectors/--no-vectors", default=True, show_default=True, help="Write the vectors too.")
@quiet_option
def export(directory: str, out: str, vectors: bool, quiet: bool) -> None:
    """Write all passages with their vectors, for other programs.

    A folder gets passages.jsonl, vectors.npy (row i is the vector of line i) and manifest.json. What made the vectors
    is told in the manifest, or in the metadata of the Parquet schema. Parquet needs manytongues[parquet].

    \b
    tongues export --index my-index --out passages.parquet
    tongues export --index my-index --out exported/
    """
    from index.exporter import export as export_index

    try:
        report = export_index(directory, out, vectors=vectors, progress=progress_for(quiet))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Nothing was written to {out}.") from None
    if not quiet:
        what = f" with vectors of {report.dim} numbers" if report.dim else " without vectors"
        click.echo(f"{out}: {report.passages:,} passages{what}, {report.n_bytes / 1e6:,.1f} MB.", err=True)
        if report.left_out:
            click.echo(f"{report.left_out:,} further places of passages are not written: 21 of each are.", err=True)


@click.command("import", cls=Documented)
@click.argument("source", metavar="FILE|DIR")
@click.option("--out", required=True, metavar="DIR", help="The index directory: new, empty, or an index to replace.")
@click.option("--model", default=None, help="The model that made the vectors.  [default: what an export tells]")
@click.option("--vector-file", default=None, metavar="FILE.npy", help="Vectors of a .jsonl file: row i is of record i.")
@click.option("--text-field", default="text", show_default=True, help="Column with the text.")
@click.option(
    "--vector-field", default="", help="Column with the vector.  [default: vector, embedding(s), emb or values]"
)
@click.option("--id-field", default="", help="Column with the id.  [default: _id, id or doc_id]")
@click.option("--source-field", default="source", show_default=True, help="Column with the source.")
@click.option("--title-field", default="title", show_default=True, help="Column with the title.")
@click.option("--lang-field", default="lang", show_default=True, help="Column with the language; detected where empty.")
@click.option(
    "--context-field",
    default="context",
    show_default=True,
    help="Column with what was embedded on a line above the text.",
)
@click.option("--query-prompt", default=None, help="Put before every query.  [default: the model's own]")
@click.option("--passage-prompt", default=None, help="Was put before every text.  [default: the model's own]")
@click.option(
    "--sentences/--no-sentences",
    default=True,
    show_default=True,
    help="Embed the sentences of passages: finer ranking.",
)
@choice_option("--kind", IndexKind.AUTO, "How vectors are searched; auto goes by the number of passages.")
@choice_option("--vectors", VectorNumbers.FLOAT32, "Number format of the passages' vectors on disk.")
@click.option(
    "--store", default="", metavar="milvus:URI", help="Keep passages and vectors in Milvus: see `tongues build`."
)
@choice_option("--precision", Precision.AUTO, "Number format of the model: int8 unless torch computes.")
@backend_options
@click.option("--strict", is_flag=True, help="Keep the old index, and exit with status 1, when a row cannot be used.")
@quiet_option
def import_ready(
    source: str, out: str, model: str | None, vector_file: str | None, strict: bool, quiet: bool, **options: Any
) -> None:
    """Make an index of passages that have vectors already.

    Takes what `tongues export` wrote, Parquet (a file, or a folder of some) and .jsonl; further columns become
    metadata. Some rows are embedded by the model and compared: vectors of another model are refused. Sentences are
    embedded, which takes about half as long as a build; --no-sentences embeds nothing.

    \b
    tongues import passages.parquet --out my-index
    tongues import wiki.parquet --vector-field emb --model intfloat/multilingual-e5-small --out wiki-index
    tongues import docs.jsonl --vector-file docs.npy --model e5-small --out my-index
    """
    from index.errors import StrictError
    from index.importer import import_passages
    from index.ready import ReadyFields
    from search.cli_build import show_rejected

    names = ("text", "vector", "id", "source", "title", "lang", "context")
    fields = ReadyFields(**{name: options[f"{name}_field"] for name in names})
    kept = ("query_prompt", "passage_prompt", "backend", "precision", "threads")
    settings = BuildSettings(
        model=ModelSettings(**{name: options[name] for name in kept}),
        **{name: options[name] for name in ("sentences", "kind", "vectors", "store")},
    )
    try:
        report = import_passages(
            source,
            out,
            model=model,
            fields=fields,
            vectors=vector_file,
            settings=settings,
            strict=strict,
            progress=progress_for(quiet),
        )
    except StrictError as error:
        show_rejected(error.rejected, quiet=quiet)
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"What is in {out} is as it was. Run the same again: sentences embedded are kept."
        ) from None
    show_rejected(report.build.rejected, quiet=quiet)
    if not quiet:
        click.echo(_told(report), err=True)


def _told(report: ImportReport) -> str:
    """Return what an import did, in one line."""
    made = report.build
    languages = ", ".join(f"{lang} {n:,}" for lang, n in made.languages.items())
    parts = [f"{made.out}: {made.documents:,} documents, {made.passages:,} passages ({languages})"]
    parts += [f"in {made.seconds:.0f} s"]
    parts += [f"{made.duplicates:,} repeated passages"] if made.duplicates else []
    parts += [f"{len(made.rejected):,} rows not used"] if made.rejected else []
    return ", ".join(parts) + "."
