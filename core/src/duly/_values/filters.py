"""Which messages somebody asks for."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from duly._values.copying import Growing
from duly._values.plain import shown, text_of, whole
from duly._values.states import Phase, State
from duly.errors import InvalidArgument
from duly.moment import as_moment

__all__ = ["MOST_IDS", "ORDERS", "Filter"]

MOST_IDS: Final = 10_000
"""Ids that a filter may hold."""

ORDERS: Final = ("scheduled_at", "created_at", "next_attempt_at", "died_at")
"""The moments by which a list may be ordered, each also with a ``-`` in front: latest first."""


def _moment(value: datetime | None, name: str) -> datetime | None:
    return None if value is None else as_moment(value, name)


def _before(value: datetime | None) -> datetime | None:
    return _moment(value, "before")


def _after(value: datetime | None) -> datetime | None:
    return _moment(value, "after")


def _due_before(value: datetime | None) -> datetime | None:
    return _moment(value, "due_before")


def _due_after(value: datetime | None) -> datetime | None:
    return _moment(value, "due_after")


def _died_before(value: datetime | None) -> datetime | None:
    return _moment(value, "died_before")


def _died_after(value: datetime | None) -> datetime | None:
    return _moment(value, "died_after")


def _text(value: str | None, name: str) -> str | None:
    text = text_of(value)
    if value is not None and text is None:
        raise InvalidArgument(f"{name} must be text, not {type(value).__name__}")
    return text


def _event_name(value: str | None) -> str | None:
    return _text(value, "event_name")


def _id_prefix(value: str | None) -> str | None:
    return _text(value, "id_prefix") or None  # every id begins with nothing


def _error(value: str | None) -> str | None:
    return _text(value, "error")


def _error_class(value: str | None) -> str | None:
    return _text(value, "error_class")


def _limit(value: int | None) -> int | None:
    limit = whole(value)
    if limit == 0:
        raise InvalidArgument("limit is 0: give a number from 1, or None for all")
    if value is not None and (limit is None or not 0 < limit < 2**63):
        raise InvalidArgument("limit must be a whole number from 1 to 2**63 - 1, or None for all")
    return limit


def _offset(value: int) -> int:
    offset = whole(value)
    if offset is None or not 0 <= offset < 2**63:
        raise InvalidArgument("offset must be a whole number from 0 to 2**63 - 1")
    return offset


def _metadata(value: Mapping[str, str]) -> Mapping[str, str]:
    wrong = InvalidArgument(
        f"metadata must map text to text, as {{'tenant': 'acme'}}, not {shown(value)}"
    )
    if not isinstance(value, Mapping):
        raise wrong
    try:
        given = dict(value)
    except Exception as error:  # of a class of the caller's
        raise wrong from error
    texts = dict[str, str]()
    for each, content in given.items():
        key, text = text_of(each), text_of(content)
        if key is None or text is None:
            raise wrong
        texts[key] = text
    return texts


def _ids(value: Collection[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Collection):
        raise InvalidArgument(f"ids must be a collection of ids, not {type(value).__name__}")
    if len(value) > MOST_IDS:
        raise InvalidArgument(f"ids may hold {MOST_IDS:,} ids, not {len(value):,}")
    ids = tuple(dict.fromkeys(map(text_of, value)))
    if None in ids:
        raise InvalidArgument("ids must hold texts: give the .id of each message")
    return ids  # type: ignore[return-value]  # seen just now


def _order(value: str | None) -> str | None:
    text = text_of(value)
    if value is not None and (text is None or text.removeprefix("-") not in ORDERS):
        raise InvalidArgument(
            f"order must be one of {', '.join(ORDERS)}, with a - in front for the latest first, "
            f"not {shown(value)}"
        )
    return text


def _one_of(kind: type[Any], example: str) -> Callable[[Any, Any, object], None]:
    def check(_instance: object, attribute: Any, value: object) -> None:
        if value is not None and not isinstance(value, kind):
            raise InvalidArgument(
                f"{attribute.name} must be a duly.{kind.__name__}, as {example}, not {shown(value)}"
            )

    return check


def _phase(instance: object, attribute: Any, value: object) -> None:
    _one_of(Phase, "Phase.RETRYING")(instance, attribute, value)
    if value is Phase.ASIDE:
        raise InvalidArgument(
            "no filter finds what stands aside, which is no part of a message: names() counts it "
            "for each event name, controls() tells what is paused and limited, and why() the phase "
            "of one message. Aside are some of those of Phase.DUE"
        )


@attrs.frozen(kw_only=True, repr=False)
class Filter(Growing):
    """Which messages to list: all that match every bound given, by ``(scheduled_at, id)``.

    ``event_name`` is a name, or a prefix that ends in ``.*``: all names that begin with what is
    before the ``*``. ``before`` and ``after`` bound ``scheduled_at``; ``due_before`` and
    ``due_after`` ``next_attempt_at``; ``died_before`` and ``died_after`` ``died_at``; all are
    inclusive. ``metadata`` has the values that a message must have, by key. ``error`` is a pattern
    for ``last_error``, with ``*``, ``?`` and ``[...]`` as for file names, in which capitals count;
    ``error_class`` is the class of the error of a dead letter. ``ids`` are up to 10,000 ids.

    ``order`` is one of ``scheduled_at``, ``created_at``, ``next_attempt_at`` and ``died_at``, with
    a ``-`` in front for the latest first; what has no such moment comes last. ``limit`` None means
    all; ``offset`` starts at 0.

    Quick by themselves are ``event_name`` (a plain name), ``before``, ``after``, ``state``, ``ids``
    and ``limit``. For all else the messages are walked through, and each is looked at.

    Raises:
        InvalidArgument: a naive datetime, a limit below 1, an offset below 0, a wrong type.
    """

    event_name: str | None = attrs.field(default=None, converter=_event_name)
    before: datetime | None = attrs.field(default=None, converter=_before)
    after: datetime | None = attrs.field(default=None, converter=_after)
    state: State | None = attrs.field(default=None, validator=_one_of(State, "State.DEAD"))
    limit: int | None = attrs.field(default=None, converter=_limit)
    offset: int = attrs.field(default=0, converter=_offset)
    id_prefix: str | None = attrs.field(default=None, converter=_id_prefix)
    ids: Collection[str] | None = attrs.field(default=None, converter=_ids)
    metadata: Mapping[str, str] = attrs.field(factory=dict, converter=_metadata, hash=False)
    error: str | None = attrs.field(default=None, converter=_error)
    error_class: str | None = attrs.field(default=None, converter=_error_class)
    due_before: datetime | None = attrs.field(default=None, converter=_due_before)
    due_after: datetime | None = attrs.field(default=None, converter=_due_after)
    died_before: datetime | None = attrs.field(default=None, converter=_died_before)
    died_after: datetime | None = attrs.field(default=None, converter=_died_after)
    phase: Phase | None = attrs.field(default=None, validator=_phase)
    order: str | None = attrs.field(default=None, converter=_order)

    def __repr__(self) -> str:
        """Only what was given: most of the words never are."""
        fields = ((field.name, getattr(self, field.name)) for field in attrs.fields(Filter))
        given = [f"{name}={value!r}" for name, value in fields if value != getattr(_ALL, name)]
        return f"Filter({', '.join(given)})"


_ALL: Final = Filter()
