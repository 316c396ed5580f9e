"""``tongues mcp``: an index for language models."""

from __future__ import annotations

import click

from search.cli_help import Documented
from search.cli_options import backend_options, index_option, model_option, quiet_option
from search.terminal import progress_for


@click.command(cls=Documented)
@index_option
@model_option
@backend_options
@quiet_option
def mcp(directory: str, model: str | None, backend: str, threads: int, quiet: bool) -> None:
    """Serve an index to language models, by the Model Context Protocol over standard input and output.

    A host, which talks to a language model, starts this command and ends it; it offers the tools `search` and
    `get_context`, and the languages of the index as a resource. Updates of the index are followed. Needs
    manytongues[mcp].

    \b
    tongues mcp --index /path/to/my-index
    """
    from search.mcp_server import serve

    serve(directory, model=model, backend=backend, threads=threads, progress=progress_for(quiet))
