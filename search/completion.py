"""What Tab offers in shells: index directories, the languages of the index that is named, models.

Runs at every press of Tab, so it reads a manifest at most and imports nothing heavy. What is wrong offers nothing:
there is nobody to tell.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from index.guarded import parse_json, read_small
from index.layout import CURRENT, GENERATIONS, MANIFEST
from search.completion_words import offered_languages

if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:  # it takes no argument in click before 8.4
    _Text = click.ParamType

_PLAIN = re.compile(r"[\w./+@%,-]+")
"""Names that shells take as they stand; folders of other names are left to the shell, which quotes them."""
_TAG = re.compile(r"[A-Za-z0-9-]{1,40}")
"""What a language is offered as: an index may be anybody's, and shells take some characters as their own."""
_LONGEST = 16 * 1024 * 1024
_LONGEST_NAME = 256
"""The most bytes of a manifest (``index.manifest.LONGEST``), and of the name of a generation."""
_OF_THE_SHELL = "dir"
"""Asks the shell to offer folders."""


class IndexDir(_Text):
    """An index directory."""

    name = "directory"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the indexes in the folder begun; folders where there are none."""
        folder, name = os.path.split(incomplete)
        try:
            found = sorted(
                path.name
                for path in Path(folder or ".").expanduser().iterdir()
                if path.name.startswith(name) and (path / CURRENT).is_file()
            )
        except (OSError, RuntimeError, ValueError):
            found = []
        if not found or not all(map(_PLAIN.fullmatch, found)) or incomplete.startswith("~"):
            return [CompletionItem(incomplete, type=_OF_THE_SHELL)]
        return [CompletionItem(os.path.join(folder, one), help="index") for one in found]  # noqa: PTH118 as it was typed


class Languages(_Text):
    """Languages of an index, separated by commas."""

    name = "languages"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the languages of the index named before on the line, or by the environment."""
        directory = ctx.params.get("directory") or os.environ.get("TONGUES_INDEX", "")
        return [CompletionItem(one) for one in offered_languages(languages_of(str(directory)), incomplete)]


class ModelName(_Text):
    """A model: a name, a hub id or a folder."""

    name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the models on this machine, or folders."""
        from index.config import OFFLINE_MODELS
        from index.models import cached_hub_ids

        found = [name for name in (*OFFLINE_MODELS, *cached_hub_ids()) if name.startswith(incomplete)]
        return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type=_OF_THE_SHELL)]


def languages_of(directory: str) -> list[str]:
    """Return the languages of an index, the one with the most passages first; none when it cannot be read.

    The manifest is read as it stands, without the checks of ``index.store``: those take longer than the rest.
    """
    if not directory:
        return []
    try:
        name = read_small(Path(directory) / CURRENT, _LONGEST_NAME).decode("ascii").strip()
        if not re.fullmatch(r"g[0-9]+", name):
            return []
        manifest: Any = parse_json(read_small(Path(directory) / GENERATIONS / name / MANIFEST, _LONGEST).decode())
        counts = {str(lang): int(n) for lang, n in manifest["counts"]["languages"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
    return sorted(filter(_TAG.fullmatch, counts), key=lambda lang: (-counts[lang], lang))
