"""``tongues update`` and ``tongues repair``: an index brought up to date, or mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from search.cli_help import Documented
from search.cli_options import backend_options, index_option, model_option, quiet_option
from search.terminal import progress_for, terminable

if TYPE_CHECKING:
    from index.encoder import Encoder, Fingerprint, OpenEncoder
    from index.progress import Progress
    from index.updater import UpdateReport


@click.command(
    cls=Documented,
    statuses={
        "1": "An error, told in one line; with --strict also when anything could not be read.",
        "130": "Interrupted (Ctrl-C), the end of --watch too.",
    },
    files={"DIR": "The index. The generation before is kept to go back to."},
)
@index_option
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Tell what has changed, and change nothing.")
@click.option("--watch", is_flag=True, help="Go on, and update whenever a file changes, until Ctrl-C.")
@click.option("--strict", is_flag=True, help="Keep the index as it was when anything could not be read.")
@model_option
@backend_options
@quiet_option
def update(
    directory: str,
    paths: Sequence[str],
    dry_run: bool,
    watch: bool,
    strict: bool,
    model: str | None,
    backend: str,
    threads: int,
    quiet: bool,
) -> None:
    """Bring an index up to date: only what is new or changed is read and embedded.

    Looks at all files and folders that the index was built of, or at PATHs alone. A PATH that does not belong to it
    yet does from then on. Documents of files that are gone are taken out; a folder that is missing as a whole is an
    error, unless it is named.

    \b
    tongues update --index my-index
    tongues update --index my-index --dry-run
    tongues update --index my-index new-letters/
    """
    from index.errors import StrictError
    from index.updater import update as update_index
    from search.cli_build import show_rejected

    if dry_run and watch:
        raise click.UsageError("--dry-run and --watch are two different things; give one of them.")
    progress = progress_for(quiet)
    encoder = opener(model, backend, threads, progress)
    told: list[UpdateReport] = []  # the last, when it went well

    def run() -> None:
        before = [report.rejected for report in told]
        told.clear()
        try:
            with terminable():
                report = update_index(
                    directory, paths, encoder=encoder, dry_run=dry_run, strict=strict, progress=progress
                )
        except StrictError as error:
            show_rejected(error.rejected, quiet=quiet)
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"The index in {directory} is as it was. Run the same again: what was embedded is kept."
            ) from None
        told.append(report)
        if before == [report.rejected] and _is_nothing(report):
            return  # of what is watched, something changed that is not indexed
        show_rejected(report.rejected, quiet=quiet)
        if dry_run:
            for line in _plan(report):
                click.echo(line)
        if not quiet:
            click.echo(_told(report, dry_run=dry_run), err=True)

    if watch:
        from search.watch import update_whenever

        update_whenever(directory, paths, run, quiet=quiet)
    else:
        run()


def opener(model: str | None, backend: str, threads: int, progress: Progress) -> OpenEncoder:
    """Return what opens an index's encoder the first time that it is needed."""
    opened: list[Encoder] = []

    def open_it(made_with: Fingerprint) -> Encoder:
        from index.encoder import open_encoder, settings_for

        if not opened:
            settings = settings_for(made_with, model, backend, threads)
            opened.append(open_encoder(settings, progress, may_fetch=model is not None))
        return opened[0]

    return open_it


def _plan(report: UpdateReport) -> list[str]:
    from search.render import printable

    files = report.files
    lines = [(one.file.source, "new" if one.is_new else "changed") for one in files.changed]
    lines += [(source, "gone") for source in files.gone]
    return [printable(f"{what:<9}{source}") for source, what in sorted(lines)]


def _is_nothing(report: UpdateReport) -> bool:
    """Tell whether an update found the index as its sources are."""
    return report.files.is_nothing and not (report.new or report.changed or report.gone)


def _told(report: UpdateReport, *, dry_run: bool) -> str:
    """Return what an update did, in one line."""
    files, counts = report.files, report.manifest.counts
    if _is_nothing(report):
        unread = f"; {counts.rejected:,} not read: see `tongues info --rejected`" if counts.rejected else ""
        return f"{report.out}: up to date ({files.n_same:,} files looked at{unread})."
    changes = f"{report.new:,} new, {report.changed:,} changed, {report.gone:,} gone documents"
    if dry_run:
        return f"{report.out}: {changes} would be updated; nothing was done."
    return (
        f"{report.out}: {changes}; {report.embedded:,} passages embedded, in {report.seconds:.1f} s. It holds "
        f"{counts.documents:,} documents, {counts.passages:,} passages."
    )


@click.command(cls=Documented, files={"DIR": "The index. What is whole in it is taken over."})
@index_option
@model_option
@backend_options
@quiet_option
def repair(directory: str, model: str | None, backend: str, threads: int, quiet: bool) -> None:
    """Mend a damaged index: make anew what can be made from what is whole.

    Words and vector indexes come from passages and vectors, vectors from passages, by the model. Where the passages
    themselves are damaged, the generation before is gone back to. Says what was mended and what is lost.

    \b
    tongues repair --index my-index
    """
    from index.repairer import repair as repair_index

    progress = progress_for(quiet)
    report = repair_index(directory, encoder=opener(model, backend, threads, progress), progress=progress)
    for line in report.mended:
        click.echo(f"mended: {line}")
    for line in report.lost:
        click.echo(f"lost: {line}")
    if not report.mended:
        click.echo(f"{directory}: whole")
