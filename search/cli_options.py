"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import click

from index.config import Backend
from search.completion import IndexDir, ModelName
from search.paint import ColorWhen
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
        type=IndexDir(),
        metavar="DIR",
        help="The index directory.",
    )(command)


def model_option(command: F) -> F:
    """Add --model, the same for every command that needs the model of an index."""
    text = "The index's model: its folder now, or its hub id to fetch it."
    return click.option("--model", default=None, type=ModelName(), metavar="MODEL", help=text)(command)


def choice_option(name: str, default: StrEnum, text: str) -> Callable[[F], F]:
    """Return an option that takes the members of a closed choice."""
    members = [str(member) for member in type(default)]
    return click.option(name, type=click.Choice(members), default=str(default), show_default=True, help=text)


def backend_options(command: F) -> F:
    """Add --backend and --threads, the same for every command that computes vectors."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(0), default=0, help="Threads of the model.  [default: all cores]"
        ),
        choice_option("--backend", Backend.AUTO, "What computes: OpenVINO where it can, or torch."),
    ):
        command = option(command)
    return command


def ranking_options(command: F) -> F:
    """Add --mode, --balance and --rerank, the same for every command that ranks passages."""
    for option in (
        click.option(
            "--rerank",
            default=None,
            type=ModelName(),
            metavar="MODEL",
            help="Order the best hits by a cross-encoder of sentence-transformers: a hub id or a folder.",
        ),
        choice_option("--balance", Balance.AUTO, "How far the languages' places in the vector space are evened out."),
        choice_option(
            "--mode",
            Mode.HYBRID,
            "Rank by meaning (dense; languages balanced all the same), by words (lexical), or by both.",
        ),
    ):
        command = option(command)
    return command


def color_option(command: F) -> F:
    """Add --color, the same for every command whose answers people read."""
    text = "Colour: auto is at a terminal, unless NO_COLOR is set or TERM is dumb."
    return choice_option("--color", ColorWhen.AUTO, text)(command)


def quiet_option(command: F) -> F:
    """Add -q."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress, notices or summary.")(command)
