"""``tongues completion``: the script that has a shell complete commands, options, indexes and languages."""

from __future__ import annotations

import click

from search.cli_help import Documented

_VARIABLE = "_TONGUES_COMPLETE"
"""Where the script tells what is completed: click's own name for a program called tongues."""


@click.command(
    cls=Documented,
    files={
        "~/.bashrc": "Where bash reads the script from, by the first example; it needs bash 4.4 or later.",
        "~/.zshrc": "The same for zsh, after its compinit.",
        "~/.config/fish/completions/tongues.fish": "Where fish looks for it.",
    },
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that has a shell complete what is typed after "tongues".

    With it, Tab completes commands, options and their choices, index directories, and after --lang the languages of
    the index that is named. It takes a tenth of a second and opens no model.

    \b
    echo 'eval "$(tongues completion bash)"' >> ~/.bashrc
    echo 'eval "$(tongues completion zsh)"' >> ~/.zshrc
    tongues completion fish > ~/.config/fish/completions/tongues.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = click.get_current_context().find_root()
    assert kind is not None, "click knows these three"
    click.echo(kind(root.command, {}, "tongues", _VARIABLE).source())
