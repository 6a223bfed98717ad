"""An act on many: how far it is, what is still to go out of it, and its Stop."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import attrs

from duly import MessageNotFound
from duly_web.operations.record import OperationDocument
from duly_web.pages.resources import resource
from duly_web.pages.same import Same
from duly_web.pages.telling import phrases
from duly_web.pages.visit import Done, Shown, Visit
from duly_web.problems import Problem

__all__ = ["GoingOut", "going_out", "operation", "stop"]

_ONE: Final = "/operations/{id}"


@attrs.frozen
class GoingOut:
    """Of what is replayed at a rate: how many are due later, and when the last one is."""

    left: int
    until: datetime


def going_out(op: OperationDocument, now: datetime) -> GoingOut | None:
    """What is still to go out of an act that has given out due times; None: nothing."""
    if op.rate_per_second is None or not op.done:
        return None
    begun = datetime.fromisoformat(op.starts_at)
    due = int((now - begun).total_seconds() * op.rate_per_second) + 1 if now >= begun else 0
    if due >= op.done:
        return None
    try:
        last = begun + timedelta(seconds=(op.done - 1) / op.rate_per_second)
    except OverflowError:
        last = datetime.max.replace(tzinfo=UTC)
    return GoingOut(op.done - due, last)


async def operation(visit: Visit) -> Shown:
    """How far it is."""
    try:
        found = await visit.ask(resource(_ONE), ref=visit.request.path_params["ref"])
    except MessageNotFound as error:
        return _unknown(error)
    said = _said(found)
    facts = {
        "nav": "changes", "title": f"{found.action} of many", "op": found,
        "which": phrases(visit.words, said), "event_name": found.filter.event_name,
        "out": going_out(found, visit.now), "paused": (await visit.snapshot()).paused,
        "same": Same("", f"v1/operations/{quote(found.id, safe='')}"),
    }  # fmt: skip
    return Shown("operation.html", facts)


def _said(op: OperationDocument) -> Mapping[str, Any]:
    """Its filter, what was given of it."""
    return {
        name: value
        for name in op.filter.__struct_fields__
        if (value := getattr(op.filter, name)) not in (None, {})
    }


async def stop(visit: Visit) -> Shown | Done:
    """Have it stop."""
    id = visit.request.path_params["ref"]
    try:
        await visit.ask(resource(_ONE, "DELETE"), ref=id)
    except MessageNotFound as error:
        return _unknown(error)
    return Done(f"operations/{quote(id, safe='')}?done=stopping")


def _unknown(error: MessageNotFound) -> Shown:
    facts = {
        "nav": "changes", "title": "There is no such act on many",
        "problem": Problem(404, "NotFound", f"There is {error}."),
    }  # fmt: skip
    return Shown("problem.html", facts, 404)
