"""What values look like in JSON: shapes that check, write and read them.

Only what is plain: JSON's own values, enums and literals, and moments, dates, UUIDs and decimal
numbers as text; :mod:`~duly._events.containers` has what is made of these.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

import attrs

from duly._values.plain import encodable

__all__ = ["SINGLE", "Misfit", "Shape", "choice", "one_of"]

T = TypeVar("T")


class Misfit(Exception):
    """A value that has not the shape; ``path`` says where, ``wanted`` what belongs there.

    Nothing of the value itself is in it.
    """

    def __init__(self, wanted: str, *path: str) -> None:
        super().__init__(wanted, *path)
        self.wanted = wanted
        self.path = path

    def __str__(self) -> str:
        where = "".join(self.path).removeprefix(".")
        return f"{where} must be {self.wanted}" if where else f"must be {self.wanted}"


@attrs.frozen
class Shape:
    """Values of one type.

    ``kinds`` are those of JSON's that they may be written as: ``null``, ``boolean``, ``integer``,
    ``number``, ``string``, ``array``, ``object``. ``plain`` makes what the json module writes,
    ``value`` takes what it has read; both raise :class:`Misfit`.
    """

    kinds: frozenset[str]
    plain: Callable[[Any], Any]
    value: Callable[[Any], Any]


def _single(wanted: str, kinds: str, fits: Callable[[Any], bool]) -> Shape:
    """A value that is the same in JSON."""

    def same(value: T) -> T:
        if fits(value):
            return value
        raise Misfit(wanted)

    return Shape(frozenset(kinds.split()), same, same)


def _float() -> Shape:
    """A float; also a whole number that is one exactly, which type checkers take for a float."""

    def value(plain: Any) -> float:
        try:
            if type(plain) in (int, float) and math.isfinite(plain):
                return float(plain)
        except OverflowError:  # a whole number that is too large
            pass
        raise Misfit("a finite number")

    def exact(given: Any) -> float:
        number = value(given)
        if number != given:
            raise Misfit("a number that a float holds exactly")
        return number

    return Shape(frozenset({"number", "integer"}), exact, value)


def _text(
    kind: type, wanted: str, write: Callable[[Any], str], read: Callable[[str], Any]
) -> Shape:
    """A value that JSON has no form of, written as text."""

    def plain(value: Any) -> str:
        if type(value) is kind:
            return write(value)
        raise Misfit(wanted)

    def value(plain: Any) -> Any:
        if type(plain) is not str:
            raise Misfit(wanted)
        try:
            return read(plain)
        except (ValueError, ArithmeticError):
            raise Misfit(wanted) from None

    return Shape(frozenset({"string"}), plain, value)


def _moment(value: datetime) -> str:
    if value.fold and value.tzinfo is None:  # which of two an hour apart: no text says it
        raise Misfit("a moment with a time zone")
    return value.isoformat()


def _finite(value: Decimal) -> Decimal:
    if value.is_finite():  # what is no number is not even equal to itself
        return value
    raise Misfit(_DECIMAL)


_DECIMAL: Final = "a finite decimal number"

SINGLE: Final[Mapping[Any, Shape]] = {
    type(None): _single("null", "null", lambda value: value is None),
    bool: _single("true or false", "boolean", lambda value: type(value) is bool),
    int: _single("a whole number", "integer", lambda value: type(value) is int),
    float: _float(),
    str: _single("text", "string", lambda value: type(value) is str and encodable(value)),
    datetime: _text(datetime, "a moment", _moment, datetime.fromisoformat),
    date: _text(date, "a date", date.isoformat, date.fromisoformat),
    UUID: _text(UUID, "a UUID", str, UUID),
    Decimal: _text(
        Decimal, _DECIMAL, lambda value: str(_finite(value)), lambda text: _finite(Decimal(text))
    ),
}
"""The shapes of types that hold nothing else."""


def choice(wanted: str, plains: Sequence[tuple[Any, Any]]) -> Shape | None:
    """One of some values, each with what it is written as; None: JSON cannot hold those."""
    kinds = set[str]()
    for _, plain in plains:
        found = SINGLE.get(type(plain))
        if found is None or type(plain) not in (str, int, bool, type(None)):
            return None
        kinds |= found.kinds

    def write(value: Any) -> Any:
        for own, plain in plains:
            if type(own) is type(value) and own == value:
                return plain
        raise Misfit(wanted)

    def read(plain: Any) -> Any:
        for value, own in plains:
            if type(own) is type(plain) and own == plain:
                return value
        raise Misfit(wanted)

    return Shape(frozenset(kinds), write, read)


def one_of(members: Sequence[Shape]) -> Shape | None:
    """A union; None: what two of the members write could not be told apart."""
    kinds = [kind for member in members for kind in member.kinds]
    # A float takes whole numbers as well, but what is written as one is read as an int.
    members = sorted(members, key=lambda member: "number" in member.kinds)
    if len(kinds) - kinds.count("integer") != len({*kinds} - {"integer"}) or (
        kinds.count("integer") > 1 + kinds.count("number")
    ):
        return None

    def first(of: Callable[[Shape], Callable[[Any], Any]], value: Any) -> Any:
        misfits: list[Misfit] = []
        for member in members:
            try:
                return of(member)(value)
            except Misfit as misfit:
                misfits.append(misfit)
        deepest = max(misfits, key=lambda misfit: len(misfit.path))
        if deepest.path:
            raise deepest
        raise Misfit(" or ".join(dict.fromkeys(misfit.wanted for misfit in misfits)))

    return Shape(
        frozenset(kinds),
        lambda value: first(lambda member: member.plain, value),
        lambda plain: first(lambda member: member.value, plain),
    )
