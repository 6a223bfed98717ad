"""Moments, lengths and numbers on pages: as a person reads them, in the time zone of who looks."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs
from markupsafe import Markup, escape

from duly.words import duration
from duly_web.problems import Problem
from duly_web.times import as_moment

__all__ = ["Words", "lasting", "local", "number", "plural"]

_NONE: Final = "\N{EN DASH}"
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", re.ASCII)
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,15}(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LOCAL: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def lasting(value: float | timedelta | None) -> str:
    """A duration, or seconds, in words; a dash for what is not known."""
    if value is None:
        return _NONE
    return duration(value if isinstance(value, timedelta) else timedelta(seconds=value))


def number(value: float | None, *, at_least: bool = False) -> str:
    """Such as "1,190", "≥ 10,000"; a dash for what is not known."""
    if value is None:
        return _NONE
    told = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}".removesuffix(".0")
    return f"≥ {told}" if at_least else told


def plural(count: int, one: str, many: str | None = None) -> str:
    """Such as "1 message", "1,190 messages"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def local(text: str, zone: ZoneInfo, pointer: str) -> datetime:
    """A moment as a form sends it, in that zone; or as RFC 3339.

    Raises:
        Problem: it is none, or the clocks of the zone never show it.
    """
    for shape in _LOCAL:
        try:
            naive = datetime.strptime(text.strip(), shape)  # noqa: DTZ007  # the zone comes next
        except ValueError:
            continue
        try:
            found = naive.replace(tzinfo=zone).astimezone(UTC)
            exists = found.astimezone(zone).replace(tzinfo=None) == naive
        except OverflowError:
            exists = False
        if not exists:
            raise Problem(
                422, "InvalidArgument", f"the clocks of {zone.key} never show {text}: they are "
                "put forward then", pointer=pointer,
            )  # fmt: skip
        return found
    return as_moment(text, pointer)


@attrs.frozen
class Words:
    """How moments are told to one who looks, at ``now``."""

    zone: ZoneInfo
    now: datetime

    def here(self, moment: datetime) -> datetime:
        """A moment in this zone; at an end of the calendar, where that has none, as it is."""
        try:
            return moment.astimezone(self.zone)
        except OverflowError:
            return moment

    def moment(self, value: datetime | str | None, *, exact: bool = False) -> Markup:
        """A moment, with the date unless it is today; ``exact``: all of it, with the zone."""
        if value is None:
            return Markup("\N{EN DASH}")
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        here = self.here(at)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.astimezone(UTC).isoformat(), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC",
            self._exactly(here) if exact else self._shortly(here),
        )  # fmt: skip

    def _exactly(self, here: datetime) -> str:
        return f"{here.day} {here:%b %Y, %H:%M:%S %Z}"

    def _shortly(self, here: datetime) -> str:
        today = self.now.astimezone(self.zone)
        if here.date() == today.date():
            return f"{here:%H:%M:%S}"
        if abs(here - today) < timedelta(days=300):
            return f"{here.day} {here:%b, %H:%M}"
        return f"{here.day} {here:%b %Y}"

    def day(self, value: datetime) -> str:
        """Such as "Friday, 27 November 2026"."""
        here = self.here(value)
        today = self.now.astimezone(self.zone).date()
        said = f"{here:%A}, {here.day} {here:%B %Y}"
        return f"Today, {said}" if here.date() == today else said

    def clock(self, value: datetime, *, seconds: bool = True) -> str:
        """Such as "14:25:40"."""
        return f"{self.here(value):{'%H:%M:%S' if seconds else '%H:%M'}}"

    def told(self, text: str, verbatim: str | None = None) -> str:
        """A sentence with its moments in this zone; what is ``verbatim`` stays as it is."""
        parts = text.split(verbatim) if verbatim else [text]
        return (verbatim or "").join(_MOMENT.sub(self._said, each) for each in parts)

    def _said(self, found: "re.Match[str]") -> str:
        try:
            here = self.here(datetime.fromisoformat(found[1]).replace(tzinfo=UTC))
        except ValueError:
            return found[0]
        if here.date() == self.now.astimezone(self.zone).date():
            return f"{here:%H:%M:%S %Z}"
        return self._exactly(here)

    def value(self, value: object) -> object:
        """A detail of a change: a moment where it is the text of one."""
        if isinstance(value, str) and _ISO.fullmatch(value):
            try:
                return self.moment(value, exact=True)
            except ValueError:
                return value
        return value

    def distance(self, value: datetime | str | None) -> str:
        """Such as "in 4 min 1 s", "13 s ago"."""
        if value is None:
            return ""
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        away = at - self.now
        if abs(away) < timedelta(seconds=1):
            return "now"
        return f"in {duration(away)}" if at > self.now else f"{duration(-away)} ago"

    def field(self, value: datetime | str | None) -> str:
        """As a field of a form for date and time holds it."""
        if not value:
            return ""
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        here = self.here(at)
        return f"{here:%Y-%m-%dT%H:%M:%S}" if here.second else f"{here:%Y-%m-%dT%H:%M}"

    @property
    def zone_name(self) -> str:
        """Such as "Europe/Berlin, UTC+01:00"."""
        here = self.now.astimezone(self.zone)
        offset = f"{here:%z}"
        name = self.zone.key
        return name if name == "UTC" else str(escape(f"{name}, UTC{offset[:3]}:{offset[3:5]}"))
