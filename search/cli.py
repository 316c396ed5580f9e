"""The command ``tongues``: parses, calls, renders. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from index.config import OFFLINE_MODEL, Backend, BuildSettings, ChunkSettings, FieldNames, ModelSettings, Precision
from index.errors import StrictError
from index.version import __version__
from search.terminal import plain_errors, progress_for, utf8_streams

if TYPE_CHECKING:
    from index.builder import BuildReport
    from index.manifest import Manifest
    from index.records import Rejected
    from search.searcher import Searcher

F = TypeVar("F", bound=Callable[..., Any])

DEMO_QUESTIONS = (
    "How can I get my money back for something I bought online?",
    "Kaip mokomi nauji darbuotojai bendrauti su pirkėjais?",
    "گاہکوں کی شکایات سننے کا اچھا طریقہ کیا ہے؟",
)


class Tongues(click.Group):
    """Turns our errors into one line and an exit status, whatever the command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        utf8_streams()
        with plain_errors(traceback=ctx.params["debug"]):
            return super().invoke(ctx)


@click.group(cls=Tongues, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="tongues")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Ask in one language, find in all.

    \b
    tongues build reports/ --out my-index
    tongues search --index my-index "How do companies keep customers satisfied?"
    """


def index_option(command: F) -> F:
    """Add --index, the same for every command that reads an index."""
    return click.option(
        "--index",
        "directory",
        envvar="TONGUES_INDEX",
        show_envvar=True,
        required=True,
        metavar="DIR",
        help="The index directory.",
    )(command)


def backend_options(command: F) -> F:
    """Add --backend and --threads, the same for every command that computes vectors."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(0), default=0, help="Threads of the model.  [default: all cores]"
        ),
        click.option(
            "--backend",
            type=click.Choice(list(Backend)),
            default=Backend.AUTO,
            show_default=True,
            help="What computes: OpenVINO where it can, or torch.",
        ),
    ):
        command = option(command)
    return command


