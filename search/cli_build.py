"""``tongues build``: options to settings, and what came of it told on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from index.config import (
    OFFLINE_MODEL,
    BuildSettings,
    ChunkSettings,
    FieldNames,
    IndexKind,
    ModelSettings,
    Precision,
    VectorNumbers,
)
from index.errors import StrictError
from search.cli_help import Documented
from search.cli_options import backend_options, choice_option, index_option, model_option, quiet_option
from search.completion import IndexDir, ModelName
from search.terminal import progress_for, terminable

if TYPE_CHECKING:
    from index.ahead import Ahead
    from index.builder import BuildReport
    from index.records import Rejected


@click.command(
    cls=Documented,
    statuses={"1": "An error, told in one line; with --strict also when anything could not be read."},
    environment={"TONGUES_MILVUS_TOKEN": "The token, or user:password, of a Milvus server."},
    files={
        "DIR": "The index. What is there is replaced only when the new one is complete.",
        "DIR/embedded": "What was embedded so far, until the end of a build: one that was killed goes on from there.",
    },
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.option(
    "--out",
    required=True,
    type=IndexDir(),
    metavar="DIR",
    help="The index directory: new, empty, or an index to replace.",
)
@click.option(
    "--model",
    default=OFFLINE_MODEL,
    type=ModelName(),
    metavar="MODEL",
    show_default=True,
    help="A model: see `tongues models`.",
)
@click.option("--query-prompt", default=None, help="Put before every query.  [default: the model's own]")
@click.option("--passage-prompt", default=None, help="Put before every passage.  [default: the model's own]")
@click.option("--max-tokens", type=int, default=None, help="The most tokens of a passage.")
@click.option("--overlap", type=int, default=None, help="Sentences that a passage shares with the one before.")
@click.option(
    "--sentences/--no-sentences",
    default=True,
    show_default=True,
    help="A vector for every sentence too: finer ranking, for twice the embedding.",
)
@click.option(
    "--parallel",
    default="",
    type=click.Path(),
    metavar="FILE",
    help="Texts that say the same in your languages, to balance them by: see `tongues refit`.",
)
@choice_option("--kind", IndexKind.AUTO, "How vectors are searched; auto goes by the number of passages.")
@choice_option("--vectors", VectorNumbers.FLOAT32, "Number format of the passages' vectors on disk.")
@click.option(
    "--store",
    default="",
    metavar="milvus:URI",
    help="Keep passages and vectors in Milvus: milvus:FILE.db, or milvus:https://HOST:PORT.  [default: files in --out]",
)
@click.option("--text-field", default="text", show_default=True, help="Field of JSON Lines and tables with the text.")
@click.option("--id-field", default="", help="Field with the id.  [default: _id, id or doc_id]")
@click.option("--title-field", default="title", show_default=True, help="Field with the title.")
@click.option("--lang-field", default="lang", show_default=True, help="Field with the language.")
@click.option("--encoding", default="", help="Encoding of the files.  [default: detected file by file]")
@choice_option("--precision", Precision.AUTO, "Number format: int8 unless torch computes.")
@backend_options
@click.option(
    "--strict", is_flag=True, help="Keep the old index, and exit with status 1, when anything could not be read."
)
@quiet_option
def build(paths: Sequence[str], out: str, strict: bool, quiet: bool, **options: Any) -> None:
    """Build an index of files and folders.

    Reads .txt, .md, .jsonl, .csv and .tsv. Folders are walked; a pattern such as 'docs/**/*.md' may be quoted.
    An index in --out stays in use until the new one is complete.

    \b
    tongues build reports/ letters.jsonl --out my-index
    tongues build corpus.csv --text-field body --id-field number --out my-index
    """
    build_and_report(paths, out, _settings(options), strict=strict, quiet=quiet)


@click.command(cls=Documented, files={"DIR": "The index. A new generation of it shares all files but the balance."})
@index_option
@model_option
@click.option(
    "--parallel",
    default=None,
    type=click.Path(),
    metavar="FILE",
    help="Texts that say the same in several languages, one JSON object a line.  [default: as it was built]",
)
@backend_options
@quiet_option
def refit(directory: str, model: str | None, parallel: str | None, backend: str, threads: int, quiet: bool) -> None:
    """Fit an index's balance of languages anew; nothing is embedded again but the parallel texts.

    The project's own texts are in English, Telugu, Persian, Lithuanian and Urdu; other languages are estimated from
    their passages. Some fifty sentences that say the same in your languages, and in one of these five, balance yours
    better; --parallel '' goes back to the project's own alone.

    \b
    tongues refit --index my-index --parallel sentences.jsonl
    tongues refit --index my-index --parallel ''
    """
    from index.refit import refit as refit_index
    from search.cli_update import opener
    from search.facts import told_fitted

    progress = progress_for(quiet)
    encoder = opener(model, backend, threads, progress)
    manifest = refit_index(directory, encoder, parallel=parallel, progress=progress)
    if not quiet:
        click.echo(f"{directory}: balanced anew ({told_fitted(manifest)}).", err=True)


def build_and_report(
    sources: Sequence[str],
    out: str,
    settings: BuildSettings,
    *,
    strict: bool,
    quiet: bool,
    ahead: Ahead | None = None,
) -> None:
    """Build an index and tell on standard error what came of it; arguments as ``index.build`` has them.

    Raises:
        TonguesError: As ``index.build``.
    """
    from index.builder import build as build_index

    progress = progress_for(quiet)
    try:
        with terminable():
            report = build_index(sources, out, settings=settings, strict=strict, progress=progress, ahead=ahead)
    except StrictError as error:
        show_rejected(error.rejected, quiet=quiet)
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"What is in {out} is as it was. Run the same again: what was embedded is kept."
        ) from None
    show_rejected(report.rejected, quiet=quiet)
    if not quiet:
        _show_report(report)


def _settings(options: dict[str, Any]) -> BuildSettings:
    chunking = {"max_tokens": options["max_tokens"], "overlap_sentences": options["overlap"]}
    return BuildSettings(
        model=ModelSettings(
            name=options["model"],
            query_prompt=options["query_prompt"],
            passage_prompt=options["passage_prompt"],
            backend=options["backend"],
            precision=options["precision"],
            threads=options["threads"],
        ),
        chunking=ChunkSettings(**{name: value for name, value in chunking.items() if value is not None}),
        fields=FieldNames(
            text=options["text_field"],
            id=options["id_field"],
            title=options["title_field"],
            lang=options["lang_field"],
        ),
        encoding=options["encoding"],
        sentences=options["sentences"],
        parallel=options["parallel"],
        kind=options["kind"],
        vectors=options["vectors"],
        store=options["store"],
    )


def show_rejected(rejected: Sequence[Rejected], *, quiet: bool = False) -> None:
    """Tell on standard error what could not be read; when quiet, nothing of what nobody asked for."""
    from search.render import printable

    shown = 20
    rejected = [one for one in rejected if not (quiet and one.passed_over)]
    for one in rejected[:shown]:
        click.echo(printable(f"{'passed over' if one.passed_over else 'not read'}: {one}"), err=True)
    if len(rejected) > shown:
        click.echo(f"not read: {len(rejected) - shown:,} more; see `tongues info --rejected`", err=True)


def _show_report(report: BuildReport) -> None:
    languages = ", ".join(f"{lang} {n:,}" for lang, n in report.languages.items())
    parts = [
        f"{report.out}: {report.documents:,} documents, {report.passages:,} passages ({languages})",
        f"in {report.seconds:.0f} s",
    ]
    left_out = sum(report.left_out.values())
    parts += [f"{report.passages - report.embedded:,} known before"] if report.embedded < report.passages else []
    parts += [f"{left_out:,} lines left out"] if left_out else []
    parts += [f"{report.duplicates:,} repeated passages"] if report.duplicates else []
    parts += [f"{len(report.rejected):,} not read"] if report.rejected else []
    click.echo(", ".join(parts) + ".", err=True)
