"""The command itself: its sub-commands, and what becomes of errors."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points, version
from typing import Final

import click

from duly import DulyError
from duly.url import mask
from duly_cli.errors import FAULT, ReaderGone, code_of

__all__ = ["Commands", "main"]

_GROUP: Final = "duly.hooks"
_HOOK: Final = "duly_commands"
_OURS: Final = "duly_cli.plugin"


class Commands(click.Group):
    """All that plugins offer by the hook ``duly_commands``, this one's own first.

    A plugin that cannot be loaded, or offers something else, is told of and left out.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._offered())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._offered().get(cmd_name)

    def _offered(self) -> Mapping[str, click.Command]:
        if not self.commands:
            for entry, command in _all():
                if self.commands.setdefault(command.name or "", command) is not command:
                    _leave_out(f"the command {command.name} of {entry}", "there is one already")
        return self.commands


def _all() -> Iterator[tuple[str, click.Command]]:
    entries = [each for each in entry_points(group=_GROUP) if each.name == _HOOK]
    for entry in sorted(entries, key=lambda each: (each.value != _OURS, each.value)):
        try:
            for offered in getattr(entry.load(), _HOOK)():
                yield entry.value, _checked(offered)
        except Exception as error:  # noqa: BLE001  # of somebody else's plugin
            _leave_out(f"what {entry.value} offers", repr(error))


def _leave_out(what: str, why: str) -> None:
    click.echo(f"duly: {what} is left out: {mask(' '.join(why.split()))}", err=True)


def _checked(offered: object) -> click.Command:
    if not isinstance(offered, click.Command) or not offered.name:
        raise TypeError(f"it offers {offered!r}, which is no click.Command with a name")
    return offered


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 a mistake of ours, 2 usage, 3 refused or not found, 4 the store "
    "is away, 5 unhealthy, 6 done in part.",
)
@click.version_option(version("duly-cli"), prog_name="duly")
def cli() -> None:
    """What is scheduled, why, and what to do about it.

    Say which store with --store URL, the variable DULY_STORE, or a context: duly context add.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main([*arguments], prog_name="duly", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        _tell(error.format_message(), type(error).__name__, error, arguments)
        code = error.exit_code
    except DulyError as error:
        _tell(str(error), type(error).__name__, None, arguments)
        code = code_of(error)
    except KeyboardInterrupt:
        code = 130
    except (BrokenPipeError, ReaderGone):  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("DULY_TRACEBACK"):
            raise
        where = "DULY_TRACEBACK=1 shows where"
        _tell(f"{type(error).__name__}: {error} ({where})", "", None, arguments)
        code = FAULT
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _tell(text: str, name: str, error: click.ClickException | None, said: Sequence[str]) -> None:
    """One line on the error stream, without secrets."""
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" (see: {error.ctx.command_path} --help)"
        if isinstance(error, click.NoSuchOption) and error.ctx.parent is None:
            hint = " (options stand behind the command: duly status --store URL)"
    line = " ".join(mask(text).split())
    if "--json" in said:
        line = json.dumps({"error": name or "Exception", "text": line}, ensure_ascii=False)
        click.echo(line, err=True)
    else:
        click.echo(f"duly: {line}{hint}", err=True)
