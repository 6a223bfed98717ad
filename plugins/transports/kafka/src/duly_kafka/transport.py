"""The transport: one record for each message, and a new producer when the old one is useless."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from aiokafka import codec
from aiokafka.structs import RecordMetadata

from duly.errors import InvalidArgument, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly.url import expect
from duly_kafka.connection import Line
from duly_kafka.content import Record, record_of
from duly_kafka.errors import (
    FAILURES,
    concerns_batch,
    concerns_broker,
    concerns_producer,
    translated,
)
from duly_kafka.producer import Producer
from duly_kafka.server import Cluster
from duly_kafka.topics import NewTopics, Topics

__all__ = ["KafkaTransport"]

_BATCH: Final = 512 * 1024  # bytes of a batch, which is half of what a broker takes by default
_LARGEST: Final = 16 * 2**20  # bytes
_TRIES: Final = 5  # producers that other records may spoil
_COMPRESSIONS: Final = {
    "gzip": codec.has_gzip,
    "lz4": codec.has_lz4,
    "snappy": codec.has_snappy,
    "zstd": codec.has_zstd,
}


class KafkaTransport:
    """Sends each message as a record; accepted is what all replicas in sync have confirmed.

    The receipt is topic, partition and offset, ``orders-0@17``. ``topic`` may hold
    ``{event_name}``. The key of a record is the delivery id, or the metadata named ``key_from`` if
    the message has it. Missing topics are created only with ``new_topics``. The producer is
    idempotent: what it sends again by itself is written once; without ``idempotence`` it may be
    written twice. ``compression`` is gzip, lz4, snappy or zstd. Records above
    ``max_request_size``, in bytes, are refused before they leave. ``timeout`` is how long brokers
    may take to confirm.

    Raises:
        InvalidArgument: a topic that is not valid, an unknown compression or one whose library is
            missing, an empty ``key_from``, or a number below 1.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        topic: str = "{event_name}",
        key_from: str | None = None,
        new_topics: NewTopics | None = None,
        idempotence: bool = True,
        compression: str | None = None,
        max_request_size: int = _LARGEST,
        timeout: timedelta = timedelta(seconds=15),
    ) -> None:
        expect(cluster, Cluster, taker="KafkaTransport")
        if max_request_size < 1 or timeout <= timedelta(0):
            raise InvalidArgument("max_request_size and timeout have to be above 0")
        if key_from == "":
            raise InvalidArgument("key_from: give the name of a metadata key, or leave it out")
        if compression is not None and compression not in _COMPRESSIONS:
            raise InvalidArgument(f"compression: it is {', '.join(_COMPRESSIONS)}")
        if compression is not None and not _COMPRESSIONS[compression]():
            raise InvalidArgument(f"compression: for {compression} install aiokafka[all]")
        cluster.arguments()  # raises now if they are wrong
        self._cluster = cluster
        self._topics = Topics(topic)
        self._key_from = key_from
        self._new_topics = new_topics
        settings = {
            "acks": "all",
            "compression_type": compression,
            "enable_idempotence": idempotence,
            "max_batch_size": min(_BATCH, max_request_size),
            "max_request_size": max_request_size,
        }
        self._line = Line(cluster, timeout.total_seconds(), settings)

    def __repr__(self) -> str:
        return f"KafkaTransport({self._cluster}, {self._topics!r})"

    async def open(self) -> None:
        await self._line.open()

    async def close(self) -> None:
        await self._line.close()

    async def publish(self, envelope: Envelope) -> str | None:
        return await self._deliver(record_of(envelope, self._topics, self._key_from))

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes: list[Any] = [None] * len(envelopes)
        records: dict[int, Record] = {}
        sent: dict[int, asyncio.Future[RecordMetadata]] = {}
        producer = await self._line.producer()
        try:
            for number, envelope in enumerate(envelopes):
                try:
                    records[number] = record_of(envelope, self._topics, self._key_from)
                    sent[number] = await producer.hand_over(records[number], self._new_topics)
                except (TransportError, *FAILURES) as error:
                    outcomes[number] = error
        except BaseException:
            producer.let_go(sent.values())
            raise
        for number, found in zip(sent, await producer.outcomes(sent.values()), strict=True):
            outcomes[number] = found if isinstance(found, Exception) else receipt_of(found)
        failed = [number for number, each in enumerate(outcomes) if isinstance(each, FAILURES)]
        again = (self._deliver(records[each], producer, outcomes[each]) for each in failed)
        for number, outcome in zip(
            failed, await asyncio.gather(*again, return_exceptions=True), strict=True
        ):
            outcomes[number] = outcome
        return outcomes

    async def check(self) -> Sequence[str]:
        try:
            answered = await (await self._line.producer()).answers()
        except TransportError as error:
            return [str(error)]
        return [] if answered else [f"{self._cluster}: no broker answers"]

    async def _deliver(
        self, record: Record, producer: Producer | None = None, error: Exception | None = None
    ) -> str | None:
        """The receipt of a record; ``error`` is its outcome so far with that producer."""
        alone = False
        for _ in range(_TRIES):
            if producer is not None and error is not None:
                alone = await self._alone_next(record, producer, error, alone=alone)
            producer = await self._line.producer()
            try:
                future = await producer.hand_over(record, self._new_topics, alone=alone)
            except FAILURES as caught:
                error = caught
                continue
            (outcome,) = await producer.outcomes([future])
            if not isinstance(outcome, Exception):
                return receipt_of(outcome)
            if not isinstance(outcome, FAILURES):
                raise outcome
            error = outcome
        raise TransportError(f"{record.topic}: other records spoil one producer after the other")

    async def _alone_next(
        self, record: Record, producer: Producer, error: Exception, *, alone: bool
    ) -> bool:
        """Whether to send it again in a batch of its own, if it is to be sent again.

        Raises:
            TransportError: it is not to be sent again.
        """
        if concerns_broker(error):
            if not producer.usable:  # given up because of others, before it took this one
                return alone
            if not await producer.answers():
                raise TransportUnavailable(f"{self._cluster}: no broker answers") from error
        producer.spoil(error)
        if concerns_producer(error):
            return alone
        if concerns_batch(error) and not alone and len(record.value) < _BATCH:
            return True
        raise translated(error, record.topic) from error


def receipt_of(metadata: RecordMetadata) -> str | None:
    """Topic, partition and offset; None if the broker already had it and forgot the offset."""
    if metadata.offset < 0:
        return None
    return f"{metadata.topic}-{metadata.partition}@{metadata.offset}"
