"""What all commands have in common: where the store is, how to answer, which messages."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from duly import Filter, InvalidArgument, Phase, State, acting
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.moments import as_moment
from duly_cli.persons import who
from duly_cli.targets import Target

__all__ = ["filtered", "metadata_of", "moment_of", "verb"]

Work = Callable[..., Awaitable[None]]

_PHASES: Final = [each.value for each in Phase if each is not Phase.ASIDE]
_STATES: Final = [each.value for each in State]

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:  # before click 8.2 it is not generic
    _Choice = click.Choice


class _PhaseChoice(_Choice):
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == Phase.ASIDE.value:
            self.fail(
                "no filter finds what stands aside: `duly events` counts it for each event name, "
                "`duly controls` tells what is paused and limited, and `duly show ID` the phase of "
                "one message. Aside are some of those with --phase due.",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


_SHARED: Final[list[Callable[[Any], Any]]] = [
    click.option("--store", metavar="URL", help="The store [DULY_STORE]."),
    click.option("--transport", metavar="URL", help="The transport [DULY_TRANSPORT]."),
    click.option("--app", metavar="MODULE:NAME", help="A scheduler or client [DULY_APP]."),
    click.option("--context", metavar="NAME", help="A context's store [DULY_CONTEXT]."),
    click.option("--history", metavar="URL", help="The history [DULY_HISTORY]."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
    click.option("--tz", metavar="ZONE", help="Of moments, read and shown [DULY_TZ]."),
]
_PLACE: Final = ("store", "transport", "app", "context", "history")
_PERSON: Final[Mapping[str, Callable[[Any], Any]]] = {
    "by": click.option("--by", metavar="NAME", help="Who does it [DULY_BY, or the login name]."),
    "reason": click.option("--reason", metavar="TEXT", help="Why, for those who ask later."),
}
_YES: Final = click.option("--yes", is_flag=True, help="Answer yes to what would be asked.")


def verb(
    name: str | None = None,
    *,
    changes: bool = False,
    makes: bool = False,
    opens: bool = True,
    patient: bool = False,
    **more: Any,
) -> Callable[[Work], click.Command]:
    """Make a command of an async function that is given a :class:`Desk`.

    With ``changes`` it may alter what is stored, and --yes is among its options; the store is
    opened by its first call, so that what was typed wrongly is told before. Unless it makes one,
    --by and --reason are among its options too, for those who keep a record. Only one that
    ``makes`` a store makes files and tables that are not there: whoever mistypes a path is told so.
    Unless it ``opens`` nothing, the desk has a client, which is closed behind it. One that is
    ``patient`` tells itself of a store that is away. The first line of the docstring is its help.
    """

    def made(work: Work) -> click.Command:
        @functools.wraps(work)
        def run(**options: Any) -> None:
            place = [options.pop(each) for each in _PLACE]
            person = {name: options.get(name) for name in _PERSON}
            for each in added:
                del options[each]
            desk = Desk(
                Target.said(*place),
                json=options.pop("as_json"),
                yes=options.pop("yes", False),
                tz=options.pop("tz"),
            )

            async def main() -> None:
                if not opens:
                    await work(desk, **options)
                    return
                desk.client = client = desk.target.client(changes=makes)
                try:
                    if not (patient or changes):
                        await client.open()
                    await work(desk, **options)
                finally:
                    await client.close()

            if changes:
                with acting(by=who(person["by"]), reason=person["reason"] or ""):
                    asyncio.run(main())
            else:
                asyncio.run(main())
            if desk.code:
                raise click.exceptions.Exit(desk.code)

        own = {each.name for each in getattr(work, "__click_params__", ())}
        added = [name for name in _PERSON if changes and not makes and name not in own]
        wrapped: Any = run
        more_options = [*(_PERSON[name] for name in added), *([_YES] if changes else [])]
        for option in reversed([*_SHARED, *more_options]):
            wrapped = option(wrapped)
        make: Any = click.command(name, **more)
        command: click.Command = make(wrapped)
        return command

    return made


def filtered(
    *, dead: bool = False, acts: bool = False, named: bool = False
) -> Callable[[Work], Work]:
    """Add the options that say which messages, and give the command ``filter``, a Filter.

    ``dead``: dead letters only. Where the command ``acts`` on all that match, an empty filter has
    to be meant: --all; an option ``cause`` of its own narrows too. ``named``: ids may stand as they
    are, without --id.
    """
    options: list[Callable[[Any], Any]] = [
        click.option("--event", metavar="NAME", help="An event name, or a prefix: 'orders.*'"),
        click.option("--id", "ids", metavar="ID", multiple=True, help="An id; several times."),
        click.option("--id-prefix", metavar="TEXT", help="What the ids begin with."),
        click.option("--meta", metavar="KEY=VALUE", multiple=True, help="What metadata holds."),
        click.option("--error", metavar="PATTERN", help="Of the last error: '*refused*'."),
        click.option("--error-class", metavar="NAME", help="The class of a dead letter's error."),
        *_moments("due", "Due"),
        *_moments("died", "Died"),
        *_moments("scheduled", "Scheduled for a moment"),
    ]
    if acts:
        options.append(click.option("--all", "everything", is_flag=True, help="All of them."))
    if named:
        options.append(click.argument("named", metavar="[ID]...", nargs=-1))
    if not dead:
        options.append(click.option("--phase", type=_PhaseChoice(_PHASES), help="In that phase."))
        options.append(click.option("--state", type=click.Choice(_STATES), help="In that state."))

    def made(work: Work) -> Work:
        @functools.wraps(work)
        async def run(desk: Desk, **given: Any) -> None:
            await work(desk, **_with_filter(desk, given, dead=dead, acts=acts))

        wrapped: Any = run
        for option in reversed(options):
            wrapped = option(wrapped)
        result: Work = wrapped
        return result

    return made


def moment_of(desk: Desk, text: str, option: str, *, after: datetime | None = None) -> datetime:
    """A moment that somebody typed, by the clock of this host.

    Raises:
        Refused: it is none.
    """
    now = datetime.now(desk.zone)
    return as_moment(
        text, option, now=now, zone=desk.zone if desk.given_zone else None, after=after
    )


def _moments(name: str, what: str) -> list[Callable[[Any], Any]]:
    return [
        click.option(f"--{name}-before", metavar="MOMENT", help=f"{what}, at the latest then."),
        click.option(f"--{name}-after", metavar="MOMENT", help=f"{what}, at the earliest then."),
    ]


def _with_filter(desk: Desk, given: dict[str, Any], *, dead: bool, acts: bool) -> dict[str, Any]:
    words = {
        "event_name": given.pop("event"),
        "ids": (*given.pop("ids"), *given.pop("named", ())) or None,
        "id_prefix": given.pop("id_prefix"),
        "metadata": metadata_of(given.pop("meta")),
        "error": given.pop("error"),
        "error_class": given.pop("error_class"),
    }
    for name, field in (("due", "due_"), ("died", "died_"), ("scheduled", "")):
        for side in ("before", "after"):
            text = given.pop(f"{name}_{side}")
            option = f"--{name}-{side}"
            words[f"{field}{side}"] = None if text is None else moment_of(desk, text, option)
    everything = given.pop("everything", False)
    phase = given.pop("phase", None)
    if phase is not None:
        words["phase"] = Phase(phase)
    state = given.pop("state", None)
    if dead or state is not None:
        words["state"] = State.DEAD if dead else State(state)
    said = {name: each for name, each in words.items() if each not in (None, {})}
    name = said.get("event_name", "")
    if "*" in name and not name.endswith(".*"):
        raise Refused(f"--event: {name!r} is no prefix: one ends in .*, as 'orders.*'", USAGE)
    try:
        chosen = Filter(**said)
    except InvalidArgument as error:
        raise Refused(str(error), USAGE) from error
    narrow = bool(said.keys() - {"state"}) or given.get("cause") is not None
    if everything and narrow:
        raise Refused("--all and a filter cannot go together", USAGE)
    if acts and not everything and not narrow:
        raise Refused("say which messages, as --event orders.*, or --all", USAGE)
    return {**given, "filter": chosen}


def metadata_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """What was said with --meta, by key.

    Raises:
        Refused: something is no pair.
    """
    found = {}
    for each in pairs:
        key, equals, value = each.partition("=")
        if not equals:
            raise Refused(f"--meta is written KEY=VALUE: {each!r}", USAGE)
        found[key] = value
    return found
