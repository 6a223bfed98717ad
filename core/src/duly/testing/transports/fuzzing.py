"""Random messages, of all that a message may hold."""

import asyncio
import random
from collections.abc import Sequence
from typing import ClassVar, Final

from duly.errors import TransportUnavailable
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.transport import Envelope

_COMMON: Final = "abcxyzABC019 .-_:/"
_MARKS: Final = "".join(map(chr, range(33, 127)))
_FAR: Final = "äß€注文\u00a0\u00ad\u0301\u200b\u200f\u2028\ufeff\ufffd\U0001f4e6\U0010ffff"
_ENDS: Final = "\r\n\t\x01\x1b\x7f\x85"  # in values alone
_AT_ONCE: Final = 20


class FuzzCases(TransportHarness):
    """Each arrives unchanged or is refused with a reason, and none holds up others."""

    fuzzed: ClassVar[int] = 40
    """How many. The first are the same each time."""

    async def test_messages_made_by_chance(self, desk: Bench) -> None:
        chance = random.Random(17)  # noqa: S311  # it is to be the same each time
        made = [self._made(desk, chance) for _ in range(self.fuzzed)]
        accepted: list[Envelope] = []
        for start in range(0, len(made), _AT_ONCE):
            some = made[start : start + _AT_ONCE]
            publishes = map(desk.transport.publish, some)
            outcomes = await desk.soon(asyncio.gather(*publishes, return_exceptions=True))
            for envelope, outcome in zip(some, outcomes, strict=True):
                assert not isinstance(outcome, TransportUnavailable), (
                    f"a message is not an outage: {outcome!r}, for {envelope!r}"
                )
                if desk.told(outcome):
                    accepted.append(envelope)
        await desk.publish(last := desk.envelope(metadata={"text": "last"}))
        texts = {each.payload: each.metadata["text"] for each in (*accepted, last)}
        for got in await desk.arrived(*accepted, last):
            text = texts[got.payload]
            assert got.headers.get("text", text) == text, f"arrived changed: {text!r}"

    def _made(self, desk: Bench, chance: random.Random) -> Envelope:
        names = [_COMMON, _COMMON + _FAR, _MARKS, _FAR, _COMMON + _MARKS + _FAR]
        values = [*names, _COMMON + _ENDS, _MARKS + _FAR + _ENDS]
        id = _text(chance, names, longest=255)
        more = {_text(chance, names, longest=80): _text(chance, values) for _ in range(3)}
        envelope = desk.envelope()
        return desk.envelope(
            envelope.payload + chance.randbytes(chance.choice([0, 1, 7, 300])),
            message_id=id,
            delivery_id=f"{id}:{chance.randrange(10**16)}:0",
            event_name=self._event_name(chance, names),
            metadata={**more, "text": _text(chance, values)},
            occurrence=chance.randrange(1000),
            attempt=chance.randrange(1, 1000),
        )

    def _event_name(self, chance: random.Random, alphabets: Sequence[str]) -> str:
        if self.any_event_name:
            return _text(chance, alphabets, longest=255)
        return chance.choice([self.event_name, *self.odd_event_names])


def _text(chance: random.Random, alphabets: Sequence[str], longest: int = 300) -> str:
    length = chance.choice([1, 2, chance.randrange(1, 40), chance.randrange(1, longest + 1)])
    return "".join(chance.choices(chance.choice(alphabets), k=length))
