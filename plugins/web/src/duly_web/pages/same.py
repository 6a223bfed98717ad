"""The same in a shell and over HTTP, with every filter of the page: told at its foot."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import attrs

from duly_web.pages.visit import MOMENTS, Visit
from duly_web.times import written

__all__ = ["Same", "filtered", "same"]

_FILTER: Final[Mapping[str, str]] = {
    "event_name": "--event", "phase": "--phase", "state": "--state", "id_prefix": "--id-prefix",
    "error": "--error", "error_class": "--error-class", "before": "--scheduled-before",
    "after": "--scheduled-after", "due_before": "--due-before", "due_after": "--due-after",
    "died_before": "--died-before", "died_after": "--died-after",
}  # fmt: skip
"""The options of the command for the words of a filter."""


@attrs.frozen
class Same:
    """A command, and what to ask for over HTTP; either may be empty."""

    command: str
    resource: str = ""


def same(
    visit: Visit,
    verb: str,
    resource: str,
    options: Mapping[str, str],
    said: Mapping[str, str | datetime],
) -> Same:
    """What to type and to ask for what is ``said``, by the options of the command."""
    words, query = ["duly", *verb.split()], dict[str, str]()
    for name, value in said.items():
        if isinstance(value, datetime):
            words += [options[name], visit.words.here(value).isoformat()]
            query[name] = written(value)
        else:
            words += [options[name], value]
            query[name] = value
    if visit.zone.key != "UTC" and any(isinstance(each, datetime) for each in said.values()):
        words += ["--tz", visit.zone.key]
    return Same(shlex.join(words), f"{resource}{'?' if query else ''}{urlencode(query)}")


def filtered(visit: Visit, verb: str, resource: str, said: Mapping[str, str]) -> Same:
    """The same for the words of a filter, and the metadata that it asks for.

    Raises:
        Problem: a moment that is none.
    """
    words, metadata = visit.filters(said)
    known = {
        name: datetime.fromisoformat(words[name]) if name in MOMENTS else words[name]
        for name in _FILTER
        if name in words
    }
    found = same(visit, verb, resource, _FILTER, known)
    if not metadata:
        return found
    told = "".join(f" --meta {shlex.quote(f'{key}={value}')}" for key, value in metadata.items())
    query = urlencode({f"meta.{key}": value for key, value in metadata.items()})
    mark = "&" if "?" in found.resource else "?"
    return Same(found.command + told, f"{found.resource}{mark}{query}")
