"""Moments and durations: how they are written, and how they are read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from duly_web.problems import Problem

__all__ = ["DURATION", "Moment", "as_duration", "as_moment", "maybe", "written"]

Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339, in Z with six digits when it is ours."""

_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_ISO: Final = re.compile(
    r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
_NUMBER: Final = r"[0-9]{1,9}(\.[0-9]{1,9})?"
DURATION: Final = (
    rf"^({_NUMBER} ?([mM][sS]|[sSmMhHdDwW]) ?)+$"
    r"|^[pP](?!$)([0-9]{1,9}[wW])?([0-9]{1,9}[dD])?"
    rf"([tT](?=[0-9])([0-9]{{1,9}}[hH])?([0-9]{{1,9}}[mM])?({_NUMBER}[sS])?)?$"
)
"""What :func:`as_duration` takes, as JSON Schema has patterns."""

_LONGEST: Final = 64  # characters
_CENTURY: Final = timedelta(days=36_525)


def written(moment: datetime) -> str:
    """A moment as it is sent."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".rjust(27, "0")


def maybe(moment: datetime | None) -> str | None:
    """A moment as it is sent, or None."""
    return None if moment is None else written(moment)


def as_moment(text: str, pointer: str) -> datetime:
    """A moment of RFC 3339; what is finer than a microsecond is cut off.

    Raises:
        Problem: it is none, has no zone, or there is no such moment.
    """
    found = _MOMENT.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise _invalid(pointer, f"{_shown(text)} is no moment of RFC 3339, as 2026-11-30T14:00:00Z")
    date, time, fraction, zone = found.groups()
    if zone is None:
        raise _invalid(pointer, f"{text!r} has no time zone: end it in Z, or as +01:00")
    digits = (fraction or "0")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{date}T{time}.{digits}{zone.upper()}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid(pointer, f"there is no such moment as {text!r}") from None


def as_duration(text: str, pointer: str) -> timedelta:
    """A length of time: ``10m``, ``1h30m``, ``90s``, ``2d``, or ISO 8601 as ``PT10M``.

    Raises:
        Problem: it is none, or over a century.
    """
    said = text.strip() if len(text) <= _LONGEST else ""
    length = None
    try:
        found = _ISO.fullmatch(said.upper())
        if found is not None and any(found.groups()):
            names = ("weeks", "days", "hours", "minutes", "seconds")
            numbers = (float(each or 0) for each in found.groups())
            length = timedelta(**dict(zip(names, numbers, strict=True)))
        else:
            parts = _PART.findall(said.lower())
            if parts and not _PART.sub("", said.lower()).strip():
                length = timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in parts))
    except OverflowError:
        length = timedelta.max
    if length is None:
        raise _invalid(
            pointer, f"{_shown(text)} is no length of time: write 30s, 10m, 1h30m, 2d, or PT10M"
        )
    if length > _CENTURY:
        raise _invalid(pointer, f"{text!r} is over a century")
    return length


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem(422, "InvalidArgument", detail, pointer=pointer)
