"""The history, where one is said: asked, and told in words. The package need not be installed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from duly import DulyError
from duly.words import duration
from duly_cli.desk import Desk
from duly_cli.targets import see_that_it_can_be_kept

if TYPE_CHECKING:
    from duly_history import Entry, EventFigures, History, Hole

__all__ = [
    "failures_of", "figures_of", "history_of", "hole_facts", "life", "needed_history", "tell_holes",
]  # fmt: skip

_HOW = (
    "Not kept here: {what} is kept by the history plugin alone. Say which history: --history URL, "
    "DULY_HISTORY, or a context that has one"
)


def history_of(desk: Desk) -> "History | None":
    """The history that goes with the store; None where none is said.

    Raises:
        Refused: one is said, and its package is not installed.
        InvalidArgument: it cannot be a history.
    """
    if desk.target.history is None:
        return None
    see_that_it_can_be_kept()
    from duly_history import History  # noqa: PLC0415  # it need not be installed

    return History(desk.target.history)


def needed_history(desk: Desk, what: str) -> "History | None":
    """The same for a command that is about nothing else: where none is said, it says how."""
    found = history_of(desk)
    if found is None:
        desk.say(_HOW.format(what=what))
    return found


async def figures_of(desk: Desk) -> "Mapping[str, EventFigures] | None":
    """What happened in the last hour, by event name; None where nobody knows."""
    history = history_of(desk)
    if history is None:
        return None
    try:
        return {each.event_name: each for each in await history.events()}
    except DulyError as error:  # what the store says holds all the same
        desk.note(f"Rates are not known: {error}")
        return None


async def failures_of(desk: Desk) -> Mapping[tuple[str | None, str], int] | None:
    """How often something failed in the last hour, by class and text; None where nobody knows."""
    history = history_of(desk)
    if history is None:
        return None
    try:
        found = await history.causes()
    except DulyError as error:
        desk.note(f"Failures of the last hour are not known: {error}")
        return None
    return {(each.error_class, each.text): each.number - each.buried for each in found.causes}


def life(desk: Desk, entries: "Sequence[Entry]", holes: "Sequence[Hole]") -> Sequence[str]:
    """One line for each thing that happened, and for each hole, in their order."""
    told = [(each.at, f"{desk.moment(each.at)}  {_words(desk, each)}") for each in entries]
    told += [(each.from_at, f"{desk.moment(each.from_at)}  {_hole(desk, each)}") for each in holes]
    return [line for _, line in sorted(told, key=lambda each: each[0])]


def tell_holes(desk: Desk, holes: "Sequence[Hole]") -> None:
    """What is not known, beside the answer."""
    for each in holes:
        desk.note(f"From {desk.moment(each.from_at)} {_hole(desk, each)}")


def hole_facts(hole: "Hole") -> Mapping[str, Any]:
    """For programs."""
    return {"what": "hole", **attrs.asdict(hole)}


def _words(desk: Desk, entry: "Entry") -> str:
    due, at = desk.text(entry.due_at), f" at attempt {entry.attempt}" if entry.attempt else ""
    error = " ".join((entry.error or "").split())
    match entry.what.value:
        case "scheduled":
            text = f"scheduled for {due}"
        case "ensured":
            text = f"declared as a series: {entry.detail}"
        case "rescheduled":
            text = f"moved to {due}"
        case "failed":
            then = "" if entry.next_at is None else f"; tried again {desk.moment(entry.next_at)}"
            text = f"failed{at}: {error}{then}"
        case "delivered":
            late = "" if entry.lateness is None else f", {duration(entry.lateness)} late"
            receipt = "" if entry.receipt is None else f", receipt {entry.receipt}"
            text = f"delivered{at}{late}{receipt}"
        case "buried":
            text = f"became a dead letter{at}: {error}"
        case "missed":
            text = f"missed, from {due} on: {entry.detail}"
        case "replayed":
            text = "replayed: scheduled again" + ("" if entry.due_at is None else f" for {due}")
        case other:
            text = other
    return f"{text}  ({entry.source})"


def _hole(desk: Desk, hole: "Hole") -> str:
    number = "what happened" if hole.number is None else f"{hole.number:,} entries"
    be = "are" if hole.number is not None and hole.number != 1 else "is"
    return f"to {desk.moment(hole.to_at)} {number} {be} not known: {hole.reason} ({hole.source})"
