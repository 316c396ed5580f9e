"""``tongues serve``: the HTTP API and its page."""

from __future__ import annotations

import signal
import threading

import click

from index.errors import ServerError
from index.extras import needs
from search.cli_help import Documented
from search.cli_options import backend_options, index_option, model_option, quiet_option
from search.terminal import progress_for

_TAKES = "What serving takes"


@click.command(
    cls=Documented,
    environment={"TONGUES_API_KEY": "The key that clients must send, without --api-key-file."},
)
@index_option
@click.option("--host", default="127.0.0.1", show_default=True, help="An address of this machine; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option(
    "--api-key-file",
    metavar="FILE",
    default=None,
    help="Holds the key that clients must send; else TONGUES_API_KEY. Beyond this machine there must be one.",
)
@click.option("--cors", "origins", multiple=True, metavar="ORIGIN", help="A web site whose pages may ask.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name it is asked by, behind a proxy.")
@click.option("--max-k", type=click.IntRange(1), default=100, show_default=True, help="The most hits of a query.")
@click.option(
    "--max-concurrent", type=click.IntRange(1), default=256, show_default=True, help="The most requests that may wait."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to wait.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@model_option
@backend_options
@quiet_option
def serve(
    directory: str,
    host: str,
    port: int,
    api_key_file: str | None,
    origins: tuple[str, ...],
    hosts: tuple[str, ...],
    max_k: int,
    max_concurrent: int,
    timeout: float,
    open_page: bool,
    model: str | None,
    backend: str,
    threads: int,
    quiet: bool,
) -> None:
    """Answer questions over HTTP, with a page to ask them on, until Ctrl-C.

    GET /search?q=… answers one, POST /search several; /openapi.json tells everything. An update of the index is gone
    over to by itself.

    \b
    tongues serve --index my-index --open
    tongues serve --index my-index --host 0.0.0.0 --api-key-file key.txt
    """
    with needs("serve", "serving"):
        from search.server.app import make_app
        from search.server.metrics import Metrics
        from search.server.serving import address_of, bound, listen, make_server
    from search.searcher import Searcher
    from search.server.auth import settings_from
    from search.server.batching import Engine
    from search.server.logs import log_to_stderr
    from search.server.settings import Limits

    limits = Limits(max_k=max_k, max_concurrent=max_concurrent, timeout=timeout)
    settings = settings_from(host, port, api_key_file, origins, hosts, limits)
    with bound(settings) as taken:
        searcher = Searcher.open(directory, model=model, backend=backend, threads=threads, progress=progress_for(quiet))
        metrics = Metrics()
        engine = Engine(searcher, directory, limits, metrics)
        engine.warm_up()
        log_to_stderr(quiet=quiet)
        listen(taken)
        address = address_of(taken)

        def tell() -> None:
            if not quiet:
                click.echo(f"{address}  {searcher.manifest.counts.passages:,} passages; Ctrl-C ends it", err=True)
            if open_page:
                threading.Thread(target=open_browser, args=(address,), daemon=True).start()

        server = make_server(make_app(engine, settings, metrics), limits, tell)
        engine.when_broken = server.end
        try:
            server.run(sockets=[taken])
        finally:
            engine.stop()
    if engine.is_broken:
        raise ServerError("the thread that searches has ended; what is told above says why. Start the server again.")
    if server.ended_by == signal.SIGINT:
        raise KeyboardInterrupt


def open_browser(address: str) -> None:
    """Open the page; in a thread, since some browsers keep the one who opens them waiting."""
    import webbrowser

    webbrowser.open(address)
