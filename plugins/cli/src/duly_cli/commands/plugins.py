"""``duly plugins``: what is installed; ``duly plugins check``: what is wrong with it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from duly.plugins import installed
from duly_cli.desk import Desk
from duly_cli.errors import REFUSED
from duly_cli.flaws import Flaw, flaws_of_installed
from duly_cli.project import flaws_of_project
from duly_cli.sheet import sheet
from duly_cli.targets import Target

__all__ = ["plugins"]

_SHOWN = 3  # hooks of a plugin
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group("plugins", invoke_without_command=True)
@_JSON
@click.pass_context
def plugins(context: click.Context, *, as_json: bool) -> None:
    """Which plugins are installed; check: what is wrong with one."""
    if context.invoked_subcommand is not None:
        return
    desk, found = Desk(Target(), json=as_json), installed()
    for each in found:
        desk.record(
            {
                "name": each.name,
                "distribution": each.distribution,
                "version": each.version,
                "entry_point": each.entry_point.value,
                "stores": each.stores,
                "transports": each.transports,
                "hooks": each.hooks,
                "flaws": each.flaws,
            }
        )
    sheet(
        desk,
        ["name", "distribution", "version", "serves", "hooks", "flaw"],
        [
            [
                each.name,
                each.distribution,
                each.version,
                _listed(f"{scheme}://" for scheme in [*each.stores, *each.transports]),
                _some(each.hooks) if each.declares else "not declared",
                "; ".join(each.flaws),
            ]
            for each in found
        ],
        "no plugin is installed: only memory:// and local:// are there",
    )


@plugins.command("check")
@click.argument(
    "path", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False
)
@click.option(
    "--tests",
    type=click.Path(exists=True, path_type=Path),
    help="Where its tests are [PATH/tests].",
)
@_JSON
def check(*, path: Path | None, tests: Path | None, as_json: bool) -> None:
    """What is wrong with what is installed, or with the project in the folder PATH.

    Plugins are imported for that. Of a project the entry points, the hooks, the schemes and the
    requirement of duly are looked at, and which cases of the conformance kit its tests leave out.
    Exits with 0 when nothing is wrong, else with 3 and one line for each finding.
    """
    found = flaws_of_installed() if path is None else flaws_of_project(path, tests)
    _tell(found, "nothing is wrong", as_json=as_json)


def _tell(flaws: Sequence[Flaw], well: str, *, as_json: bool) -> None:
    for each in flaws:
        facts = {"plugin": each.plugin, "about": each.about, "text": each.text}
        click.echo(
            json.dumps(facts, ensure_ascii=False) if as_json else f"{each.plugin}: {each.text}"
        )
    if flaws:
        raise click.exceptions.Exit(REFUSED)
    if not as_json:
        click.echo(well)


def _listed(names: Iterable[str]) -> str:
    return " ".join(names)


def _some(hooks: Sequence[str]) -> str:
    """The first few, and how many more: an observer of everything has fourteen."""
    more = len(hooks) - _SHOWN
    return " ".join(hooks) if more <= 1 else f"{' '.join(hooks[:_SHOWN])} and {more} more"
