"""``tongues eval``: sets of questions in, what the search is worth out."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from index.config import OFFLINE_MODEL, BuildSettings, ChunkSettings, ModelSettings
from index.errors import InputError
from search.cli_help import Documented
from search.cli_options import backend_options, quiet_option, ranking_options
from search.completion import IndexDir, ModelName
from search.rank_settings import RankSettings
from search.render import printable
from search.terminal import progress_for

if TYPE_CHECKING:
    from search.eval_report import EvalReport
    from search.eval_set import EvalSet

_WITH_COMPARE = ("compare", "as_json", "quiet")
"""What may be given with --compare."""


@click.command(
    "eval",
    cls=Documented,
    files={
        "SET/corpus.jsonl": "The documents.",
        "SET/queries.jsonl": "The questions.",
        "SET/qrels.tsv": "Which documents answer which; or SET/qrels/test.tsv.",
        "eval": "In the cache folder: the indexes made, until you delete them.",
    },
)
@click.argument("sets", nargs=-1, type=click.Path(), metavar="SET...")
@click.option(
    "--index",
    "directory",
    default=None,
    type=IndexDir(),
    metavar="DIR",
    help="An index of the corpus.  [default: made once]",
)
@click.option(
    "--model",
    default=None,
    type=ModelName(),
    metavar="MODEL",
    help=f"The model to build with, or the index's.  [default: {OFFLINE_MODEL}]",
)
@click.option("--max-tokens", type=int, default=None, help="The most tokens of a passage.")
@ranking_options
@backend_options
@click.option(
    "--run",
    "run_file",
    default=None,
    type=click.Path(),
    metavar="FILE",
    help="Write the documents found as a TREC run.",
)
@click.option(
    "--compare", nargs=2, default=None, type=click.Path(), metavar="A B", help="Compare two files written with --json."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@quiet_option
def evaluate_sets(
    sets: Sequence[str], compare: tuple[str, str] | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Measure how well SETs of questions are answered.

    A SET is a folder: corpus.jsonl and queries.jsonl (_id, text, lang), and qrels.tsv or qrels/test.tsv (query,
    document, grade); `samples` is the sample corpus with its questions. The corpus is indexed once, and the index kept
    in the cache folder.

    JSON keys: set, settings, without_hits, unknown_documents, per_language, mean, per_query.

    \b
    tongues eval samples
    tongues eval sets/mixed sets/parallel
    tongues eval sets/mixed --balance off --json > off.json
    tongues eval --compare off.json auto.json
    """
    if compare:
        _check_compare()
        _compare(*compare, as_json=as_json)
    else:
        _check_sets(sets, options)
        _measure(sets, options, as_json=as_json, quiet=quiet)


def _check_compare() -> None:
    context = click.get_current_context()
    others = [
        parameter.opts[0] if isinstance(parameter, click.Option) else "a SET"
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in _WITH_COMPARE
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        and context.params[parameter.name]
    ]
    if others:
        raise click.UsageError(f"--compare reads what was measured before; drop {' and '.join(others)}.")


def _check_sets(sets: Sequence[str], options: dict[str, Any]) -> None:
    if not sets:
        raise click.UsageError("name a SET, or two files to --compare.")
    for name, value in (("--index", options["directory"]), ("--run", options["run_file"])):
        if value is not None and len(sets) > 1:
            raise click.UsageError(f"{name} is of one SET; measure the {len(sets)} one by one.")
    if options["run_file"] is not None and not Path(options["run_file"]).absolute().parent.is_dir():
        raise click.UsageError(f"--run: there is no folder {Path(options['run_file']).parent}; make it first.")
    if options["directory"] is not None and options["max_tokens"] is not None:
        raise click.UsageError("--max-tokens decides how an index is made; drop it or --index.")
    name, n = Counter(Path(folder).resolve().name for folder in sets).most_common(1)[0]
    if n > 1:
        raise click.UsageError(f"{n} SETs are called {name!r}, so their reports could not be told apart; rename one.")


