"""``tongues search`` and ``tongues shell``: questions in, passages out."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from search.cli_options import F, backend_options, index_option, model_option, quiet_option, ranking_options
from search.rank_settings import RankSettings
from search.render import render_answer
from search.terminal import progress_for

if TYPE_CHECKING:
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
        click.option("--lang", default=None, metavar="LANGS", help="Only these languages, for example te,fa."),
        click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="How many passages."),
        index_option,
    ):
        command = option(command)
    return command


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="QUERY")
@ask_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--explain", is_flag=True, help="Show what each score is made of, and the words that count for it.")
def search(
    words: tuple[str, ...],
    k: int,
    lang: str | None,
    per_language: int | None,
    mode: str,
    balance: str,
    as_json: bool,
    explain: bool,
    quiet: bool,
    **opened: Any,
) -> None:
    """Find the passages closest to QUERY, in all languages. "-" reads one query a line from standard input.

    JSON keys: query, rank, score, lang, source, doc_id, title, passage_id, start, end, text, metadata, also_in,
    n_places, highlight, dense, balance, lexical, terms, locator. start and end count characters of the document's text
    as read, and so does highlight, the sentence closest to the query; also_in lists the first 20 other places of the
    very same passage, n_places counts them all and this one. The score is the sum of dense, balance and lexical; terms
    is filled by --explain; locator is the page, slide, chapter or time (page=3, t=61.5) of the highlight.

    \b
    tongues search --index my-index "How do companies keep customers satisfied?"
    tongues search --index my-index --lang te,fa --json "کیفیت خدمات"
    tongues search --index my-index --per-language 3 - < questions.txt
    """
    _check_k(per_language)
    query = " ".join(words)  # a question without quotes is a question all the same
    if query != "-" and not query.strip():
        raise click.UsageError("the query is empty; ask with at least one word.")
    settings = RankSettings(mode, balance)
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
                    click.echo(json.dumps(hit.to_dict(), ensure_ascii=False))
            else:
                width = shutil.get_terminal_size((100, 24)).columns
                seen = searcher.detect_language(asked)
                grouped = per_language is not None
                for shown in render_answer(asked, seen, hits, width=width, grouped=grouped, explain=explain):
                    click.echo(shown)
                click.echo()
            sys.stdout.flush()


@click.command()
@ask_options
@click.option("--no-history", is_flag=True, help="Neither recall nor keep what is typed.")
def shell(
    k: int,
    lang: str | None,
    per_language: int | None,
    mode: str,
    balance: str,
    quiet: bool,
    no_history: bool,
    **opened: Any,
) -> None:
    """Ask one question after another; index and model stay loaded, so each takes milliseconds.

    Lines are edited and remembered as in other shells (in the file history of the cache folder, for you alone to read;
    --no-history does without); ":help" lists what can be changed on the way.

    \b
    tongues shell --index my-index
    tongues shell --index my-index --per-language 2
    """
    _check_k(per_language)
    from search.shell import Shell, read_lines

    settings = RankSettings(mode, balance)
    with _open(quiet=quiet, **opened) as searcher:
        if lang is not None:
            searcher.check_langs(lang)
        if not quiet and sys.stdin.isatty():
            click.echo(
                f"{opened['directory']}: {searcher.manifest.counts.passages:,} passages. :help, or a question", err=True
            )
        Shell(searcher, k, lang, per_language, settings, quiet=quiet).run(read_lines(keep=not no_history))


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
