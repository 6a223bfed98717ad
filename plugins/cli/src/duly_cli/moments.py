"""Moments and durations as people type them."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from duly_cli.errors import USAGE, Refused

__all__ = ["as_duration", "as_moment", "zone"]

_UNITS: Final = {
    "ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800,
}  # fmt: skip
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h|d|w)", re.ASCII)
_ISO: Final = re.compile(
    r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
_RELATIVE: Final = re.compile(r"(now)?\s*([+-])?\s*(.*)", re.DOTALL)
_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", re.ASCII)


def zone(name: str | None) -> tzinfo:
    """A time zone by its IANA name; UTC where none is given.

    Raises:
        Refused: there is none of that name.
    """
    if name is None or name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"--tz: there is no time zone {name!r}: give an IANA name, as Europe/Berlin", USAGE
        ) from error


def as_duration(text: str, option: str) -> timedelta:
    """A length of time: ``10m``, ``1h30m``, ``90 s``, ``2d``, or ISO 8601 as ``PT10M``.

    Raises:
        Refused: it is none.
    """
    said = text.strip()
    try:
        if (
            said[:1] in ("P", "p")
            and (found := _ISO.fullmatch(said.upper()))
            and any(found.groups())
        ):
            weeks, days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
            return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        parts = _PART.findall(said.lower())
        if parts and not _PART.sub("", said.lower()).strip():
            return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError as error:
        raise Refused(f"{option}: {text!r} is beyond what a date can hold", USAGE) from error
    raise Refused(
        f"{option}: {text!r} is no length of time: write 30s, 10m, 1h30m, 2d, or PT10M", USAGE
    )


def as_moment(
    text: str,
    option: str,
    *,
    now: datetime,
    zone: tzinfo | None,
    after: datetime | None = None,
) -> datetime:
    """A moment: RFC 3339, a date and time, a time of day, ``now``, ``now-1h`` or ``+10m``.

    ``zone`` is what was said with --tz; None: nothing, and then a moment must bring its own. A time
    of day is the first such time from ``after`` on, or from now.

    Raises:
        Refused: it is none, or lacks a zone, or there is no such moment.
    """
    said = text.strip()
    found = _RELATIVE.fullmatch(said)
    assert found is not None, "it matches any text"  # noqa: S101  # for the type checker
    word, sign, rest = found.groups()
    try:
        if word and not sign and not rest:
            return now
        if sign and not re.match(r"\d{4}-", rest):
            length = as_duration(rest, option)
            return now + length if sign == "+" else now - length
        if _CLOCK.fullmatch(said):
            return _next(time.fromisoformat(said.zfill(5)), option, text, after or now, zone)
        moment = datetime.fromisoformat(said)
    except (ValueError, OverflowError) as error:
        raise Refused(
            f"{option}: {text!r} is no moment: write 2026-11-30T14:00Z, '2026-11-30 14:00' with "
            "--tz, 14:00 with --tz, +10m or now-1h",
            USAGE,
        ) from error
    try:
        if moment.tzinfo is None:
            moment = _placed(moment, _given(zone, option, text), option)
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise Refused(f"{option}: {text!r} is beyond what a date can hold", USAGE) from error


def _next(at: time, option: str, text: str, start: datetime, zone: tzinfo | None) -> datetime:
    place = _given(zone, option, text)
    day = start.astimezone(place).date()
    for _ in range(3):
        moment = _placed(datetime.combine(day, at), place, option).astimezone(UTC)
        if moment >= start:
            return moment
        day += timedelta(days=1)
    raise Refused(f"{option}: {text!r} is no time that comes", USAGE)


def _given(zone: tzinfo | None, option: str, text: str) -> tzinfo:
    if zone is None:
        raise Refused(
            f"{option}: {text!r} has no time zone: end it in Z or +01:00, or say --tz", USAGE
        )
    return zone


def _placed(moment: datetime, place: tzinfo, option: str) -> datetime:
    placed = moment.replace(tzinfo=place)
    if placed.astimezone(UTC).astimezone(place).replace(tzinfo=None) != moment:
        raise Refused(
            f"{option}: clocks of {place} are put forward over {moment}: there is no such moment",
            USAGE,
        )
    return placed
