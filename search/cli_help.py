"""What ``tongues COMMAND --help`` tells: a summary, options in groups, examples, exit statuses, environment, files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import click

GROUPS: dict[str, tuple[str, ...]] = {
    "What is asked": ("-k", "--lang", "--per-language", "--mode", "--balance", "--rerank"),
    "Fields of records and tables": (
        "--text-field",
        "--id-field",
        "--title-field",
        "--lang-field",
        "--encoding",
    ),
    "Passages and vectors": (
        "--max-tokens",
        "--overlap",
        "--sentences",
        "--parallel",
        "--kind",
        "--vectors",
        "--store",
    ),
    "Model": ("--model", "--query-prompt", "--passage-prompt", "--precision", "--backend", "--threads"),
    "Output": ("--json", "--explain", "--color", "--open", "--run", "-q", "--no-history"),
}
"""Options by heading. What is in no group stands under "Options", before them all; a group of one stands there too."""

STATUSES: dict[str, str] = {
    "0": "Done.",
    "1": "An error, told in one line on standard error.",
    "2": "Wrong usage.",
    "130": "Interrupted (Ctrl-C).",
}
VARIABLES = {
    "TONGUES_INDEX": "The index directory, when --index is left out.",
    "TONGUES_HOME": "Where models, history and other derived files are kept.  [default: the user's cache folder]",
    "NO_COLOR": "No colour when it is set, unless --color says otherwise.",
}
_OF_OPTIONS = {"--index": "TONGUES_INDEX", "--model": "TONGUES_HOME", "--color": "NO_COLOR"}
"""Which option brings which variable."""


class Documented(click.Command):
    """A command whose help is a whole manual page.

    The docstring has one line of summary, then what the command does, and last, after click's backspace mark, its
    examples: lines that begin with "tongues" and can be run as they stand, and what they need. All else is given here.
    """

    def __init__(
        self,
        *args: Any,
        statuses: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Make a command.

        Args:
            *args: As ``click.Command`` has them.
            statuses: Exit statuses that mean something else than ``STATUSES`` tells.
            environment: Variables that it reads, beside those that its options bring.
            files: Files that it reads or writes.
            **options: As ``click.Command`` has them.
        """
        super().__init__(*args, **options)
        self.statuses = {**STATUSES, **(statuses or {})}
        self.environment = dict(environment or {})
        self.files = dict(files or {})

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, without its examples, which come last."""
        text, _ = split_examples(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        headings = {name: heading for heading, names in GROUPS.items() for name in names}
        grouped: dict[str, list[tuple[str, str]]] = {"Options": [], **{heading: [] for heading in GROUPS}}
        for option in options:
            known = [headings[name] for name in option.opts if name in headings]
            record = option.get_help_record(ctx)
            grouped[known[0] if known else "Options"] += [record] if record else []
        for heading in [name for name in GROUPS if len(grouped[name]) == 1]:
            grouped["Options"] += grouped.pop(heading)
        for heading, records in grouped.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, exit statuses, environment and files."""
        _, examples = split_examples(self.help or "")
        if examples:
            with formatter.section("Examples"):
                formatter.write(f"{examples}\n")
        names = [name for parameter in self.get_params(ctx) for name in parameter.opts]
        variables = {_OF_OPTIONS[name]: VARIABLES[_OF_OPTIONS[name]] for name in names if name in _OF_OPTIONS}
        write_facts(
            formatter,
            {"Exit status": self.statuses, "Environment": {**variables, **self.environment}, "Files": self.files},
        )


def write_facts(formatter: click.HelpFormatter, facts: Mapping[str, Mapping[str, str]]) -> None:
    """Write what is told of names under headings."""
    for heading, told in facts.items():
        if told:
            with formatter.section(heading):
                formatter.write_dl(list(told.items()))


def split_examples(text: str) -> tuple[str, str]:
    """Return what a docstring says before its examples, and the examples, indented."""
    cleaned = inspect.cleandoc(text)
    cleaned = cleaned if "\b" in cleaned else f"{cleaned}\n\b"
    said, _, examples = cleaned.rpartition("\b")
    return said.rstrip(), "\n".join(f"  {line.strip()}" for line in examples.splitlines() if line.strip())
