"""Schedulers, the find box, the choice of a time zone, and the words."""

import re
from typing import Any, Final
from urllib.parse import urlencode

from duly import MessageNotFound
from duly_web.filters import ListQuery
from duly_web.pages.look import zone_of
from duly_web.pages.resources import resource
from duly_web.pages.same import Same
from duly_web.pages.visit import Done, Shown, Visit
from duly_web.problems import Problem
from duly_web.refs import id_of, ref_of

__all__ = ["choose_zone", "find", "help_page", "recover", "schedulers"]

_TRACE: Final = re.compile(r"[0-9a-f]{32}")


async def schedulers(visit: Visit) -> Shown:
    """Who delivers."""
    visit.call().everywhere()
    snapshot = await visit.snapshot()
    known = sorted(snapshot.standing.schedulers, key=lambda e: (e.gone, e.instance or e.owner))
    return Shown("schedulers.html", {
        "nav": "schedulers", "title": "Schedulers", "known": known,
        "same": Same("duly schedulers", "v1/schedulers"),
    })  # fmt: skip


async def recover(visit: Visit) -> Done:
    """Say that a scheduler is certainly dead."""
    visit.call().everywhere()
    if visit.said("sure") != "yes":
        raise Problem(
            422, "InvalidArgument", "tick that you are sure that its process is dead: what one that"
            " lives holds would be delivered twice. Nothing was done.",
        )  # fmt: skip
    owner = id_of(visit.request.path_params["ref"])
    number = await visit.client.recover(owner)
    return Done(f"schedulers?done=recovered&n={number}")


async def find(visit: Visit) -> Shown | Done:
    """A message by its id or trace, an event by its name, messages by their metadata."""
    said = visit.query.get("q", "").strip()
    if not said:
        return Done("messages")
    if len(said) > 1024:
        raise Problem(422, "InvalidArgument", "that is too long to be found")
    try:
        await visit.ask(resource("/messages/{ref}"), ref=ref_of(said))
        return Done(f"messages/{ref_of(said)}")
    except (MessageNotFound, Problem):
        pass
    key, equals, value = said.partition("=")
    if equals and key:
        return Done(f"messages?{urlencode({f'meta.{key}': value})}")
    snapshot = await visit.snapshot()
    names = [each.name for each in snapshot.names or () if visit.user.sees(each.name)]
    if said in names or said.endswith(".*"):
        return Done(f"messages?{urlencode({'event_name': said})}")
    facts: dict[str, Any] = {
        "nav": None, "title": "Found", "said": said, "found": [], "looked_at": 0, "complete": True,
        "names": [each for each in names if said.lower() in each.lower()][:20],
    }  # fmt: skip
    entries, _ = await visit.site.past.life(said)
    if entries is not None and entries.entries and visit.user.everywhere:
        return Done(f"messages/{ref_of(said)}")
    await _look(visit, said, facts)
    return Shown("found.html", facts)


async def _look(visit: Visit, said: str, facts: dict[str, Any]) -> None:
    is_trace = _TRACE.fullmatch(said) is not None
    query, _ = visit.many({} if is_trace else {"id_prefix": said}, ListQuery, limit="500")
    page = await visit.ask(resource("/messages"), query=query)
    found = [each for each in page.items if not is_trace or each.trace_id == said]
    facts |= {
        "found": found[:50], "looked_at": page.looked_at, "is_trace": is_trace,
        "complete": page.complete,
    }  # fmt: skip


async def help_page(_: Visit) -> Shown:
    """What the words mean."""
    return Shown("help.html", {"nav": None, "title": "What the words mean"})


async def choose_zone(visit: Visit) -> Done:
    """Tell moments in another time zone from now on."""
    return Done(visit.said("back"), zone=zone_of(visit.said("zone")).key)
