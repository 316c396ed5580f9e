"""Rebuilds an index as a configuration file says; made for cron.

    python scripts/rebuild_index.py CONFIG.toml

The file (paths are relative to it):

    out = "my-index"
    sources = ["reports", "letters/*.jsonl"]
    strict = false          # true: keep the old index, and exit with status 1, when anything could not be read
    encoding = ""           # detected file by file

    [model]
    name = "e5-small"
    [chunking]
    max_tokens = 192
    [fields]
    text = "text"

With --ray the texts are embedded by the workers of a Ray cluster, and the index is the same: "local" starts workers on
this machine for as long as it takes, "auto" uses the cluster that this machine belongs to, HOST:PORT the one whose head
is there. Workers need the same version of this project; each has as many threads as [model] says, else one.

Exit status: 0 rebuilt, 1 an error (the old index is still in use), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from index.ahead import Ahead
from index.config import BuildSettings, from_mapping
from index.errors import SettingsError
from search.cli_build import build_and_report
from search.terminal import plain_errors


@dataclass(frozen=True, slots=True)
class Plan:
    """What a configuration file asks for."""

    sources: list[str]
    out: Path
    strict: bool
    settings: BuildSettings


def read_plan(path: Path) -> Plan:
    """Read a configuration file.

    Raises:
        SettingsError: When it cannot be read, or a setting is missing, unknown or of a wrong type.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}). Name a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML ({error}).") from error
    sources, out, strict = data.pop("sources", None), data.pop("out", None), data.pop("strict", False)
    if not isinstance(sources, list) or not sources or not all(s and isinstance(s, str) for s in sources):
        raise SettingsError(f'{path}: `sources` must list at least one path, for example sources = ["reports"].')
    if not isinstance(out, str) or not out:
        raise SettingsError(f'{path}: `out` must name the index directory, for example out = "my-index".')
    if not isinstance(strict, bool):
        raise SettingsError(f"{path}: `strict` must be true or false.")
    known = [*BuildSettings.__dataclass_fields__, "out", "sources", "strict"]
    unknown = sorted(data.keys() - set(known))
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]!r} (known: {', '.join(sorted(known))}).")
    base = path.parent
    settings = from_mapping(BuildSettings, data, str(path))
    if settings.parallel:
        settings = dataclasses.replace(settings, parallel=str(base / settings.parallel))
    place = settings.store.removeprefix("milvus:")
    if place and "://" not in place:  # a file of the embedded Milvus
        settings = dataclasses.replace(settings, store=f"milvus:{base / place}")
    return Plan([_below(base, source) for source in sources], base / out, strict, settings)


def _below(base: Path, source: str) -> str:
    """Return a source relative to the file's folder, whose own name is no pattern."""
    if Path(source).is_absolute() or base == Path():
        return source
    has_pattern = any(char in source for char in "*?[") and not (base / source).exists()
    return os.path.join(glob.escape(str(base)) if has_pattern else str(base), source)  # noqa: PTH118 keeps "**"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--ray", "address", metavar="ADDRESS", help="Embed by a Ray cluster: local, auto or HOST:PORT.")
@click.option("--workers", default=0, metavar="N", help="Workers of the cluster.  [default: as it has CPUs]")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def main(config: Path, address: str | None, workers: int, quiet: bool) -> None:
    """Rebuild the index that CONFIG.toml describes."""
    with plain_errors():
        plan = read_plan(config)
        ahead = _cluster(address, workers) if address else None
        build_and_report(plan.sources, str(plan.out), plan.settings, strict=plan.strict, quiet=quiet, ahead=ahead)


def _cluster(address: str, workers: int) -> Ahead:
    from index.ray_embedding import RayCluster

    return RayCluster(address, workers)


if __name__ == "__main__":
    main()
