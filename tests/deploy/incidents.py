"""Prepared incidents, one for each alert: what two schedulers on one store show before and during."""

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["DURING", "HEALTHY_AT", "INCIDENTS", "LASTS", "healthy", "series"]

LASTS: Final = 60  # minutes, a sample each
HEALTHY_AT: Final = 29
DURING: Final = 50

A, B = "10.0.0.1:9464", "10.0.0.2:9464"
STORE = "redis://shop/0"

Values = Sequence[float | None]
"""A sample each minute; None: there is none."""

_CALM: Final[Mapping[str, float]] = {
    "up": 1,
    "duly_store_up": 1,
    "duly_transport_up": 1,
    "duly_loop_turn_age_seconds": 1,
    "duly_reading_age_seconds": 12,
    "duly_messages_dead": 3,
    "duly_messages_oldest_due_age_seconds": 0.2,
    "duly_messages_oldest_undelivered_age_seconds": 40,
    "duly_slots_used": 12,
    "duly_slots_limit": 1000,
    "duly_clock_offset_seconds": -0.004,
}
_COUNTING: Final[Mapping[str, float]] = {"duly_messages_delivered_total": 600}  # so many a minute

What = Mapping[tuple[str, str], Values]
"""By metric and instance, what becomes of it from the minute in which it begins."""


def _level(value: float | None) -> Values:
    return [value] * LASTS


def _growing(start: float, by: float = 60) -> Values:
    return [start + by * minute for minute in range(LASTS)]


def _of_both(metric: str, values: Values) -> What:
    return {(metric, A): values, (metric, B): values}


def _gone(*instances: str) -> What:
    """Their process is not there: nothing but ``up`` is told of them."""
    told = {(metric, each): _level(None) for each in instances for metric in (*_CALM, *_COUNTING)}
    return told | {("up", each): _level(0) for each in instances}


# By the alert that is to fire, alone: the minute in which it begins, and what changes.
INCIDENTS: Final[Mapping[str, tuple[int, What]]] = {
    "DulyNobodyDelivers": (30, _gone(A, B)),
    "DulyInstanceDown": (30, _gone(A)),
    "DulyLoopStuck": (
        30,
        {
            ("duly_loop_turn_age_seconds", A): _growing(1),
            ("duly_reading_age_seconds", A): _growing(12),
            ("duly_messages_delivered_total", A): _level(18000),
        },
    ),
    "DulyStoreAway": (
        30,
        {
            **_of_both("duly_store_up", _level(0)),
            **_of_both("duly_reading_age_seconds", _growing(12)),
            **_of_both("duly_leases_renew_failures_total", _growing(0, 3)),
            **_of_both("duly_messages_oldest_due_age_seconds", _level(90)),
        },
    ),
    "DulyTransportAway": (
        30,
        {
            **_of_both("duly_transport_up", _level(0)),
            **_of_both("duly_messages_oldest_due_age_seconds", _growing(1)),
            **_of_both("duly_messages_oldest_undelivered_age_seconds", _growing(1)),
        },
    ),
    "DulyClockOff": (30, {("duly_clock_offset_seconds", A): _level(-4)}),
    "DulyMessagesLate": (
        30,
        {
            **_of_both("duly_messages_oldest_due_age_seconds", _growing(61, 55)),
            **_of_both("duly_messages_oldest_undelivered_age_seconds", _growing(61, 55)),
        },
    ),
    "DulyMessagesOverdue": (
        30, _of_both("duly_messages_oldest_undelivered_age_seconds", _growing(40)),
    ),
    "DulyDeadLetters": (40, _of_both("duly_messages_dead", _level(5))),
    "DulySlotsExhausted": (
        30,
        {
            ("duly_slots_used", A): _level(1000),
            **_of_both("duly_messages_oldest_due_age_seconds", _level(20)),
        },
    ),
    "DulyRenewalsFail": (30, {("duly_leases_renew_failures_total", A): _growing(1, 1)}),
    "DulyLeasesLost": (40, {("duly_leases_lost_total", A): _level(1)}),
    "DulyReadingsStale": (30, {("duly_reading_age_seconds", B): _growing(12)}),
}  # fmt: skip


def healthy(metric: str) -> Values:
    """What a metric shows while all is well; a counter that counts trouble is not there yet."""
    if metric in _COUNTING:
        return _growing(0, _COUNTING[metric])
    return _level(_CALM.get(metric))


def series(begins: int, what: What) -> Mapping[str, Values]:
    """All samples of an incident, by the name of their series with its labels."""
    told = {(metric, each) for metric in (*_CALM, *_COUNTING) for each in (A, B)} | what.keys()
    return {
        _named(metric, instance): [
            *healthy(metric)[:begins],
            *what.get((metric, instance), healthy(metric)[begins:])[: LASTS - begins],
        ]
        for metric, instance in sorted(told)
    }


def _named(metric: str, instance: str) -> str:
    store = "" if metric == "up" else f', duly_store="{STORE}"'
    event = (
        ', messaging_destination_name="orders"'
        if metric.endswith(("red_total", "lost_total"))
        else ""
    )
    return f'{metric}{{job="duly", instance="{instance}"{store}{event}}}'