def quiet_option(command: F) -> F:
    """Add -q."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress, notices or summary.")(command)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", required=True, metavar="DIR", help="The index directory: new, empty, or an index to replace.")
@click.option("--model", default=OFFLINE_MODEL, show_default=True, help="A model: see `tongues models`.")
@click.option("--query-prompt", default=None, help="Put before every query.  [default: the model's own]")
@click.option("--passage-prompt", default=None, help="Put before every passage.  [default: the model's own]")
@click.option("--max-tokens", type=int, default=None, help="The most tokens of a passage.")
@click.option("--overlap", type=int, default=None, help="Sentences that a passage shares with the one before.")
@click.option("--text-field", default="text", show_default=True, help="Field of JSON Lines and tables with the text.")
@click.option("--id-field", default="", help="Field with the id.  [default: _id, id or doc_id]")
@click.option("--title-field", default="title", show_default=True, help="Field with the title.")
@click.option("--lang-field", default="lang", show_default=True, help="Field with the language.")
@click.option("--encoding", default="", help="Encoding of the files.  [default: detected file by file]")
@click.option(
    "--precision",
    type=click.Choice(list(Precision)),
    default=Precision.AUTO,
    show_default=True,
    help="Number format: int8 unless torch computes.",
)
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


def build_and_report(sources: Sequence[str], out: str, settings: BuildSettings, *, strict: bool, quiet: bool) -> None:
    """Build an index and tell on standard error what came of it.

    Raises:
        TonguesError: As ``index.build``.
    """
    from index.builder import build as build_index

    try:
        report = build_index(sources, out, settings=settings, strict=strict, progress=progress_for(quiet))
    except StrictError as error:
        _show_rejected(error.rejected)
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"The index in {out} is as it was.") from None
    _show_rejected(report.rejected)
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
    )


def _show_rejected(rejected: Sequence[Rejected]) -> None:
    from search.render import printable

    shown = 20
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
    parts += [f"{left_out:,} lines left out"] if left_out else []
    parts += [f"{report.duplicates:,} repeated passages"] if report.duplicates else []
    parts += [f"{len(report.rejected):,} not read"] if report.rejected else []
    click.echo(", ".join(parts) + ".", err=True)


@main.command()
@click.argument("query", metavar="QUERY")
@index_option
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many passages.")
@click.option("--lang", default=None, metavar="LANGS", help="Only these languages, for example te,fa.")
@click.option("--per-language", type=click.IntRange(1), default=None, metavar="N", help="The N best of each language.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--model", default=None, help="The index's model: its folder now, or its hub id to fetch it.")
@backend_options
@quiet_option
def search(
    query: str,
    directory: str,
    k: int,
    lang: str | None,
    per_language: int | None,
    as_json: bool,
    model: str | None,
    backend: str,
    threads: int,
    quiet: bool,
) -> None:
    """Find the passages closest to QUERY, in all languages. "-" reads one query a line from standard input.

    JSON keys: query, rank, score, lang, source, doc_id, title, passage_id, start, end, text, metadata, also_in,
    n_places. start and end count characters of the document's text as read; also_in lists the first 20 other places of
    the very same passage, n_places counts them all and this one.

    \b
    tongues search --index my-index "How do companies keep customers satisfied?"
    tongues search --index my-index --lang te,fa --json "کیفیت خدمات"
    tongues search --index my-index --per-language 3 - < questions.txt
    """
    source = click.get_current_context().get_parameter_source("k")
    if per_language is not None and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("-k is not used with --per-language; drop one.")
    if query != "-" and not query.strip():
        raise click.UsageError("the query is empty; ask with at least one word.")
    from search.searcher import Searcher

    with Searcher.open(
        directory, model=model, backend=backend, threads=threads, progress=progress_for(quiet)
    ) as searcher:
        # A question from a pipe is answered at once, so that another program may ask and wait.
        lines = sys.stdin if query == "-" else [query]
        for line in lines:
            asked = line.strip()
            if not asked:
                continue
            _notice_length(searcher, asked, quiet)
            hits = searcher.search(asked, k, lang=lang, per_language=per_language)
            if as_json:
                for hit in hits:
                    click.echo(json.dumps(hit.to_dict(), ensure_ascii=False))
            else:
                _show_hits(searcher, asked, hits, per_language is not None)
            sys.stdout.flush()


def _notice_length(searcher: Searcher, query: str, quiet: bool) -> None:
    unread = searcher.unread_tokens(query)
    if unread and not quiet:
        click.echo(f"Notice: the query is {unread} tokens longer than the model reads; its end is not used.", err=True)


def _show_hits(searcher: Searcher, query: str, hits: Sequence[Any], grouped: bool) -> None:
    import shutil

    from search.render import isolate, render_hits, snippet

    width = shutil.get_terminal_size((100, 24)).columns
    click.echo(f"{searcher.detect_language(query)}  {isolate(snippet(query, 2 * width))}")
    for line in render_hits(hits, width=width, grouped=grouped):
        click.echo(line)
    click.echo()


@main.command()
@index_option
@click.option("--json", "as_json", is_flag=True, help="The manifest as JSON.")
@click.option("--left-out", is_flag=True, help="List the lines left out of all passages.")
@click.option("--rejected", is_flag=True, help="List what could not be read.")
def info(directory: str, as_json: bool, left_out: bool, rejected: bool) -> None:
    """Tell what an index holds and how it was made."""
    from index.store import Store
    from search.render import isolate, place, printable

    if as_json + left_out + rejected > 1:
        raise click.UsageError("--json, --left-out and --rejected are three different answers; give one of them.")
    with Store.open(directory) as store:
        if as_json:
            click.echo(store.manifest.to_json(), nl=False)
        elif left_out:
            for source, doc_id, start, end, kind, text in store.left_out():
                where = isolate(place(source, doc_id))
                click.echo(f"{kind:<9} {where}:{start}-{end}  {isolate(' '.join(text.split()))}")
        elif rejected:
            for where, reason in store.rejected():
                click.echo(printable(f"{where}: {reason}"))
        else:
            for label, value in _facts(store.manifest):
                click.echo(f"{label:<10} {printable(value)}")


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    counts, encoder = manifest.counts, manifest.encoder
    chunking = manifest.settings.get("chunking", {})
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in counts.left_out.items())
    return [
        ("documents", f"{counts.documents:,}"),
        ("passages", f"{counts.passages:,}"),
        ("languages", ", ".join(f"{lang} {n:,}" for lang, n in counts.languages.items())),
        ("repeated", f"{counts.duplicates:,} passages stand in more than one place and are indexed once"),
        ("left out", f"{sum(counts.left_out.values()):,} lines" + (f" ({kinds}; see --left-out)" if kinds else "")),
        ("not read", f"{counts.rejected:,} files or records" + (" (see --rejected)" if counts.rejected else "")),
        ("model", f"{encoder.model}: {encoder.dim} numbers a vector, reads {encoder.max_tokens} tokens"),
        ("prompts", f"query {encoder.query_prompt!r}, passage {encoder.passage_prompt!r}"),
        ("chunking", ", ".join(f"{name} {value}" for name, value in chunking.items())),
        ("vectors", f"{manifest.kind}, {manifest.metric}"),
        ("size", f"{sum(record.size for record in manifest.files.values()) / 1e6:,.1f} MB"),
        ("created", f"{manifest.created} by version {manifest.tool_version}"),
        ("sources", ", ".join(manifest.sources)),
    ]


@main.command()
@index_option
def verify(directory: str) -> None:
    """Check every checksum and count of an index. Exits with status 1 when something is damaged."""
    from index.store import verify as verify_index

    problems = verify_index(directory)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise SystemExit(1)
    click.echo(f"{directory}: whole")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models(as_json: bool) -> None:
    """List the models that can be used, what each reads, and whether it is on this machine."""
    from search.model_list import list_models

    rows = list_models()
    for row in rows:
        if as_json:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(f"{row['name']:<42} {row['state']:<28} {row['note']}")
    if not as_json:
        click.echo(
            "\nAny other sentence-transformers model works too: --model HUB_ID or --model FOLDER. Only a hub id that is"
            "\nnot on this machine uses the network.",
            err=True,
        )


@main.command()
@click.option("--out", default="demo-index", show_default=True, metavar="DIR", help="Where the index is kept.")
@quiet_option
def demo(out: str, quiet: bool) -> None:
    """Build an index of the sample corpus and ask it in three languages."""
    from index.sample_corpus import SAMPLES
    from search.searcher import Searcher

    progress = progress_for(quiet)
    here = Path.cwd()
    samples = SAMPLES.relative_to(here) if SAMPLES.is_relative_to(here) else SAMPLES
    build_and_report([str(samples)], out, BuildSettings(), strict=False, quiet=quiet)
    click.echo()
    with Searcher.open(out, progress=progress) as searcher:
        for question in DEMO_QUESTIONS:
            _show_hits(searcher, question, searcher.search(question, per_language=1), True)
    click.echo(f'Ask it yourself: tongues search --index {out} "your question, in any of its languages"')
