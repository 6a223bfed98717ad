"""The help of the command ``duly`` and of each of its verbs."""

from collections.abc import Iterator

import click

from duly_cli.app import cli


def markdown() -> str:
    """One heading and one listing each."""
    return "\n".join(_told("duly", cli, None))


def _told(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    with click.Context(
        command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=96,
        max_content_width=96,
    ) as context:  # fmt: skip
        yield from (f"## {name}", "", "```text", command.get_help(context), "```", "")
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                found = command.get_command(context, each)
                if found is not None and not found.hidden:
                    yield from _told(f"{name} {each}", found, context)
