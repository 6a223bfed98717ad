"""The runbooks: each command that they tell to type is one that there is."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from duly_cli.app import cli

RUNBOOKS = Path(__file__).parents[2] / "docs" / "howto" / "runbooks.md"
FENCED = re.findall(r"^ *```console\n(.*?)^ *```", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`(duly [^`]+)`", RUNBOOKS.read_text())
COMMANDS = sorted(
    {line.strip() for block in FENCED for line in block.splitlines() if "duly " in line}.union(
        " ".join(each.split()) for each in INLINE
    )
    - {"sudo systemctl stop duly"}
)


def parsed(line: Sequence[str]) -> None:
    """Have the command read its options and their values; nothing is run."""
    program, *words = line
    assert program == "duly"
    command: click.Command = cli
    with click.Context(command, info_name="duly") as ctx:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(ctx, words[0])
            assert found is not None, words[0]
            command, words = found, words[1:]
        command.make_context("duly", words, parent=ctx)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_there_is(line: str) -> None:
    parsed(shlex.split(line))


def test_there_are_some() -> None:
    assert len(COMMANDS) > 25
