"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from index.config import Backend
from search.rank_settings import Balance, Mode

F = TypeVar("F", bound=Callable[..., Any])


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
            type=click.Choice([str(backend) for backend in Backend]),
            default=str(Backend.AUTO),
            show_default=True,
            help="What computes: OpenVINO where it can, or torch.",
        ),
    ):
        command = option(command)
    return command


def ranking_options(command: F) -> F:
    """Add --mode, --balance and --rerank, the same for every command that ranks passages."""
    for option in (
        click.option(
            "--rerank",
            default=None,
            metavar="MODEL",
            help="Order the best hits by a cross-encoder of sentence-transformers: a hub id or a folder.",
        ),
        click.option(
            "--balance",
            type=click.Choice([str(balance) for balance in Balance]),
            default=str(Balance.AUTO),
            show_default=True,
            help="How far the languages' places in the vector space are evened out.",
        ),
        click.option(
            "--mode",
            type=click.Choice([str(mode) for mode in Mode]),
            default=str(Mode.HYBRID),
            show_default=True,
            help="Rank by meaning (dense; languages balanced all the same), by words (lexical), or by both.",
        ),
    ):
        command = option(command)
    return command


def quiet_option(command: F) -> F:
    """Add -q."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress, notices or summary.")(command)
