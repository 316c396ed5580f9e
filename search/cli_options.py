"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from index.config import Backend

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


def quiet_option(command: F) -> F:
    """Add -q."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress, notices or summary.")(command)
