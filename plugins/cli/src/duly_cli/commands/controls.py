"""``duly controls``: what is paused and limited."""

from collections.abc import Iterator, Sequence

from duly import Control
from duly_cli.desk import Desk
from duly_cli.rules import control_facts
from duly_cli.sheet import sheet
from duly_cli.verbs import verb

__all__ = ["controls"]

_COLUMNS = ["rule", "is", "until", "rate", "in flight", "reason", "by", "since"]


@verb()
async def controls(desk: Desk) -> None:
    """What is paused and limited, by whom and why."""
    found = await desk.client.controls()
    for rule, control in found.items():
        desk.record(control_facts(rule, control))
    rows = [row for rule, control in found.items() for row in _rows(rule, control)]
    sheet(desk, _COLUMNS, rows, "nothing is paused or limited")


def _rows(rule: str, control: Control) -> Iterator[Sequence[object]]:
    pause, limit = control.pause, control.limit
    if pause is not None:
        until = pause.until or "it is resumed"
        yield [rule, "paused", until, "", "", pause.reason, pause.by, pause.since]
    if limit is not None:
        rate = "" if limit.rate is None else f"{limit.rate:g}/s"
        flight = limit.in_flight
        yield [rule, "limited", "", rate, flight, limit.reason, limit.by, limit.since]
