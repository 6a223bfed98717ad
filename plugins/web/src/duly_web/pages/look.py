"""How the pages present themselves."""

from typing import Final
from zoneinfo import ZoneInfo

import attrs

from duly import InvalidArgument
from duly.url import mask

__all__ = ["COLORS", "Pages", "zone_of"]

COLORS: Final = ("plain", "red", "amber", "green", "blue", "violet")
_LONGEST: Final = 60  # characters


def zone_of(name: object) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        InvalidArgument: there is none of that name.
    """
    try:
        if isinstance(name, str) and 0 < len(name) <= _LONGEST:
            return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        pass
    raise InvalidArgument(f"there is no time zone {str(name)[:_LONGEST]!r}: try Europe/Berlin")


def _text(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or len(value) > 255 or not (value.isprintable() or not value):
        raise InvalidArgument(f"{attribute.name} must be text of up to 255 characters")


def _masked(value: object) -> object:
    return mask(value) if isinstance(value, str) else value


def _color(_: object, __: object, value: object) -> None:
    if value not in COLORS:
        raise InvalidArgument(f"color must be one of {', '.join(COLORS)}, not {value!r}")


@attrs.frozen(kw_only=True)
class Pages:
    """What all pages say of where one is.

    ``environment`` is a word as "production", shown on every page and in its title, in one of
    :data:`COLORS`. ``store`` says which store it is; passwords in it are masked. ``timezone`` is
    that of who has not chosen another.

    Raises:
        InvalidArgument: a color or time zone that is none, or a text that cannot be shown.
    """

    environment: str = attrs.field(default="", validator=_text)
    color: str = attrs.field(default="plain", validator=_color)
    store: str = attrs.field(default="", validator=_text, converter=_masked)
    timezone: str = attrs.field(default="UTC")

    @timezone.validator
    def _zone(self, _: object, value: object) -> None:
        zone_of(value)
