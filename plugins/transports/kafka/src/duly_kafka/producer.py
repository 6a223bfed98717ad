"""One producer of aiokafka, from its start until it is given up.

An idempotent producer of aiokafka tries for ever, so that it can neither report an outage nor be
stopped during one. Once a broker has refused a batch it is useless: all later batches of that
partition are out of sequence. So records that wait are watched here, and a producer that is lost or
spoiled is given up for a new one.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, ProducerClosed
from aiokafka.structs import RecordMetadata

from duly.errors import TransportError, TransportUnavailable
from duly_kafka.content import Record
from duly_kafka.errors import FAILURES, translated, translated_at_start
from duly_kafka.guarding import guard
from duly_kafka.sending import send, send_alone
from duly_kafka.server import Cluster, address
from duly_kafka.topics import NewTopics
from duly_kafka.unconfirmed import Waiting

__all__ = ["Producer"]

_TICK: Final = 0.1  # seconds between checks while something waits; longer when that goes on
_LONGEST_TICK: Final = 1.0
_SILENCE: Final = 0.3  # seconds without an answer until brokers are asked whether any answers
_PAUSE: Final = 0.05  # seconds between checks for a topic that was created
_LEAVING: Final = 0.5  # seconds until a start that nobody waits for any more is cancelled


class Producer:
    """Hands records over; ``timeout``, in seconds, is how long each may wait to be confirmed.

    ``given_up`` is called once when it is useless; then it must be ended. ``known`` are addresses
    of brokers that the producer before it knew: those given for the cluster may be gone by now.
    """

    def __init__(
        self,
        cluster: Cluster,
        timeout: float,
        settings: Mapping[str, Any],
        given_up: Callable[["Producer"], None],
        known: Sequence[str] = (),
    ) -> None:
        arguments = cluster.arguments()
        servers = arguments.pop("bootstrap_servers")
        if isinstance(servers, str):
            servers = servers.split(",")
        self._cluster = cluster
        self._timeout = timeout
        self._patience = timeout / 3  # seconds for one request
        defaults = {"request_timeout_ms": max(1, round(self._patience * 1000))}
        self._driver = AIOKafkaProducer(
            bootstrap_servers=[*servers, *known], **{**defaults, **settings, **arguments}
        )
        self._lost = False  # whether all that waited has failed, and must not be sent any more
        guard(self._driver.client, lambda: self._lost)
        self._waiting = Waiting()
        self._watching: asyncio.Task[None] | None = None
        self._creating = asyncio.Lock()
        self._idempotent = settings["enable_idempotence"]
        self._given_up = given_up
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.usable = False
        """Whether it is started, and neither lost nor spoiled."""

    async def start(self) -> None:
        """Connect.

        Raises:
            TransportUnavailable: no broker answers.
            TransportError: they refuse us.
        """
        starting = asyncio.ensure_future(self._driver.start())
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.shield(starting)
        except BaseException as error:
            await self._leave(starting)
            if not isinstance(error, Exception):
                raise
            if isinstance(error, KafkaConnectionError):
                error = await self._cluster.why_out_of_reach(self._patience) or error
            raise translated_at_start(error, str(self._cluster)) from error
        self.usable = True

    async def hand_over(
        self, record: Record, new: NewTopics | None = None, *, alone: bool = False
    ) -> asyncio.Future[RecordMetadata]:
        """A future that is done when brokers confirm the record; ``alone``: in its own batch.

        Give it to :meth:`outcomes`, or to :meth:`let_go`.

        Raises:
            Rejected: it is larger than a request may be.
            TransportError: there is no such topic, or it could not be created.
            TransportUnavailable: no broker answers.
            KafkaError: anything else that keeps aiokafka from taking it.
        """
        if not self.usable:
            raise ProducerClosed
        if not self._knows(record.topic):
            await self._find(record.topic, new)
        future = await (send_alone if alone else send)(self._driver, record)
        if self._ended.done():  # it ended while this waited for room in the buffer
            future.cancel()
            raise ProducerClosed
        self._waiting.add(future)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        return future

    async def outcomes(
        self, futures: Collection[asyncio.Future[RecordMetadata]]
    ) -> Sequence[RecordMetadata | Exception]:
        """What became of records that were handed over, in order, when all are done."""
        return await self._waiting.outcomes(futures)

    def let_go(self, futures: Collection[asyncio.Future[RecordMetadata]]) -> None:
        """Wait no more for these."""
        self._waiting.let_go(futures)

    async def answers(self) -> bool:
        """Whether any broker answers; if none does, this producer is lost."""
        answer = False
        if not self._ended.done():
            update = self._driver.client.force_metadata_update()  # shared by all that ask meanwhile
            await asyncio.wait(
                [update, self._ended], timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED
            )
            answer = update.done() and bool(update.result())
            update.cancel()
        if not answer:
            self._lose("no broker answers")
        return answer

    def brokers(self) -> Sequence[str]:
        """The addresses of all brokers that it knows."""
        return [address(each.host, each.port) for each in self._driver.client.cluster.brokers()]

    def spoil(self, error: Exception) -> None:
        """Stop using it if a batch that failed with this error is missing in its sequence."""
        if self._idempotent and not isinstance(error, KafkaTimeoutError | OSError):
            self._give_up()

    async def end(self, patience: float) -> None:
        """Give it up: records not confirmed within so many seconds have failed."""
        self.usable = False
        lines = [*self._driver.client._conns.values()]  # noqa: SLF001  # there is no other way
        writers = [each._writer for each in lines if each._writer]  # noqa: SLF001  # as above
        await self._waiting.pass_by(patience)
        self._lose("the producer was closed")
        if any(each.transport.get_write_buffer_size() for each in writers):
            # aiokafka would wait without limit until the host has taken all that is written.
            for each in writers:
                each.transport.abort()
        if not self._ended.done():  # it may be given up while it is being closed
            self._ended.set_result(None)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        # aiokafka would wait without limit for records that it cannot send and nobody waits for.
        sender = self._driver._sender  # noqa: SLF001  # as above
        with contextlib.suppress(Exception):  # whatever goes wrong with it now
            await sender.close()
        buffer = self._driver._message_accumulator  # noqa: SLF001  # as above
        buffer._batches.clear()  # noqa: SLF001  # as above
        buffer._pending_batches.clear()  # noqa: SLF001  # as above
        await self._stop()

    async def _leave(self, starting: asyncio.Future[None]) -> None:
        """Stop a start: if it were cancelled at once, aiokafka would leave a connection behind."""
        if not starting.done():
            await asyncio.wait([starting], timeout=_LEAVING)
            starting.cancel()
            await asyncio.wait([starting])
        await self._stop()

    async def _stop(self) -> None:
        """Close its connections; not for ever, since a host may take nothing any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._driver.stop()

    def _knows(self, topic: str) -> bool:
        return self._driver.client.cluster.partitions_for_topic(topic) is not None

    async def _find(self, topic: str, new: NewTopics | None) -> None:
        """Look for a topic; aiokafka asks for all topics, so that asking creates none."""
        await self._update()
        if self._knows(topic):
            return
        if new is None:
            raise TransportError(f"{topic}: there is no such topic, or this user may not see it")
        async with self._creating:
            if self._knows(topic):
                return
            try:
                async with asyncio.timeout(self._timeout):
                    await new.create(topic, self._cluster, self._patience)
                    while not self._knows(topic):
                        await asyncio.sleep(_PAUSE)
                        await self._update()
            except FAILURES as error:
                await self._update()
                raise translated(error, f"{topic} could not be created") from error

    async def _update(self) -> None:
        """Ask what topics there are; TransportUnavailable if no broker answers."""
        if not await self.answers():
            raise ProducerClosed if self._ended.done() else self._gone("no broker answers")

    async def _watch(self) -> None:
        """While something waits, check that brokers answer and that nothing waits too long."""
        tick = _TICK
        await asyncio.sleep(tick)
        while self._waiting:
            if self._waiting.longest() < _SILENCE:
                tick = _TICK
            elif await self.answers():
                tick = min(2 * tick, _LONGEST_TICK, self._patience)
            else:
                return
            if self._waiting.longest() > self._timeout:
                self._give_up()  # or records would be sent when nobody waits for them any more
                self._waiting.fail(self._overdue, after=self._timeout)
            await asyncio.sleep(tick)

    def _overdue(self) -> TransportError:
        return TransportError(f"{self._cluster}: not confirmed within {self._timeout:g} s")

    def _lose(self, reason: str) -> None:
        self._lost = True
        self._give_up()
        self._waiting.fail(lambda: self._gone(reason))

    def _give_up(self) -> None:
        if self.usable:
            self.usable = False
            self._given_up(self)

    def _gone(self, reason: str) -> TransportUnavailable:
        return TransportUnavailable(f"{self._cluster}: {reason}")
