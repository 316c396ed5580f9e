"""``tongues doctor``: what is well and what is not."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from search.cli_help import Documented
from search.cli_options import backend_options, color_option, model_option
from search.completion import IndexDir
from search.paint import Look, paint_for
from search.render import printable

if TYPE_CHECKING:
    from search.doctor import Finding
    from search.paint import Paint


@click.command(
    cls=Documented,
    statuses={"0": "Nothing fails; there may be warnings.", "1": "Something fails."},
)
@click.option(
    "--index",
    "directory",
    envvar="TONGUES_INDEX",
    show_envvar=True,
    default=None,
    type=IndexDir(),
    metavar="DIR",
    help="An index to look at too.",
)
@click.option("--deep", is_flag=True, help="Check every checksum of the index too, as `tongues verify` does.")
@model_option
@backend_options
@color_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(
    directory: str | None, deep: bool, model: str | None, backend: str, threads: int, color: str, as_json: bool
) -> None:
    """Look at the installation, the model and an index, and tell what is wrong or slow, and what to do about it.

    Looks at the machine, at what is installed, whether the model is ready, what computes it and whether it brings two
    languages together, at the index, and measures how fast things are now. Each line is ok, warn (it works, but slowly,
    or not all of it) or fail. It writes, fetches and prepares nothing, and takes some seconds; --deep takes longer.

    JSON keys: section, name, state, text, remedy.

    \b
    tongues doctor
    tongues doctor --index my-index
    tongues doctor --index my-index --deep --json
    """
    from search.doctor import State, examine

    if deep and directory is None:
        raise click.UsageError("--deep checks an index; name it with --index.")
    paint = paint_for(color)
    counts = dict.fromkeys(State, 0)
    for finding in examine(directory, model=model, backend=backend, threads=threads, deep=deep):
        counts[finding.state] += 1
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(finding), ensure_ascii=False))
        else:
            for line in _lines(finding, paint):
                click.echo(line, color=paint.is_on)
    if not as_json:
        click.echo(f"{counts[State.OK]} ok, {counts[State.WARN]} warn, {counts[State.FAIL]} fail", err=True)
    if counts[State.FAIL]:
        raise SystemExit(1)


def _lines(finding: Finding, paint: Paint) -> list[str]:
    """Return the lines that show a finding: its state, what was looked at, what was found, and what to do."""
    state = paint(f"{finding.state:<4}", Look[finding.state.name])
    lines = [f"{state}  {finding.section:<9}  {finding.name:<19}  {printable(finding.text)}"]
    return [*lines, f"      {'':<9}  {'':<19}  → {printable(finding.remedy)}"] if finding.remedy else lines
