"""Who had something done to a message, and why, where the history knows the change."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from duly_web.pages.visit import Visit
from duly_web.users import fits

if TYPE_CHECKING:
    from duly_history import ChangeMade, Entry

__all__ = ["Doers", "doers_of"]

_ACTIONS: Final[Mapping[str, Sequence[str]]] = {
    "scheduled": ("schedule", "copy"), "ensured": ("ensure",), "cancelled": ("cancel",),
    "rescheduled": ("reschedule", "fire"), "replayed": ("replay",), "purged": ("purge",),
}  # fmt: skip
"""Which changes may be behind what became of a message."""

_SLACK: Final = timedelta(seconds=1)  # between what is noted of a change and of its messages
_OWN: Final = 100  # changes of the message itself that are looked at
_MANY: Final = 20  # changes of many, for each time that something was done
_ASKED: Final = 5  # times

Doers = Mapping[tuple[datetime, str], "ChangeMade"]
"""Changes by when and as what they are noted of the message."""


async def doers_of(visit: Visit, entries: "Sequence[Entry]") -> Doers:
    """The changes behind what became of a message; without those that nobody knows.

    Acts on many may be about events that are none of this user's: they are told to those who see
    all events.
    """
    done = [each for each in entries if each.what.value in _ACTIONS]
    if not done:
        return {}
    own, _ = await visit.site.past.changes(target=done[0].message_id, limit=_OWN)
    known = [] if own is None else list(own.changes)
    found = {_key(each): change for each in done if (change := _behind(each, known))}
    left = [each for each in done if _key(each) not in found]
    if visit.user.everywhere:
        for each in left[-_ASKED:]:
            change = _behind(each, await _of_many(visit, each))
            if change is not None:
                found[_key(each)] = change
    return found


def _key(entry: "Entry") -> tuple[datetime, str]:
    return entry.at, entry.what.value


async def _of_many(visit: Visit, entry: "Entry") -> "list[ChangeMade]":
    found: list[Any] = []
    for action in _ACTIONS[entry.what.value]:
        some, _ = await visit.site.past.changes(action=action, until=entry.at + _SLACK, limit=_MANY)
        found += [] if some is None else [each for each in some.changes if _may_be(each, entry)]
    return found


def _may_be(change: "ChangeMade", entry: "Entry") -> bool:
    """Whether a change that names no message, or another one, may be about this one."""
    if change.target:
        return change.details.get("id") == entry.message_id  # of a copy
    said = change.filter or {}
    name, ids = said.get("event_name"), said.get("ids")
    if name is not None and entry.event_name is not None and not fits(name, entry.event_name):
        return False
    return ids is None or "ids_in_all" in said or entry.message_id in ids


def _behind(entry: "Entry", changes: "Sequence[ChangeMade]") -> "ChangeMade | None":
    """The one change of that process during which it was done; None where there are several."""
    found = [
        each
        for each in changes
        if each.action in _ACTIONS[entry.what.value]
        and each.source == entry.source
        and each.at - _SLACK <= entry.at
        and (each.ended_at is None or entry.at <= each.ended_at + _SLACK)
    ]
    exact = [each for each in found if each.at <= entry.at]
    found = exact or found
    if len({(each.by, each.reason) for each in found}) != 1:
        return None
    return found[0]
