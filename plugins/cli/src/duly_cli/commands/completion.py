"""``duly completion SHELL``: the script that completes commands and options."""

from typing import Final

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

_VARIABLE: Final = "_DULY_COMPLETE"  # which click reads when the script asks


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands and options in a shell.

    For bash, in ~/.bashrc: eval "$(duly completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click brings all three"  # noqa: S101  # for the type checker
    click.echo(kind(ctx.find_root().command, {}, "duly", _VARIABLE).source())
