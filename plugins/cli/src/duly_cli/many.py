"""Acting on all messages that match: counted first, then a hundred at a time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import click

from duly import DulyError, Filter, Message, changing
from duly_cli.desk import Desk
from duly_cli.errors import IN_PART, REFUSED, Refused
from duly_cli.sheet import sheet

__all__ = ["Match", "Tally", "bulk", "carried_out", "matching", "number_of"]

_AT_ONCE: Final = 100  # messages that are changed in one call
_SHOWN: Final = 10
_COUNTED: Final = 10_000
_ACTIONS: Final = {"replayed": "replay", "purged": "purge", "cancelled": "cancel"}

Act = Callable[[Sequence[Message], int], Awaitable[int]]
"""Given some messages, and how many are done; how many of them it did."""


def bulk(work: Any) -> Any:
    """Add the options that keep an act on many from being a surprise."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Count, show the first ten, do nothing."),
        click.option("--look-at", type=click.IntRange(1), default=_COUNTED, help="To count them."),
        click.option(
            "--expect", metavar="N", type=click.IntRange(0), help="Only if so many match."
        ),
    ):
        work = option(work)
    return work


@attrs.frozen
class Match:
    """How many messages match before anything is done, and the first of them."""

    number: int
    exact: bool
    first: Sequence[Message] = ()

    def __add__(self, other: "Match") -> "Match":
        first = [*self.first, *other.first][:_SHOWN]
        return Match(self.number + other.number, self.exact and other.exact, first)

    def told(self, noun: str) -> str:
        """Such as "at least 10,000 messages"."""
        return f"{'' if self.exact else 'at least '}{number_of(self.number, noun)}"

    def facts(self) -> Mapping[str, Any]:
        """For programs."""
        return {"matched": self.number, "kind": "exact" if self.exact else "at_least"}

    def check(self, expect: int | None, noun: str) -> None:
        """Refuse another number than what somebody expects.

        Raises:
            Refused: it is another, or nobody knows.
        """
        if expect is None or (self.exact and self.number == expect):
            return
        hint = "" if self.exact else ", more than were looked at: see --look-at"
        told = self.told(noun)
        raise Refused(f"{told} match{hint}, and {expect:,} were expected: nothing was done")

    def show(self, desk: Desk, noun: str, what: str) -> None:
        """What a dry run tells."""
        desk.say(f"{self.told(noun)} would be {what}; nothing was done.", "bold")
        sheet(
            desk,
            ["id", "event", "due", "died", "error"],
            [
                [
                    each.id,
                    each.event_name,
                    each.next_attempt_at if each.died_at is None else None,
                    each.died_at,
                    " ".join((each.last_error or "").split())[:60],
                ]
                for each in self.first
            ],
            "",
        )


@attrs.define
class Tally:
    """How far an act has come: messages ``seen``, and those of them that are ``done``."""

    seen: int = 0
    done: int = 0

    @property
    def code(self) -> int:
        """What the command exits with."""
        if self.done == self.seen:
            return 0
        return IN_PART if self.done else REFUSED


async def matching(
    desk: Desk, filter: Filter, *, look_at: int, last: datetime | None = None
) -> Match:
    """Count what matches; with ``last`` only what is not known to have died later."""
    found = await desk.client.search(filter, look_at=look_at + 1, payload=False)
    kept = [each for each in found.messages if _by(each, last)]
    number = len(kept) if found.complete else min(len(kept), look_at)
    return Match(number, found.complete, kept[:_SHOWN])


async def carried_out(
    desk: Desk,
    filter: Filter,
    act: Act,
    *,
    what: str,
    tally: Tally,
    total: int | None = None,
    last: datetime | None = None,
) -> None:
    """Do it to all that match, as one change, with progress; ``what`` is as "purged".

    Raises:
        Refused: it ended in the middle; the text says how far it came.
    """
    try:
        async with changing(desk.client, _ACTIONS[what], filter=filter, died_by=last):
            with desk.progress(what, total) as advance:
                async for some in _hundreds(desk, filter, last):
                    tally.done += await act(some, tally.done)
                    tally.seen += len(some)
                    advance(len(some))
    except DulyError as error:
        if not tally.done:
            raise
        again = (
            "" if last is None else f" with --as-of {last.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        )
        raise Refused(
            f"{tally.done:,} were {what} for certain, others were not: {error}; say it "
            f"again{again} for the rest",
            IN_PART,
        ) from error


async def _hundreds(
    desk: Desk, filter: Filter, last: datetime | None
) -> AsyncIterator[Sequence[Message]]:
    some: list[Message] = []
    async for message in desk.client.iterate(filter, payload=False):
        if _by(message, last):
            some.append(message)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def number_of(number: int, noun: str) -> str:
    """Such as "1 message" and "1,190 messages"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _by(message: Message, last: datetime | None) -> bool:
    """Whether it died by then, as far as anybody knows."""
    return last is None or message.died_at is None or message.died_at <= last
