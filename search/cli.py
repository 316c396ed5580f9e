"""The command ``tongues``: parses, calls, renders. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from index.config import BuildSettings
from index.version import __version__
from search.cli_ask import search, shell
from search.cli_build import build, build_and_report, refit, told_fitted
from search.cli_eval import evaluate_sets
from search.cli_export import export, import_ready
from search.cli_mcp import mcp
from search.cli_options import index_option, quiet_option
from search.cli_update import repair, update
from search.render import render_answer
from search.terminal import plain_errors, progress_for, utf8_streams

if TYPE_CHECKING:
    from index.manifest import Manifest, Segment

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


for _command in (build, update, refit, repair, search, shell, evaluate_sets, export, import_ready, mcp):
    main.add_command(_command)


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
            for source, doc_id, start, end, kind, text in store.documents.left_out():
                where = isolate(place(source, doc_id))
                click.echo(f"{kind:<9} {where}:{start}-{end}  {isolate(' '.join(text.split()))}")
        elif rejected:
            for where, reason in store.documents.rejected():
                click.echo(printable(f"{where}: {reason}"))
        else:
            for label, value in _facts(store.manifest):
                click.echo(f"{label:<10} {printable(value)}")


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    counts, encoder, precision = manifest.counts, manifest.encoder, manifest.encoder.precision
    chunking = manifest.settings.get("chunking", {})
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in counts.left_out.items())
    return [
        ("documents", f"{counts.documents:,}"),
        ("passages", f"{counts.passages:,}"),
        ("languages", ", ".join(f"{lang} {n:,}" for lang, n in counts.languages.items())),
        ("repeated", f"{counts.duplicates:,} passages stand in more than one place and are indexed once"),
        ("left out", f"{sum(counts.left_out.values()):,} lines" + (f" ({kinds}; see --left-out)" if kinds else "")),
        ("not read", f"{counts.rejected:,} files or records" + (" (see --rejected)" if counts.rejected else "")),
        ("model", f"{encoder.model}: {encoder.dim} numbers a vector, reads {encoder.max_tokens} tokens, {precision}"),
        ("prompts", f"query {encoder.query_prompt!r}, passage {encoder.passage_prompt!r}"),
        ("chunking", ", ".join(f"{name} {value}" for name, value in chunking.items())),
        ("sentences", f"{counts.sentences:,} with a vector of their own"),
        ("vectors", manifest.metric),
        ("kept in", f"{manifest.store}, {manifest.collection}" if manifest.store else "files"),
        ("segments", "; ".join(map(_segment, manifest.segments)) + f"; {manifest.dead:,} passages dead"),
        ("balance", f"{manifest.balance:.0%} of the languages' offsets: {told_fitted(manifest)}"),
        ("size", f"{sum(record.size for record in manifest.files.values()) / 1e6:,.1f} MB"),
        ("created", f"{manifest.created} by version {manifest.tool_version}"),
        ("sources", ", ".join(manifest.sources)),
    ]


def _segment(segment: Segment) -> str:
    """Return what is in a segment, in words."""
    found = segment.recall.get("recall")
    measured = f" that finds {found:.1%} of what exact search finds" if isinstance(found, float) else ""
    return f"{segment.rows:,} passages in {segment.numbers}, vector index {segment.kind}{measured}"


@main.command()
@index_option
def verify(directory: str) -> None:
    """Check every checksum and count of an index. Exits with status 1 when something is damaged."""
    from index.verifier import verify as verify_index

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
            hits = searcher.search(question, per_language=1)
            width = shutil.get_terminal_size((100, 24)).columns
            seen = searcher.detect_language(question)
            for line in render_answer(question, seen, hits, width=width, grouped=True):
                click.echo(line)
            click.echo()
    click.echo(f'Ask it yourself: tongues search --index {out} "your question, in any of its languages"')


def run() -> None:
    """Run the command as a program: as ``main``, and end at once.

    Python's own way out takes a tenth of a second to take OpenVINO and what it compiled apart, which the system does
    anyway.
    """
    status: object = 0
    try:
        try:
            main(prog_name="tongues")
        except SystemExit as end:
            status = end.code
        if sys.stdout is not None:  # None where the caller closed it
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough
        pass
    except OSError as error:
        if error.filename is not None:
            raise
        status = f"Error: the output cannot be written ({error.strerror or error})."
    if status is not None and not isinstance(status, int):  # a message, as sys.exit has it
        print(status, file=sys.stderr)
        status = 1
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(status or 0)
