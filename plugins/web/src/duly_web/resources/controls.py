"""What is paused and limited."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from duly import Control, InvalidArgument, NameStats, Unsupported
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.messages_in import pointer_of
from duly_web.problems import Problem
from duly_web.refs import id_of, ref_of
from duly_web.resources.standing import all_names
from duly_web.tags import see_unchanged, tag_of
from duly_web.times import Moment, as_moment, written
from duly_web.users import User, fits

__all__ = ["ENDPOINTS", "ControlDocument", "control_document"]

_Text = Annotated[str, msgspec.Meta(max_length=255)]


class ControlDocument(msgspec.Struct, frozen=True):
    """What holds of an event name, or of all that begin alike.

    ``holds`` is how many messages are due that it pauses; None where nobody counts them.
    """

    rule: str
    ref: str
    paused: bool
    until: Moment | None
    rate_per_second: float | None
    in_flight: int | None
    reason: str
    by: str
    changed_at: Moment | None
    holds: int | None


class Controls(msgspec.Struct, frozen=True):
    """All rules, in order."""

    items: list[ControlDocument]


class NewControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to hold: all of it, so that what is left out holds no more."""

    paused: bool = False
    until: Moment | None = None
    rate_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    reason: _Text = ""


async def controls(call: Call) -> Answer:
    """All rules that touch what the user sees."""
    rules = await call.client.controls()
    names = await _due_names(call, rules)
    items = [
        control_document(rule, each, names)
        for rule, each in sorted(rules.items())
        if _touches(call.user, rule)
    ]
    return Answer(document=Controls(items))


async def control(call: Call) -> Answer:
    """One rule; where nobody has said anything, that nothing holds."""
    rule = _rule(call, acts=False)
    rules = await call.client.controls()
    found = rules.get(rule, Control())
    names = await _due_names(call, rules)
    return Answer(document=control_document(rule, found, names), tag=_tag(found))


async def put(call: Call) -> Answer:
    """Pause and limit, or neither."""
    said: NewControl = call.body
    rule = _rule(call, acts=True)
    until = None if said.until is None else as_moment(said.until, "/until")
    if until is not None and not said.paused:
        raise Problem(
            422, "InvalidArgument", "until is of a pause: say paused too", pointer="/until"
        )
    await _see_unchanged(call, rule)
    client = call.client
    found = (await client.controls()).get(rule, Control())
    rate, in_flight = said.rate_per_second, said.in_flight
    try:
        if said.paused:
            await client.pause(rule, until=until, reason=said.reason)
        elif found.pause is not None:
            await client.resume(rule, reason=said.reason)
        if found.limit is not None or rate is not None or in_flight is not None:
            await client.limit(rule, rate=rate, in_flight=in_flight, reason=said.reason)
    except InvalidArgument as error:
        raise Problem(422, "InvalidArgument", str(error), pointer=pointer_of(error, said)) from None
    return await control(call)


async def remove(call: Call) -> Answer:
    """Resume, and take off the limits."""
    rule = _rule(call, acts=True)
    await _see_unchanged(call, rule)
    found = (await call.client.controls()).get(rule, Control())
    if found.pause is not None:
        await call.client.resume(rule)
    if found.limit is not None:
        await call.client.limit(rule)
    return await control(call)


async def _see_unchanged(call: Call, rule: str) -> None:
    if "if-match" in call.request.headers:
        found = (await call.client.controls()).get(rule, Control())
        see_unchanged(call.request, _tag(found))


def _rule(call: Call, *, acts: bool) -> str:
    rule = id_of(call.request.path_params["ref"])
    if not (call.user.sees(rule) if acts else _touches(call.user, rule)):
        raise Problem(
            403, "Forbidden", f"{rule!r} is about more than the events of {call.user.name}"
        )
    return rule


def _touches(user: User, rule: str) -> bool:
    """Whether a rule is about any of the user's events."""
    return user.sees(rule) or any(fits(rule, each.removesuffix(".*")) for each in user.events)


def _tag(control: Control) -> str:
    return tag_of(repr(control))


async def _due_names(call: Call, rules: Mapping[str, Control]) -> list[NameStats] | None:
    """How much is due of each name; None where nothing is paused, or nobody can tell."""
    if not any(each.pause for each in rules.values()):
        return None
    try:
        return (await all_names(call))[0]
    except Unsupported:
        return None


def control_document(
    rule: str, control: Control, names: list[NameStats] | None = None
) -> ControlDocument:
    """A rule."""
    pause, limit = control.pause, control.limit
    said = [each for each in (pause, limit) if each is not None]
    latest = max(said, key=lambda each: each.since) if said else None
    holds = None
    if pause is not None and names is not None:
        holds = sum(each.due for each in names if fits(rule, each.name))
    return ControlDocument(
        rule=rule,
        ref=ref_of(rule),
        paused=pause is not None,
        until=None if pause is None or pause.until is None else written(pause.until),
        rate_per_second=None if limit is None else limit.rate,
        in_flight=None if limit is None else limit.in_flight,
        reason="" if latest is None else latest.reason,
        by="" if latest is None else latest.by,
        changed_at=None if latest is None else written(latest.since),
        holds=holds,
    )


_ONE: Final = "/controls/{ref}"

ENDPOINTS: Final = (
    Endpoint(
        method="GET", path="/controls", right="read", handler=controls, tag="controls",
        summary="What is paused and limited", answers={200: Controls},
    ),
    Endpoint(
        method="GET", path=_ONE, right="read", handler=control, tag="controls",
        summary="What holds of an event name or prefix", answers={200: ControlDocument},
    ),
    Endpoint(
        method="PUT", path=_ONE, right="operate", handler=put, body=NewControl, tag="controls",
        summary="Pause or limit", answers={200: ControlDocument}, problems=(409, 412),
    ),
    Endpoint(
        method="DELETE", path=_ONE, right="operate", handler=remove, tag="controls",
        summary="Resume, without limits", answers={200: ControlDocument}, problems=(409, 412),
    ),
)  # fmt: skip