def _measure(sets: Sequence[str], options: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    from index.encoder import open_encoder
    from search.eval_report import render_report
    from search.eval_set import read_eval_set
    from search.evaluate import check_index, evaluate, kept_index
    from search.rerank import Reranker
    from search.searcher import Searcher
    from search.trec import write_run

    progress = progress_for(quiet)
    directory, asked = options["directory"], {name: options[name] for name in ("backend", "threads")}
    ranking = RankSettings(options["mode"], options["balance"])
    chunking = {} if options["max_tokens"] is None else {"max_tokens": options["max_tokens"]}
    settings = BuildSettings(ModelSettings(options["model"] or OFFLINE_MODEL, **asked), ChunkSettings(**chunking))
    every = [read_eval_set(folder) for folder in sets]  # before any long work
    reranker = Reranker.open(options["rerank"], progress=progress) if options["rerank"] else None
    encoder = None if directory else open_encoder(settings.model, progress)
    for number, eval_set in enumerate(every):
        where = kept_index(eval_set, settings, encoder, progress) if encoder else directory
        if directory:
            check_index(eval_set, directory)
        with Searcher.open(
            where, model=options["model"], **asked, encoder=encoder, reranker=reranker, progress=progress
        ) as searcher:
            done = evaluate(eval_set, searcher, where, settings=ranking, rerank=options["rerank"], progress=progress)
        if as_json:
            click.echo(json.dumps(done.report.to_dict(), ensure_ascii=False))
        else:
            for line in [*([""] if number else []), _heading(done.report), *render_report(done.report)]:
                click.echo(line)
        if not quiet:
            _tell(eval_set, done.report, str(where))
        sys.stdout.flush()
        if options["run_file"]:
            write_run(options["run_file"], done.run)


def _heading(report: EvalReport) -> str:
    """Return the line that says what was asked, and how."""
    facts = report.settings
    parts = [f"{facts['model']} {facts['precision']}", facts["mode"], f"balance {facts['balance']}"]
    parts += [f"reranked by {facts['rerank']}"] if facts["rerank"] else []
    parts += [f"{name} {value}" for name, value in facts["chunking"].items()]
    n_asked = f"{report.mean.n:,} queries to {facts['documents']:,} documents in {facts['passages']:,} passages"
    return printable(f"{report.set_name}: {n_asked}, in {facts['seconds']:.1f} s ({', '.join(parts)})")


def _tell(eval_set: EvalSet, report: EvalReport, directory: str) -> None:
    """Tell what of a set could not be used."""
    rejected = report.settings["rejected"]
    for n, what in (
        (eval_set.queries_without_relevant, "queries left out: no document is relevant to them"),
        (eval_set.judgments_without_query, "judgments left out: their queries are not in the set"),
        (rejected, f"documents not read: see `tongues info --rejected --index {directory}`"),
    ):
        if n:
            click.echo(printable(f"{eval_set.name}: {n:,} {what}"), err=True)


def _compare(first: str, second: str, *, as_json: bool) -> None:
    from search.eval_compare import compare, read_reports, render_comparison

    before, after = read_reports(first), read_reports(second)
    both = [name for name in before if name in after]
    if not both:
        raise InputError(
            f"{first} is of {', '.join(before)}, {second} of {', '.join(after)}. Compare two reports of one set."
        )
    for number, name in enumerate(both):
        found = compare(before[name], after[name])
        if as_json:
            click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
            continue
        changed = _changes(before[name].get("settings"), after[name].get("settings"))
        click.echo("\n" * bool(number) + printable(f"{name}: {changed}"))
        for line in render_comparison(found):
            click.echo(line)
    for name in sorted(before.keys() ^ after.keys()):
        click.echo(printable(f"{name}: only in {first if name in before else second}"), err=True)


def _changes(first: Any, second: Any) -> str:
    """Say in which settings two reports differ, the seconds they took aside."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return "settings not known"
    names = [name for name in {**first, **second} if name != "seconds" and first.get(name) != second.get(name)]
    return ", ".join(f"{name} {first.get(name)} → {second.get(name)}" for name in names) or "the same settings"
