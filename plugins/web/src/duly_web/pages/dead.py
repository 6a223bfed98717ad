"""Dead letters by what they died of."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from duly_web.pages.resources import resource
from duly_web.pages.same import filtered
from duly_web.pages.visit import Shown, Visit
from duly_web.pages.words import local
from duly_web.problems import Problem

__all__ = ["dead", "to_come"]


def _narrowed(cause: Any) -> dict[str, str]:
    """The filter of a cause, by its event too where there is but one."""
    one = {"event_name": cause.event_names[0]} if len(cause.event_names) == 1 else {}
    return {**one, **cause.filter}


def to_come(visit: Visit, said: Mapping[str, str]) -> str:
    """That nothing can have died since a moment that is still to come; else empty."""
    if "died_after" not in said:
        return ""
    try:
        since = local(said["died_after"], visit.zone, "/died_after")
    except Problem:
        return ""
    if since <= visit.now:
        return ""
    moment = visit.words.moment(since, exact=True).striptags()
    return f"{moment} is still to come: nothing has died since then. Ask for an earlier moment."


async def dead(visit: Visit) -> Shown:
    """The causes, the most frequent first."""
    said = {name: e for name, e in visit.query.items() if name in ("event_name", "died_after")}
    facts: dict[str, Any] = {
        "nav": "dead", "title": "Dead letters", "said": said, "found": None, "problem": None,
        "echoes": [], "links": [], "to_come": to_come(visit, said),
    }  # fmt: skip
    try:
        query, _ = visit.many(said)

        async def read() -> Any:
            return await visit.ask(resource("/causes"), query=query)

        found = await visit.site.recent.get(f"dead:{visit.user}:{query}", read)
        words, _ = visit.filters(said)
        since = {"died_after": words["died_after"]} if "died_after" in words else {}
        filters = [{**_narrowed(each), **since} for each in found.items]
        facts |= {
            "found": found, "echoes": [urlencode(each) for each in filters],
            "links": [{**e, "phase": "dead", "state": ""} for e in filters],
            "same": filtered(visit, "dead", "v1/causes", said),
        }  # fmt: skip
    except Problem as problem:
        facts["problem"] = problem
    return Shown("dead.html", facts)
