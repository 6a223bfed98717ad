"""What errors have in common: their texts without what differs from message to message."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

import attrs

from duly._values.states import State
from duly.message import Filter, Message

__all__ = ["Cause", "Causes", "causes_of", "common_text"]

_LONGEST: Final = 200  # characters of an error that are looked at
_NAMES: Final = 20  # event names that a cause tells
_MOST: Final = 10_000  # ids that a filter takes
_GAP: Final = "\x00"  # stands for what differs; no error text that is kept has it

# In this order: what is quoted may hold numbers, and an id has digits too.
_DIFFERS: Final = re.compile(
    r"(?<!\w)'[^'\n]*'(?!\w)"
    r'|"[^"\n]*"'
    r"|`[^`\n]*`"
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
    r"|\b(?=[0-9a-zA-Z_]*[0-9])[0-9a-zA-Z_]{16,}\b"
    r"|\b0x[0-9a-fA-F]+\b"
    r"|\d+(?:[.,:]\d+)*"
)


@attrs.frozen(kw_only=True)
class Cause:
    """Errors that are alike: of one class, with one text but for ids, numbers and quoted parts.

    ``text`` has ``...`` for what differs. ``number`` messages were looked at that have it, of
    ``event_names`` (at most 20 are told), of which ``example`` is the latest. ``first`` and
    ``last`` are when they died, or when they are tried again if they are no dead letters; None
    where nobody took note of that.
    """

    error_class: str | None
    text: str
    number: int
    event_names: Sequence[str]
    example: str
    first: datetime | None
    last: datetime | None
    filter: Filter
    """Finds them, dead letters as a rule: give it to ``replay_many`` or ``purge``.

    It finds others too whose errors have the same class, and say more where these differ. Where
    errors were asked for, it has the ids of those that were looked at.
    """


@attrs.frozen(kw_only=True)
class Causes:
    """Why messages failed, the most frequent cause first.

    ``looked_at`` messages were looked at; unless ``complete`` there are more.
    """

    causes: Sequence[Cause]
    looked_at: int
    complete: bool


def common_text(error: str) -> str:
    """The first line of an error, with ``...`` for ids, numbers and quoted parts.

    So :class:`Cause` tells it: errors that are alike have it in common.
    """
    return _common(error).replace(_GAP, "...")


def _common(error: str) -> str:
    line, _, rest = error.strip().partition("\n")
    gapped = _DIFFERS.sub(_GAP, line[:_LONGEST])
    return gapped + (_GAP if rest or len(line) > _LONGEST else "")


def _pattern(common: str, errors: Iterable[str]) -> str:
    """What :attr:`Filter.error` takes to find these errors, which have that in common."""
    pattern = re.sub(r"([*?[])", r"[\1]", common).replace(_GAP, "*")
    for error in errors:  # a blank is none of what they have in common
        pattern = f"*{pattern}" if error[:1].isspace() else pattern
        pattern = f"{pattern}*" if error[-1:].isspace() else pattern
    return re.sub(r"\*{2,}", "*", pattern)


def causes_of(messages: Iterable[Message], within: Filter) -> Sequence[Cause]:
    """The causes of messages that failed, found by the filter ``within``."""
    alike: dict[tuple[str | None, str], list[Message]] = {}
    for message in messages:
        if message.last_error is not None:
            key = message.error_class, _common(message.last_error)
            alike.setdefault(key, []).append(message)
    causes = [_cause(*key, found, within) for key, found in alike.items()]
    return sorted(causes, key=lambda each: (-each.number, each.error_class or "", each.text))


def _cause(
    error_class: str | None, common: str, found: Collection[Message], within: Filter
) -> Cause:
    moments = sorted(at for at in map(_moment, found) if at is not None)
    latest = max(found, key=lambda each: (_moment(each) or each.scheduled_at, each.id))
    return Cause(
        error_class=error_class,
        text=common.replace(_GAP, "..."),
        number=len(found),
        event_names=sorted({each.event_name for each in found})[:_NAMES],
        example=latest.id,
        first=moments[0] if moments else None,
        last=moments[-1] if moments else None,
        filter=_filter(error_class, common, found, within),
    )


def _filter(
    error_class: str | None, common: str, found: Collection[Message], within: Filter
) -> Filter:
    if within.error is not None:  # two patterns cannot be asked for at once
        return attrs.evolve(within, ids=[each.id for each in found][:_MOST])
    pattern = _pattern(common, {each.last_error or "" for each in found})
    return attrs.evolve(within, error=pattern, error_class=error_class or within.error_class)


def _moment(message: Message) -> datetime | None:
    return message.died_at if message.state is State.DEAD else message.next_attempt_at
