"""Handlers whose annotations cannot be looked up while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowhere import Order  # type: ignore[import-not-found]  # that is the point

    import duly
    from duly import Envelope


def by_text(told: Envelope) -> object:
    return (told,)


def by_full_text(told: duly.Envelope) -> object:
    return (told,)


def payload_by_text(order: Order) -> object:
    return (order,)


def envelope_first(told: Envelope, order: Order) -> object:
    return (told, order)


def generator(order: Order) -> Iterator[int]:
    yield 1
