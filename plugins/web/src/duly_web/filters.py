"""Which messages somebody asks for, and where a list goes on."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from duly import Filter, InvalidArgument, Phase, State
from duly.message import Message
from duly.moment import from_microseconds, to_microseconds
from duly_web.problems import Problem
from duly_web.times import Moment, as_moment
from duly_web.users import User

__all__ = ["Cursor", "FilterIn", "ListQuery", "ManyQuery", "filter_of", "see_secrets"]

_PHASES: Final = [each.value for each in Phase if each is not Phase.ASIDE]
PhaseIn = Annotated[str, msgspec.Meta(extra_json_schema={"enum": _PHASES})]
StateIn = Literal["scheduled", "claimed", "dead"]
Order = Literal[
    "scheduled_at", "-scheduled_at", "created_at", "-created_at", "next_attempt_at",
    "-next_attempt_at", "died_at", "-died_at",
]  # fmt: skip
_Text = Annotated[str, msgspec.Meta(max_length=1024)]
_MOMENTS: Final = ("before", "after", "due_before", "due_after", "died_before", "died_after")


class ManyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages: all that is given must hold; ``meta.KEY=VALUE`` asks for metadata.

    ``event_name`` is a name, or a prefix as ``orders.*``. Moments are inclusive: ``before`` and
    ``after`` bound ``scheduled_at``, ``due_...`` the next attempt. ``error`` is a pattern with
    ``*``, ``?`` and ``[...]``.
    """

    event_name: _Text | None = None
    phase: PhaseIn | None = None
    state: StateIn | None = None
    id_prefix: _Text | None = None
    error: _Text | None = None
    error_class: _Text | None = None
    before: Moment | None = None
    after: Moment | None = None
    due_before: Moment | None = None
    due_after: Moment | None = None
    died_before: Moment | None = None
    died_after: Moment | None = None


class ListQuery(ManyQuery, frozen=True, forbid_unknown_fields=True):
    """The same, and which page of them."""

    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    cursor: _Text | None = None


class FilterIn(ManyQuery, frozen=True, forbid_unknown_fields=True):
    """The same in a body, where ``metadata`` maps keys to values, and ``ids`` may name them."""

    metadata: dict[str, str] = {}
    ids: Annotated[list[str], msgspec.Meta(max_length=10_000)] | None = None


def filter_of(
    said: ManyQuery, metadata: Mapping[str, str], user: User, *, redacted: bool, under: str = ""
) -> Filter:
    """The filter, narrowed to what the user may see.

    Raises:
        Problem: it asks for what this user may not see, or can never work.
    """
    see_secrets(said, metadata, user, redacted=redacted)
    words: dict[str, Any] = {"metadata": dict(metadata)}
    for name in ("id_prefix", "error", "error_class", "ids"):
        words[name] = getattr(said, name, None)
    for name in _MOMENTS:
        text = getattr(said, name)
        words[name] = None if text is None else as_moment(text, f"{under}/{name}")
    words["event_name"] = _name(said.event_name, user, under)
    words["phase"] = None if said.phase is None else _phase(said.phase, under)
    words["state"] = None if said.state is None else State(said.state)
    try:
        return Filter(**words)
    except InvalidArgument as error:
        raise Problem(422, "InvalidArgument", str(error), pointer=under) from None


def see_secrets(
    said: ManyQuery, metadata: Mapping[str, str], user: User, *, redacted: bool
) -> None:
    """Refuse to tell by what is found what is hidden.

    Raises:
        Problem: the filter asks about what this user may not see.
    """
    asks = [*(["metadata"] if metadata else []), *(["error"] if said.error and redacted else [])]
    if asks and "payload" not in user.rights:
        raise Problem(
            403, "Forbidden", f"{user.name} may not filter by {asks[0]}, which is hidden: that "
            "takes the right 'payload'",
        )  # fmt: skip


def _phase(said: str, under: str) -> Phase:
    if said in _PHASES:
        return Phase(said)
    text = f"phase is one of {', '.join(_PHASES)}"
    if said == Phase.ASIDE.value:
        text = (
            "no filter finds what stands aside, which is no part of a message: /v1/events counts "
            "it for each event name (aside), /v1/controls tells what is paused and limited, and "
            "a message by itself tells its phase. Aside are some of those with phase=due"
        )
    raise Problem(422, "InvalidArgument", text, pointer=f"{under}/phase")


def _name(said: str | None, user: User, under: str) -> str | None:
    if said is None:
        if user.everywhere:
            return None
        if len(user.events) == 1:
            return user.events[0]
        own = ", ".join(user.events)
        raise Problem(403, "Forbidden", f"say event_name: {user.name} may see {own or 'no events'}")
    if "*" in said and said != "*" and not said.endswith(".*"):
        raise Problem(
            422, "InvalidArgument", f"{said!r} is no prefix: one ends in .*, as 'orders.*'",
            pointer=f"{under}/event_name",
        )  # fmt: skip
    if not user.sees(said):
        raise Problem(403, "Forbidden", f"{said!r} is not among the events of {user.name}")
    return said


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a list goes on: behind which message, of which filter."""

    of: str
    moment: int | None
    id: str

    @classmethod
    def behind(cls, filter: Filter, message: Message) -> "Cursor":
        """Behind that message, in the order of the filter."""
        name = (filter.order or "scheduled_at").removeprefix("-")
        at: datetime | None = getattr(message, name)
        return cls(_mark(filter), None if at is None else to_microseconds(at), message.id)

    @classmethod
    def at(cls, filter: Filter, moment: datetime, id: str) -> "Cursor":
        """Behind the message of that key, in a list without an order."""
        return cls(_mark(filter), to_microseconds(moment), id)

    @classmethod
    def read(cls, text: str, filter: Filter) -> "Cursor":
        """What was handed out before.

        Raises:
            Problem: it never was, or for another list.
        """
        try:
            padded = text[1:] + "=" * (-len(text[1:]) % 4)
            cursor = msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=cls)
            if text[0] == "c" and cursor.of == _mark(filter):
                _ = cursor.key
                return cursor
        except (binascii.Error, ValueError, IndexError, OverflowError):
            pass
        raise Problem(
            422, "InvalidArgument", "it is no next of this list: of another filter, or none at all",
            pointer="/cursor",
        )  # fmt: skip

    def __str__(self) -> str:
        """As it stands in a URL."""
        return f"c{base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip('=')}"

    @property
    def key(self) -> tuple[datetime, str]:
        """Where a list in order of ``scheduled_at`` goes on."""
        return from_microseconds(self.moment or 0), self.id

    def passes(self, filter: Filter, message: Message) -> bool:
        """Whether a message comes behind it, in the order of the filter."""
        return _rank(filter, *self.place) < _rank(filter, *Cursor.behind(filter, message).place)

    @property
    def place(self) -> tuple[int | None, str]:
        """The moment and the id."""
        return self.moment, self.id


def _rank(filter: Filter, moment: int | None, id: str) -> tuple[bool, int, str]:
    if moment is None:
        return True, 0, id
    return False, -moment if (filter.order or "").startswith("-") else moment, id


def _mark(filter: Filter) -> str:
    return hashlib.sha256(repr(filter).encode()).hexdigest()[:12]
