"""``duly context``: stores and transports under names."""

from collections.abc import Mapping
from typing import Any

import attrs
import click

from duly.url import mask
from duly_cli import contexts
from duly_cli.contexts import Context, Contexts
from duly_cli.desk import Desk
from duly_cli.errors import REFUSED, USAGE, Refused
from duly_cli.moments import zone
from duly_cli.past import history_of
from duly_cli.sheet import sheet
from duly_cli.targets import Target

__all__ = ["context"]

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def context() -> None:
    """Stores and transports under names, in a file of yours alone."""


@context.command()
@click.argument("name")
@click.option("--store", metavar="URL", help="The store.")
@click.option("--transport", metavar="URL", help="The transport.")
@click.option("--app", metavar="MODULE:NAME", help="A scheduler or client.")
@click.option("--history", metavar="URL", help="Where its history is kept.")
@click.option("--production", is_flag=True, help="Every change is asked for.")
@click.option("--tz", metavar="ZONE", help="Of moments, read and shown.")
@click.option("--replace", is_flag=True, help="Take the place of the one of that name.")
@_json
def add(name: str, replace: bool, as_json: bool, **said: Any) -> None:
    """Give a store a name."""
    desk, every = Desk(Target(), json=as_json), contexts.load()
    if not name.strip() or not name.isprintable():
        raise Refused(f"a context has a name of printable characters, not {name!r}", USAGE)
    if (said["store"] is None) == (said["app"] is None):
        raise Refused("say which store, by one of --store URL and --app module:name", USAGE)
    if name in every.contexts and not replace:
        raise Refused(f"there is a context {name!r} already: --replace changes it", REFUSED)
    zone(said["tz"])
    if said["store"] is not None:
        Target(store=said["store"]).client(changes=True)  # refuses what nothing here can open
    if said["history"] is not None:
        history_of(Desk(Target(history=said["history"])))  # the same
    made = Context(**said)
    file = contexts.save(attrs.evolve(every, contexts={**every.contexts, name: made}))
    desk.say(f"{name} is {_place(made)}, kept in {file}.")
    if every.current != name:
        desk.say(f"duly context use {name} makes it the one where nothing else is said.")
    desk.record(_facts(name, made, every.current))


@context.command()
@click.argument("name")
@_json
def use(name: str, as_json: bool) -> None:
    """Take this one where nothing else is said."""
    desk, every = Desk(Target(), json=as_json), contexts.load()
    chosen = every.get(name)
    contexts.save(attrs.evolve(every, current=name))
    desk.say(f"{name} is used where nothing else is said: {_place(chosen)}.")
    desk.record(_facts(name, chosen, name))


@context.command("list")
@_json
def list_(as_json: bool) -> None:
    """All of them; the one that is used has a *."""
    desk, every = Desk(Target(), json=as_json), contexts.load()
    known = sorted(every.contexts.items())
    for name, each in known:
        desk.record(_facts(name, each, every.current))
    sheet(
        desk,
        ["", "name", "store or app", "transport", "production", "tz"],
        [
            [
                "*" if name == every.current else "",
                name,
                _place(each),
                mask(each.transport or ""),
                "yes" if each.production else "",
                each.tz,
            ]
            for name, each in known
        ],
        "none: duly context add NAME --store URL",
    )


@context.command()
@click.argument("name", required=False)
@_json
def show(name: str | None, as_json: bool) -> None:
    """One of them, or the one that is used; passwords are hidden."""
    desk, every = Desk(Target(), json=as_json), contexts.load()
    chosen = _current(every) if name is None else name
    facts = _facts(chosen, every.get(chosen), every.current)
    desk.record(facts)
    for key, value in facts.items():
        if value not in (None, False):
            desk.say(f"{key:<10}  {desk.text(value)}")


@context.command()
@click.argument("name")
@_json
def remove(name: str, as_json: bool) -> None:
    """Forget one of them; its store stays as it is."""
    desk, every = Desk(Target(), json=as_json), contexts.load()
    gone = every.get(name)
    left = {key: each for key, each in every.contexts.items() if key != name}
    contexts.save(Contexts(left, None if every.current == name else every.current))
    desk.say(f"{name} is forgotten; what it named is as it was.")
    if every.current == name:
        desk.say("No context is used now where nothing else is said.")
    desk.record(_facts(name, gone, every.current))


def _current(every: Contexts) -> str:
    if every.current is None:
        raise Refused("no context is used: say which, or duly context use NAME", USAGE)
    return every.current


def _place(one: Context) -> str:
    return one.app or mask(one.store or "")


def _facts(name: str, one: Context, current: str | None) -> Mapping[str, Any]:
    facts = attrs.asdict(one)
    for key in ("store", "transport", "history"):
        facts[key] = None if facts[key] is None else mask(facts[key])
    return {"name": name, **facts, "current": name == current}
