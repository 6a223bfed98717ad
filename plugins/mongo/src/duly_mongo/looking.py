"""What a claim looks at first, in one round trip: the clock, all leases, the heads of the line."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly.moment import from_microseconds
from duly.store import LOOKED_AT
from duly_mongo.namespace import Namespace
from duly_mongo.places import after_expression, moment_of
from duly_mongo.schema import SETTINGS_ID, mark
from duly_mongo.statuses import ASIDE, SCHEDULED, SUSPECT

__all__ = ["LEAN", "SUSPECTS", "View", "end_of", "look", "present"]

_LEASES: Final = 1000  # looked at, those that end first
_PAGE: Final = 100  # places of the main line read at once, at least, where names are looked at
SUSPECTS: Final = 20
"""How many of these are read at once there."""

LEAN: Final[Mapping[str, Any]] = {
    "due": 1, "status": 1, "revision": 1, "name": "$event_name", "recurs": {"$type": "$recurrence"},
}  # fmt: skip
"""What is read of messages of which some are to be moved aside, and others taken."""


@attrs.frozen
class View:
    """The store at one moment, ``now`` in microseconds.

    Waiting messages have ``_id``, ``status`` and ``due``, and ``whole`` if they are due; in a
    ``lean`` view, which looks at names, what :data:`LEAN` says. Of the ordinary ones it has at most
    one more than ``page``. ``aside`` tells whether any stand in sidings.
    """

    now: int
    settings: Mapping[str, Any]
    leases: Sequence[Mapping[str, Any]]
    ordinary: Sequence[Mapping[str, Any]]
    suspects: Sequence[Mapping[str, Any]]
    with_suspects: bool
    skipped: int = 0
    aside: bool = False
    lean: bool = False
    page: int = 0

    @property
    def lapsed(self) -> list[str]:
        """The tokens of leases that are over and that nobody is about to settle."""
        return [lease["_id"] for lease in self.leases if end_of(lease) <= self.now]

    def first_lapse(self, but: str | None = None) -> int | None:
        """When the first lease other than this one will be over, if there is one."""
        return min((end_of(each) for each in self.leases if each["_id"] != but), default=None)

    def crowded(self, owner: str) -> bool:
        """Whether others than this owner hold leases."""
        return any(lease.get("owner") != owner for lease in self.leases)

    def due(self, document: Mapping[str, Any]) -> bool:
        """Whether it is to be claimed; so is what has no place in line, for it to be noticed."""
        moment = moment_of(document.get("due"))
        return moment is None or moment <= self.now

    def taken(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """What a claim takes: the earliest if that is a suspect, else the earliest others."""
        ordinary = [each for each in self.ordinary[:limit] if self.due(each)]
        suspect = next(iter(self.suspects), None)
        if suspect is None or not self.due(suspect):
            return ordinary
        first = not ordinary or str(suspect.get("due")) < str(ordinary[0].get("due"))
        return [suspect] if first else ordinary

    def odd(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """What has no place in line, of what a claim meets."""
        met = (*self.ordinary, *self.suspects) if self.lean else self.taken(limit)
        return [each for each in met if moment_of(each.get("due")) is None]

    @property
    def more(self) -> bool:
        """Whether something is due that this view does not show."""
        return bool(self.skipped or self.lapsed)

    def left(self, taken: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The heads of the lines behind what is taken."""
        ids = {str(each["_id"]) for each in taken}  # an id that duly did not write may be anything
        lines = (self.ordinary, self.suspects)
        heads = (next((e for e in line if str(e["_id"]) not in ids), None) for line in lines)
        return [head for head in heads if head is not None]


async def look(
    space: Namespace, limit: int, *, suspects: bool, skip: int = 0, lean: bool = False
) -> View:
    """The present view; of the waiting it has ``limit`` and one more, after ``skip`` of them."""
    messages, clock = space.messages.name, space.now()
    page = min(max(limit, _PAGE), LOOKED_AT) if lean else limit
    fields = LEAN if lean else _whole_if_due(clock)
    lines = [
        _head(SCHEDULED, page + 1, fields, skip),
        *([_head(SUSPECT, SUSPECTS if lean else 2, fields)] if suspects else []),
        [{"$match": {"status": ASIDE}}, {"$limit": 1}, {"$project": {"status": 1}}],
    ]
    of_lease = dict.fromkeys(("expires_at", "held_until", "owner", "usable_from", "lines"), 1)
    pipeline: list[dict[str, Any]] = [
        {"$sort": {"expires_at": 1}},
        {"$limit": _LEASES},
        {"$project": {**of_lease, "now": clock}},
        *[{"$unionWith": {"coll": messages, "pipeline": line}} for line in lines],
    ]
    found = await space.aggregate(space.leases, pipeline)
    leases = [each for each in found if "now" in each]
    now = max((int(each["now"]) for each in leases), default=None)
    if now is None:
        await mark(space)  # somebody has emptied the collection
        return await look(space, limit, suspects=suspects, skip=skip, lean=lean)
    (settings,) = [each for each in leases if each["_id"] == SETTINGS_ID] or [{}]
    return View(
        now=now,
        settings=settings,
        leases=[each for each in leases if each["_id"] != SETTINGS_ID],
        ordinary=[each for each in found if each.get("status") == SCHEDULED],
        suspects=[each for each in found if each.get("status") == SUSPECT],
        with_suspects=suspects,
        skipped=skip,
        aside=any(each.get("status") == ASIDE for each in found),
        lean=lean,
        page=page,
    )


async def present(space: Namespace) -> datetime:
    """The store's present moment."""
    while True:
        stages = [{"$match": {"_id": SETTINGS_ID}}, {"$project": {"now": space.now()}}]
        for found in await space.aggregate(space.leases, stages):
            return from_microseconds(int(found["now"]))
        await mark(space)  # somebody has emptied the collection


def _head(
    status: str, limit: int, fields: Mapping[str, Any], skip: int = 0
) -> list[dict[str, Any]]:
    """The first that wait with that status."""
    stages: list[dict[str, Any]] = [{"$match": {"status": status}}, {"$sort": {"due": 1}}]
    if skip:
        stages += [{"$skip": skip}]
    return [*stages, {"$limit": limit}, {"$project": fields}]


def _whole_if_due(clock: Any) -> Mapping[str, Any]:
    """The whole document, only of those that are due."""
    is_due = {"$lt": ["$due", after_expression(clock)]}
    return {"due": 1, "status": 1, "whole": {"$cond": [is_due, "$$ROOT", None]}}


def end_of(lease: Mapping[str, Any]) -> int:
    """When it is over: at its end, or later while somebody settles it."""
    return max(int(lease.get("expires_at", 0)), int(lease.get("held_until", 0)))
