"""``duly doctor``: what the settings of store and transport make of what is promised."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import attrs

from duly import DulyError, Status, StoreError, StoreUnavailable
from duly.health import Doubt
from duly.plugins import transport_of
from duly.transport import SupportsHealth
from duly.url import mask
from duly_cli.desk import Desk
from duly_cli.errors import AWAY, REFUSED, UNHEALTHY, code_of
from duly_cli.sheet import sheet
from duly_cli.verbs import verb

__all__ = ["doctor"]

_IN_TIME: Final = timedelta(seconds=10)


@attrs.frozen(kw_only=True)
class _Found:
    """A row: with ``breaks`` messages may get lost; ``code`` is what the command exits with."""

    of: str
    thing: str
    found: str
    means: str
    advice: str = ""
    breaks: bool = False
    code: int = 0


@verb(patient=True)
async def doctor(desk: Desk) -> None:
    """What the settings of store and transport make of the promise.

    Nothing is written or made. Exits with 0 when nothing breaks the promise, 3 when the store or
    the transport refuses, as where rights lack, 4 when one is away, 5 when messages may get lost as
    things are, or the transport says that it is not well.
    """
    found = [*await _of_store(desk), *await _of_transport(desk)]
    for each in found:
        desk.record(attrs.asdict(each))
    if found:
        sheet(
            desk,
            ["of", "thing", "found", "what it means", "what to do"],
            [[each.of, each.thing, each.found, each.means, each.advice] for each in found],
        )
    else:
        desk.say(f"Nothing that is known breaks the promise: {desk.target}", "bold green")
    codes = {0, *(each.code for each in found)}
    desk.code = next((each for each in (UNHEALTHY, AWAY, REFUSED) if each in codes), max(codes))


async def _of_store(desk: Desk) -> Sequence[_Found]:
    try:
        await desk.client.open()
    except StoreUnavailable as error:
        return [_unusable("store", error, "away", AWAY)]
    except StoreError as error:
        return [_unusable("store", error, "refuses", REFUSED)]
    health = await desk.client.health(timeout=_IN_TIME)
    code = UNHEALTHY if health.status is Status.UNHEALTHY else 0
    return [_row("store", each, code) for each in health.reasons]


async def _of_transport(desk: Desk) -> Sequence[_Found]:
    if desk.target.transport is None:
        return []
    transport = transport_of(desk.target.transport)
    try:
        await transport.open()
        try:
            doubts = await transport.check() if isinstance(transport, SupportsHealth) else []
        finally:
            await transport.close()
    except DulyError as error:
        return [_unusable("transport", error, "refuses", code_of(error))]
    return [_row("transport", each, UNHEALTHY) for each in doubts]


def _row(of: str, reason: str, code: int) -> _Found:
    if not isinstance(reason, Doubt):
        unknown = reason.startswith(f"the {of}'s check")  # it failed, or has not ended
        code = max(code, REFUSED) if unknown else code
        return _Found(of=of, thing=of, found="", means=mask(reason), code=code)
    return _Found(
        of=of,
        thing=reason.thing,
        found=reason.found,
        means=mask(reason.means),
        advice=mask(reason.advice),
        breaks=reason.breaks,
        code=UNHEALTHY if reason.breaks else code,
    )


def _unusable(of: str, error: DulyError, found: str, code: int) -> _Found:
    return _Found(of=of, thing=of, found=found, means=mask(str(error)), code=code)
