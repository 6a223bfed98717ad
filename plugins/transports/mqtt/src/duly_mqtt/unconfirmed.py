"""Messages published and not acknowledged yet, by the number of their packets.

With a session they outlive the connection: broker and client go on where they were, so that QoS 2
is exactly once. If such a message is published again meanwhile, it joins the flight under way.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs

from duly_mqtt.answers import Answer
from duly_mqtt.packets import QoS, pubrel, repeated
from duly_mqtt.properties import MalformedPacketError

__all__ = ["Flights", "Outcome"]

Outcome: TypeAlias = asyncio.Future[Answer | str]
"""The broker's answer to one message; a text says why there will be none."""

_IDS: Final = 65535
_TWICE_ANSWERED: Final = 2  # the QoS whose answers are PUBREC and PUBCOMP, where 1 has PUBACK
_REMEMBERED: Final = 10_000  # outcomes that nobody has asked for yet


@attrs.define(eq=False)
class _Flight:
    packet: bytes
    key: str
    outcome: Outcome
    received: Answer | None = None
    """The answer in PUBREC: from then on the broker has the message, and PUBREL is sent instead."""


class Flights:
    """All that is in flight; ``key`` names a message, the same each time it is published."""

    def __init__(self, qos: QoS) -> None:
        self._qos = qos
        self._flights: dict[int, _Flight] = {}
        self._resumed: dict[str, Outcome] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._flights)

    def start(self, key: str, make: Callable[[int], bytes]) -> tuple[bytes, Outcome]:
        """A new flight, whose packet is made for a number that is free."""
        id = self._last % _IDS + 1
        while id in self._flights:
            id = id % _IDS + 1
        packet = make(id)
        self._last = id
        flight = _Flight(packet, key, asyncio.get_running_loop().create_future())
        self._flights[id] = flight
        return packet, flight.outcome

    def received(self, id: int, answer: Answer) -> bool:
        """PUBREC came; whether PUBREL is to follow, which it is not after a refusal.

        Raises:
            MalformedPacketError: what it answers was sent with QoS 1.
        """
        flight = self._flights.get(id)
        if flight is None:
            return True
        if self._qos != _TWICE_ANSWERED:
            raise MalformedPacketError("a PUBREC for a message of QoS 1")
        if answer.code >= 0x80:  # from there on codes are failures
            self._land(id, answer)
            return False
        flight.received = answer
        return True

    def acknowledged(self, id: int, answer: Answer) -> bool:
        """PUBACK came; whether a message was in flight under that number.

        Raises:
            MalformedPacketError: what it answers was sent with QoS 2.
        """
        if id in self._flights and self._qos == _TWICE_ANSWERED:
            raise MalformedPacketError("a PUBACK for a message of QoS 2")
        return self._land(id, answer)

    def completed(self, id: int, answer: Answer) -> bool:
        """PUBCOMP came; whether a message was in flight under that number.

        Raises:
            MalformedPacketError: there was no PUBREC before it.
        """
        flight = self._flights.get(id)
        if flight is not None and flight.received is None:
            raise MalformedPacketError("a PUBCOMP without a PUBREC before it")
        return self._land(id, answer)

    def _land(self, id: int, answer: Answer) -> bool:
        flight = self._flights.pop(id, None)
        if flight is None:
            return False
        # A broker may answer PUBREL that it knows no such packet: then it has already handled it.
        _settle(flight.outcome, answer if flight.received is None else flight.received)
        return True

    def lose(self, why: str, *, keep: bool) -> None:
        """The connection is gone; ``keep``: what was in flight may go on later."""
        for flight in self._flights.values():
            _settle(flight.outcome, why)
            if keep:
                flight.outcome = flight.outcome.get_loop().create_future()
                self._resumed[flight.key] = flight.outcome
        while len(self._resumed) > _REMEMBERED:
            del self._resumed[next(iter(self._resumed))]
        if not keep:
            self._flights.clear()

    def resume(self) -> Iterator[bytes]:
        """The packets to send once more because the broker has kept the session.

        Take each when the broker has room for it; what is settled meanwhile is left out.
        """
        for id, flight in list(self._flights.items()):
            if id in self._flights:
                yield repeated(flight.packet) if flight.received is None else pubrel(id)

    def forget(self) -> None:
        """The broker has kept nothing: what is published again starts anew."""
        for flight in self._flights.values():
            self._resumed.pop(flight.key, None)
        self._flights.clear()

    def resumed(self, key: str) -> Outcome | None:
        """The outcome of a flight that goes on, or that ended while nobody waited for it."""
        return self._resumed.pop(key, None)


def _settle(outcome: Outcome, answer: Answer | str) -> None:
    if not outcome.done():  # its publish may have been cancelled
        outcome.set_result(answer)
