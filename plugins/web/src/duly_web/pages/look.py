"""How the pages present themselves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import attrs

from duly import InvalidArgument
from duly.url import mask

if TYPE_CHECKING:
    from duly_history import History

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


def _color(_: object, __: object, value: object) -> None:
    if value not in COLORS:
        raise InvalidArgument(f"color must be one of {', '.join(COLORS)}, not {value!r}")


def _history(_: object, __: object, value: object) -> None:
    if value is not None and not all(hasattr(value, each) for each in ("of", "rates", "changes")):
        raise InvalidArgument(f"history must be a duly_history.History, not {value!r}")


@attrs.frozen(kw_only=True)
class Pages:
    """What all pages say of where one is.

    ``environment`` is a word as "production", shown on every page and in its title, in one of
    :data:`COLORS`. ``store`` says which store it is; passwords in it are masked. ``timezone`` is
    that of who has not chosen another. ``history`` is where the past is kept: without it the pages
    say that it is not kept.

    Raises:
        InvalidArgument: a color, time zone or history that is none.
    """

    environment: str = attrs.field(default="", validator=_text)
    color: str = attrs.field(default="plain", validator=_color)
    store: str = attrs.field(default="", validator=_text, converter=mask)
    timezone: str = attrs.field(default="UTC")
    history: "History | None" = attrs.field(default=None, validator=_history)

    @timezone.validator
    def _zone(self, _: object, value: object) -> None:
        zone_of(value)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What templates show of it."""
        return {"environment": self.environment, "color": self.color, "store": self.store}
