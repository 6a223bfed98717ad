"""Who did what; and acts on many."""

from datetime import datetime
from typing import Any, Final

import attrs

from duly import Unsupported
from duly_web.pages.operation import going_out
from duly_web.pages.resources import resource
from duly_web.pages.same import Same, same
from duly_web.pages.telling import did, phrases
from duly_web.pages.visit import Shown, Visit
from duly_web.pages.words import local

__all__ = ["changes"]

_LIMIT: Final = 100
_OPTIONS: Final = {name: f"--{name}" for name in ("action", "target", "by", "since", "until")}
_OF_NO_NUMBER: Final = ("pause", "resume", "limit", "payload")


@attrs.frozen(kw_only=True)
class Row:
    """A change, in words."""

    made: Any
    did: str
    which: str
    how: str
    operation: str
    """The act on many that it is of; empty where it is of none."""
    counts: bool


async def changes(visit: Visit) -> Shown:
    """The latest first."""
    said: dict[str, str | datetime] = {
        name: visit.query[name] for name in _OPTIONS if name in visit.query
    }
    for name in ("since", "until"):
        if name in said:
            said[name] = local(visit.query[name], visit.zone, f"/{name}")
    made, says = None, "Who did what is shown to those with the right 'admin'."
    if visit.may("admin") and visit.user.everywhere:
        asked: dict[str, Any] = said
        made, says = await visit.site.past.changes(**asked, limit=_LIMIT)
    try:
        operations = (await visit.ask(resource("/operations"))).items
    except Unsupported:
        operations = []
    return Shown(
        "changes.html",
        {
            "nav": "changes", "title": "Changes", "made": made, "says": says,
            "said": visit.query, "narrowed": bool(said),
            "rows": [] if made is None else [_row(visit, each) for each in made.changes],
            "operations": [(each, going_out(each, visit.now)) for each in operations[:_LIMIT]],
            "same": Same("duly changes") if made is None else same(
                visit, "changes", "v1/changes", _OPTIONS, said
            ),
        },
    )  # fmt: skip


def _row(visit: Visit, made: Any) -> Row:
    shows = visit.may("payload")
    details = {name: each for name, each in made.details.items() if name != "operation"}
    return Row(
        made=made,
        did=did(made.action, made.details),
        which=phrases(visit.words, made.filter or {}, shows=shows),
        how=phrases(visit.words, details, shows=shows),
        operation=str(made.details.get("operation", "")),
        counts=made.action not in _OF_NO_NUMBER,
    )
