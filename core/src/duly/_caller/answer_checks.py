"""What checks of a store's answers share: a StoreError names the method and what came back."""

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from duly._values.answers import is_row, named
from duly.errors import StoreError

__all__ = ["moment", "odd", "row"]


def moment(value: datetime, verb: str, name: str) -> None:
    """An aware moment."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        what = "a naive datetime" if isinstance(value, datetime) else named(value)
        odd(verb, f"{name} as {what}, not an aware datetime")


def row(answer: Sequence[object], verb: str, size: int | None = None, asked: str = "") -> None:
    """A sequence, of so many."""
    if not is_row(answer):
        odd(verb, f"{named(answer)}, not a sequence")
    if size is not None and len(answer) != size:
        odd(verb, f"{len(answer)} outcomes for {size} {asked}".rstrip())


def odd(verb: str, what: str) -> NoReturn:
    """Raise the error."""
    raise StoreError(f"the store's {verb}() returned {what}, against its contract")
