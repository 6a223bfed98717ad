"""All pages and all acts, by their paths."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.routing import BaseRoute

from duly_web.pages import (
    ahead,
    changes,
    dead,
    events,
    many,
    one,
    operation,
    others,
    overview,
    series,
)
from duly_web.pages.look import Pages
from duly_web.pages.site import Site
from duly_web.pages.visit import Page
from duly_web.service import Service

__all__ = ["ACTS", "PAGES", "routes_of"]

PAGES: Final[Mapping[str, Page]] = {
    "": overview.overview,
    "ahead": ahead.ahead,
    "messages": many.messages,
    "messages/{ref}": one.message,
    "events": events.events,
    "series": series.series,
    "dead": dead.dead,
    "schedulers": others.schedulers,
    "changes": changes.changes,
    "operations/{ref}": operation.operation,
    "find": others.find,
    "help": others.help_page,
}
"""What is looked at, with the right ``read``."""

ACTS: Final[Mapping[str, tuple[str, Page]]] = {
    **one.ACTS,
    "messages": ("operate", many.begin),
    "events": ("operate", events.act),
    "schedulers/{ref}/recover": ("admin", others.recover),
    "operations/{ref}/stop": ("operate", operation.stop),
    "zone": ("read", others.choose_zone),
}
"""What forms do, each with the right it takes."""


def routes_of(service: Service, look: Pages) -> Sequence[BaseRoute]:
    """The routes of all of them."""
    return Site(service, look).routes(PAGES, ACTS)
