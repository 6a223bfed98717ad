"""The changelog has a section for each release; the first is of what comes next."""

import re
from datetime import date
from typing import Final, NamedTuple

from releasing.refused import Refused

__all__ = ["Section", "first", "released", "sections"]

_HEADING: Final = re.compile(r"^## (?P<version>\S+) \((?P<when>[^()]*)\)$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^\s*[-*] +\S", re.MULTILINE)
_OPEN: Final = "unreleased"


class Section(NamedTuple):
    """A heading and what follows it. ``day`` is None of what is not released."""

    heading: str
    version: str
    day: date | None
    text: str


def sections(changelog: str) -> list[Section]:
    """All of them, the newest first.

    Raises:
        Refused: a heading of the second level is none of a version.
    """
    known = [*_HEADING.finditer(changelog)]
    if strange := {*re.findall(r"^## .*$", changelog, re.MULTILINE)} - {each[0] for each in known}:
        raise Refused(
            f"CHANGELOG.md: {min(strange)!r} is no heading of a version: write "
            "'## 0.2.0 (unreleased)', or the day for 'unreleased'"
        )
    ends = [*(each.start() for each in known), len(changelog)][1:]
    return [
        Section(each[0], each["version"], _day(each), changelog[each.end() : end])
        for each, end in zip(known, ends, strict=True)
    ]


def first(changelog: str) -> Section:
    """The newest section.

    Raises:
        Refused: there is none.
    """
    found = sections(changelog)
    if not found:
        raise Refused("CHANGELOG.md has no section: it begins with '## 0.2.0 (unreleased)'")
    return found[0]


def released(changelog: str, version: str, day: date) -> str:
    """The changelog in which what was to come is the release of that version.

    Raises:
        Refused: nothing is to come, nothing is said of it, or the version is there already.
    """
    newest, *others = sections(changelog) or [first(changelog)]
    if newest.day is not None:
        raise Refused(
            f"CHANGELOG.md says nothing new since {newest.version}: what users notice belongs "
            f"under a heading '## {version} (unreleased)' above it"
        )
    if not _ENTRY.search(newest.text):
        raise Refused(
            f"CHANGELOG.md has no entry under {newest.heading!r}: a release says what users notice"
        )
    if version in {each.version for each in others}:
        raise Refused(f"CHANGELOG.md has a section of {version} already")
    return changelog.replace(newest.heading, f"## {version} ({day})", 1)


def _day(heading: re.Match[str]) -> date | None:
    if heading["when"] == _OPEN:
        return None
    try:
        return date.fromisoformat(heading["when"])
    except ValueError:
        raise Refused(
            f"CHANGELOG.md: {heading[0]!r}: in brackets stands {_OPEN!r}, or a day such as "
            "2026-12-31"
        ) from None
