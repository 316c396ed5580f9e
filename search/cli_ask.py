"""``tongues search`` and ``tongues shell``: questions in, passages out."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from search.cli_help import Documented
from search.cli_options import (
    F,
    backend_options,
    color_option,
    index_option,
    model_option,
    quiet_option,
    ranking_options,
)
from search.completion import Languages
from search.paint import paint_for
from search.rank_settings import RankSettings
from search.render import json_line, printable, render_answer
from search.terminal import progress_for

if TYPE_CHECKING:
    from search.hits import Hit
    from search.searcher import Searcher


def ask_options(command: F) -> F:
    """Add the options that say what is searched, and by which model."""
    for option in (
        quiet_option,
        ranking_options,
        backend_options,
        model_option,
        click.option(
            "--per-language", type=click.IntRange(1), default=None, metavar="N", help="The N best of each language."
        ),
        click.option(
            "--lang",
            default=None,
            type=Languages(),
            metavar="LANGS",
            help="Only these languages, for example te,fa.",
        ),
        click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many passages."),
        index_option,
    ):
        command = option(command)
    return command


class _Search(Documented):
    """``tongues search``: its --open may go without a number, and takes no word of the question for one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write a bare --open as click parses it."""
        return super().parse_args(ctx, with_number(args))


def with_number(args: list[str]) -> list[str]:
    """Return arguments in which every --open has its value behind "=", 1 where no number follows."""
    rest = list(args)
    done: list[str] = []
    while rest:
        one = rest.pop(0)
        if one == "--":
            return [*done, one, *rest]
        if one == "--open":
            is_number = bool(rest) and re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*:)?[0-9]{1,9}", rest[0]) is not None
            one = f"--open={rest.pop(0) if is_number else 1}"
        done.append(one)
    return done


@click.command(
    cls=_Search,
    environment={
        "VISUAL, EDITOR": "The editor that --open opens text in, at the line.",
        "BROWSER": "What --open opens PDF and HTML in.",
    },
    files={"DIR": "The index. It is read, never written."},
)
@click.argument("words", nargs=-1, required=True, metavar="QUERY")
@ask_options
@color_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--explain", is_flag=True, help="Show what each score is made of, and the words that count for it.")
@click.option(
    "--open",
    "opened_hit",
    default=None,
    metavar="[N]",
    help="Open the source of hit N at the passage; te:2 is the 2nd of te with --per-language.  [default N: 1]",
)
def search(
    words: tuple[str, ...],
    k: int,
    lang: str | None,
    per_language: int | None,
    mode: str,
    balance: str,
    as_json: bool,
    explain: bool,
    color: str,
    opened_hit: str | None,
    quiet: bool,
    **opened: Any,
) -> None:
    """Find the passages closest to QUERY, in all languages. "-" reads one query a line from standard input.

    What is shown of a passage begins with the sentence closest to the query. Scores rank the passages of one query; no
    score says that nothing answers it.

    --open opens text in $VISUAL or $EDITOR at the line, PDF and HTML in a browser at the page or the words, and
    anything else in what the system has for it. It says so when the file has changed since it was indexed.

    JSON keys: query, rank, score, lang, source, doc_id, title, passage_id, start, end, text, metadata, also_in,
    n_places, highlight, dense, balance, lexical, terms, locator. start and end count characters of the document's text
    as read, and so does highlight, the sentence closest to the query; also_in lists the first 20 other places of the
    very same passage, n_places counts them all and this one. The score is the sum of dense, balance and lexical; terms
    is filled by --explain; locator is the page or time (page=3, t=61.5) where there is one.

    \b
    tongues search --index my-index "How do companies keep customers satisfied?"
    tongues search --index my-index --lang te,fa --json "کیفیت خدمات"
    tongues search --index my-index --per-language 3 - < questions.txt
    tongues search --index my-index --open 2 "Kada grąžinami pinigai?"
    """
    _check_k(per_language)
    query = " ".join(words)  # a question without quotes is a question all the same
    if query != "-" and not query.strip():
        raise click.UsageError("the query is empty; ask with at least one word.")
    if query == "-" and opened_hit is not None:
        raise click.UsageError("--open opens a hit of one query; drop it, or give the query instead of -.")
    settings, paint = RankSettings(mode, balance), paint_for(color)
    with _open(quiet=quiet, **opened) as searcher:
        # A question from a pipe is answered at once, so that another program may ask and wait.
        for line in sys.stdin if query == "-" else [query]:
            asked = line.strip()
            if not asked:
                continue
            searcher.refresh()  # an index may have been updated while a question was waited for
            notice = searcher.notice(asked)
            if notice and not quiet:
                click.echo(notice, err=True)
            hits = searcher.search(asked, k, lang=lang, per_language=per_language, settings=settings, explain=explain)
            if as_json:
                for hit in hits:
                    click.echo(json_line(hit.to_dict()))
            else:
                width = shutil.get_terminal_size((100, 24)).columns
                seen = searcher.detect_language(asked)
                grouped = per_language is not None
                for shown in render_answer(
                    asked, seen, hits, width=width, grouped=grouped, explain=explain, paint=paint
                ):
                    click.echo(shown, color=paint.is_on)
                click.echo()
            sys.stdout.flush()
            if opened_hit is not None:
                _open_hit(hits, opened_hit, searcher, quiet=quiet)


def _open_hit(hits: Sequence[Hit], which: str, searcher: Searcher, *, quiet: bool) -> None:
    """Open the source of a hit, and tell what was opened."""
    from search.opener import chosen_hit, open_hit

    told = open_hit(chosen_hit(hits, which), searcher.manifest)
    if not quiet:
        click.echo(printable(told), err=True)


@click.command(
    cls=Documented,
    environment={
        "VISUAL, EDITOR": "The editor that :open opens text in, at the line.",
        "BROWSER": "What :open opens PDF and HTML in.",
        "INPUTRC": "The settings of line editing (readline).",
    },
    files={"history": "In the cache folder: the last 1,000 lines typed, for you alone to read."},
)
@ask_options
@color_option
@click.option("--no-history", is_flag=True, help="Neither recall nor keep what is typed.")
def shell(
    k: int,
    lang: str | None,
    per_language: int | None,
    mode: str,
    balance: str,
    color: str,
    quiet: bool,
    no_history: bool,
    **opened: Any,
) -> None:
    """Ask one question after another; index and model stay loaded, so each takes milliseconds.

    Lines are edited, completed by Tab and remembered as in other shells; Ctrl-C drops a line, or a question that takes
    long, and Ctrl-D ends it. ":next" shows more hits, ":more N" a hit whole with what stands around it, ":open N" opens
    its source at the passage, and ":help" lists what else can be asked and changed. Where standard input is no
    terminal, one question or command a line is read from it, without a prompt.

    \b
    tongues shell --index my-index
    tongues shell --index my-index --per-language 2
    tongues shell --index my-index -q < questions.txt
    """
    _check_k(per_language)
    from search.shell import Shell
    from search.shell_lines import at_terminal, read_lines

    settings = RankSettings(mode, balance)
    with _open(quiet=quiet, **opened) as searcher:
        if lang is not None:
            searcher.check_langs(lang)
        if not quiet and sys.stdin.isatty():
            click.echo(
                f"{opened['directory']}: {searcher.manifest.counts.passages:,} passages. :help, or a question", err=True
            )
        asking = Shell(
            searcher,
            k,
            lang,
            per_language,
            settings,
            quiet=quiet,
            paint=paint_for(color),
            is_interactive=at_terminal(),
        )
        asking.run(read_lines(keep=not no_history, complete=asking.complete))


def _open(directory: str, *, rerank: str | None, quiet: bool, **opened: Any) -> Searcher:
    """Open the searcher that the options name."""
    from search.rerank import Reranker
    from search.searcher import Searcher

    progress = progress_for(quiet)
    reranker = Reranker.open(rerank, progress=progress) if rerank else None
    return Searcher.open(directory, reranker=reranker, progress=progress, **opened)


def _check_k(per_language: int | None) -> None:
    source = click.get_current_context().get_parameter_source("k")
    if per_language is not None and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("-k is not used with --per-language; drop one.")
