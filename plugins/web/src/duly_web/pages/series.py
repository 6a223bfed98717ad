"""What recurs: in words, in its zone, what comes next and what has been."""

import asyncio
from typing import Any, Final

from duly import DulyError
from duly_web.pages.resources import resource
from duly_web.pages.same import filtered
from duly_web.pages.visit import Shown, Visit
from duly_web.problems import Problem
from duly_web.resources.lists import SeriesQuery

__all__ = ["series"]

_LIMIT: Final = 25


async def series(visit: Visit) -> Shown:
    """A page of series."""
    said = {name: each for name, each in visit.query.items() if name in ("event_name", "id_prefix")}
    more = {"cursor": visit.query["cursor"]} if "cursor" in visit.query else {}
    facts: dict[str, Any] = {
        "nav": "series", "title": "Series", "said": said, "page": None, "problem": None,
        "last": {}, "kept": visit.site.past.kept,
    }  # fmt: skip
    try:
        query, _ = visit.many(said, SeriesQuery, limit=str(_LIMIT), **more)

        async def read() -> Any:
            return await visit.ask(resource("/series"), query=query)

        facts["same"] = filtered(visit, "series", "v1/series", said)
        page = facts["page"] = await visit.site.recent.get(f"series:{visit.user}:{query}", read)
        if visit.site.past.kept:
            found = await asyncio.gather(*(visit.site.past.fires(e.id) for e in page.items))
            facts["last"] = {e.id: f for e, f in zip(page.items, found, strict=True)}
    except (Problem, DulyError) as problem:
        facts["problem"] = problem
    snapshot = await visit.snapshot()
    return Shown("series.html", {**facts, "paused": snapshot.paused})
