"""The command ``tongues``: parses, calls, renders. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from index.config import BuildSettings
from index.version import __version__
from search.cli_ask import search, shell
from search.cli_build import build, build_and_report, refit
from search.cli_completion import completion
from search.cli_doctor import doctor
from search.cli_eval import evaluate_sets
from search.cli_export import export, import_ready
from search.cli_help import STATUSES, VARIABLES, Documented, write_facts
from search.cli_mcp import mcp
from search.cli_options import index_option, quiet_option
from search.cli_serve import serve
from search.cli_update import repair, update
from search.completion import IndexDir
from search.render import render_answer
from search.terminal import plain_errors, progress_for, utf8_streams

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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what holds for all commands."""
        write_facts(formatter, {"Exit status": STATUSES, "Environment": VARIABLES})


@click.group(cls=Tongues, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="tongues")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Ask in one language, find in all.

    \b
    tongues build reports/ --out my-index
    tongues search --index my-index "How do companies keep customers satisfied?"
    """


_COMMANDS = (
    build,
    update,
    refit,
    repair,
    search,
    shell,
    serve,
    mcp,
    evaluate_sets,
    export,
    import_ready,
    doctor,
    completion,
)
for _command in _COMMANDS:
    main.add_command(_command)


@main.command(cls=Documented)
@index_option
@click.option("--json", "as_json", is_flag=True, help="The manifest as JSON.")
@click.option("--left-out", is_flag=True, help="List the lines left out of all passages.")
@click.option("--rejected", is_flag=True, help="List what could not be read.")
def info(directory: str, as_json: bool, left_out: bool, rejected: bool) -> None:
    """Tell what an index holds and how it was made.

    Documents, passages and languages, what was left out or could not be read, the model, how vectors are searched and
    what is found of what exact search finds, size and sources.

    \b
    tongues info --index my-index
    tongues info --index my-index --json
    tongues info --index my-index --rejected
    """
    from index.store import Store
    from search.facts import facts
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
            for label, value in facts(store.manifest):
                click.echo(f"{label:<10} {printable(value)}")


@main.command(cls=Documented, statuses={"0": "The index is whole.", "1": "Something is damaged; every damage is told."})
@index_option
def verify(directory: str) -> None:
    """Check every checksum and count of an index. Exits with status 1 when something is damaged.

    Reads all of it; `tongues repair` makes anew what can be made from what is whole.

    \b
    tongues verify --index my-index
    """
    from index.verifier import verify as verify_index

    problems = verify_index(directory)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise SystemExit(1)
    click.echo(f"{directory}: whole")


@main.command(
    cls=Documented,
    environment={
        "TONGUES_HOME": "Where the offline models are made.  [default: the user's cache folder]",
        "HF_HOME": "Where models from the hub are kept (HF_HUB_CACHE too).",
    },
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models(as_json: bool) -> None:
    """List the models that can be used, what each reads, and whether it is on this machine.

    JSON keys: name, state, note.

    \b
    tongues models
    tongues models --json
    """
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


@main.command(cls=Documented, files={"demo-index": "The index made, in the present folder."})
@click.option(
    "--out", default="demo-index", show_default=True, type=IndexDir(), metavar="DIR", help="Where the index is kept."
)
@quiet_option
def demo(out: str, quiet: bool) -> None:
    """Build an index of the sample corpus and ask it in three languages.

    \b
    tongues demo
    tongues demo --out /tmp/demo-index -q
    """
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
