"""The Transport contract: how a due message leaves.

A transport publishes and reports; it never sees a store and never retries on its own account.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import attrs

from duly._values.copying import Copyable
from duly._values.limits import Limits, SupportsLimits, waiting
from duly.message import Message
from duly.store import SupportsHealth

__all__ = [
    "Envelope",
    "Limits",
    "SupportsBatches",
    "SupportsHealth",
    "SupportsLimits",
    "SupportsOwnTasks",
    "SupportsSeries",
    "Transport",
    "envelope_of",
    "waiting",
]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.define(kw_only=True, slots=False)  # envelope_of() hands over a whole __dict__
class Envelope(Copyable):
    """What a transport gets: one attempt to deliver one occurrence of a message.

    ``occurrence`` counts from 0, ``attempt`` from 1 (retries + lapses + 1), ``postpone_count``
    from 0 (how often :class:`duly.Postpone` put this delivery off). ``delivery_id`` is
    the same on every attempt and another for everything new, so that brokers and consumers may
    deduplicate on it. ``scheduled_at`` is in UTC. To be read only.
    """

    message_id: str
    event_name: str
    payload: bytes = attrs.field(default=b"", repr=False)
    metadata: Mapping[str, str] = attrs.field(default=_NOTHING, repr=False)
    scheduled_at: datetime
    occurrence: int = 0
    attempt: int = 1
    postpone_count: int = 0
    trace_context: Mapping[str, str] = attrs.field(default=_NOTHING, repr=False)
    _delivery_id: str | None = attrs.field(default=None, repr=False, alias="delivery_id")
    _headers: Mapping[str, str] | None = attrs.field(default=None, repr=False, alias="headers")
    _message: Message | None = attrs.field(default=None, repr=False, eq=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """``scheduled_at``, which :func:`envelope_of` leaves to the message.

            Also ``postpone_count`` of what a version without it has pickled.
            """
            if name == "postpone_count":
                return 0
            message = self.__dict__.get("_message")
            if name != "scheduled_at" or message is None:
                text = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(text, name=name, obj=self)
            moment = self.__dict__[name] = message.scheduled_at
            return moment

    @property
    def delivery_id(self) -> str:
        """The name of this occurrence, see :attr:`duly.Message.delivery_id`."""
        if self._delivery_id is None:
            # Made for few transports, so made when asked for. By hand an envelope may have none.
            known = self._message
            self._delivery_id = f"{self.message_id}:0:0" if known is None else known.delivery_id
        return self._delivery_id

    @property
    def headers(self) -> Mapping[str, str]:
        """The metadata with duly's own headers and the trace context, made on first use.

        ``duly-message-id``, ``duly-scheduled-at`` (ISO 8601, UTC, microseconds),
        ``duly-occurrence``, ``duly-attempt``, ``duly-delivery-id``; where a name is taken twice,
        duly's own wins. Metadata values may hold CR and LF: a transport whose protocol gives
        them a meaning must encode or refuse them.
        """
        if self._headers is None:
            self._headers = MappingProxyType(
                {
                    **self.metadata,
                    **self.trace_context,
                    "duly-message-id": self.message_id,
                    "duly-scheduled-at": self.scheduled_at.isoformat(timespec="microseconds"),
                    "duly-occurrence": str(self.occurrence),
                    "duly-attempt": str(self.attempt),
                    "duly-delivery-id": self.delivery_id,
                }
            )
        return self._headers


def envelope_of(message: Message, attempt: int) -> Envelope:
    """The envelope of an attempt to deliver a message; half the price of calling the class."""
    envelope = Envelope.__new__(Envelope)
    envelope.__dict__ = {
        "message_id": message.id,
        "event_name": message.event_name,
        "payload": message.payload,
        "metadata": message.metadata,
        "occurrence": message.occurrence_count,
        "attempt": attempt,
        "postpone_count": message.postpone_count,
        "trace_context": message.trace_context,
        "_delivery_id": None,
        "_headers": None,
        "_message": message,
    }
    return envelope


class Transport(Protocol):
    """How due messages leave. It is opened when a scheduler starts running."""

    async def open(self) -> None:
        """Connect. Called again after :meth:`close`, and while the broker is away.

        Raises:
            TransportUnavailable: the broker is away; the scheduler waits and tries again.
        """

    async def close(self) -> None:
        """Close what :meth:`open` opened; send what was accepted by then."""

    async def publish(self, envelope: Envelope) -> str | None:
        """Return once the broker has accepted, with its receipt where it gives one.

        Accepted means confirmed: stored as far as the broker promises. May be cancelled, and is
        run many times side by side. An answer that is neither text nor None is a failed attempt.

        Raises:
            TransportError: this attempt failed; ``retry_after`` if the receiver asked for a pause.
            Rejected: this message can never be accepted.
            TransportUnavailable: the whole transport is gone.
            Exception: any other counts as a failed attempt too.
        """


@runtime_checkable
class SupportsOwnTasks(Protocol):
    """A transport that runs code of users, as handlers are: each publish has a task of its own.

    So nothing leaks from one publish to the next: no cancellation that comes late, no ContextVar.
    The publishes of all other transports are made by a pool of lasting tasks, which costs less. A
    transport that wraps one with ``own_tasks`` has to set it too.
    """

    own_tasks: bool
    """True, of the class."""


@runtime_checkable
class SupportsBatches(Protocol):
    """A transport whose broker gains by taking many messages at once."""

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        """Publish many; one outcome each, in order: a receipt, None, or an exception.

        An outcome that is none of these is a failed attempt of its message. An answer that is not a
        sequence with one outcome for each message is a failed attempt of all of them.
        """


@runtime_checkable
class SupportsSeries(Protocol):
    """A transport that brings series along, such as functions that are called every night."""

    def series(self) -> Sequence[Message]:
        """The series to ensure (:meth:`duly.Client.ensure`) whenever a scheduler with it starts."""
        ...
