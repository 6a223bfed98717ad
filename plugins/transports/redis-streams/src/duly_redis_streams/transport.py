"""What both transports have in common: a client, its limits, and messages made into commands."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Redis, RedisCluster

from duly.errors import InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.template import Template
from duly.transport import Envelope, waiting
from duly.url import expect
from duly_redis_streams.cluster import alive
from duly_redis_streams.errors import (
    FAILURES,
    out_of_reach,
    told_by_server,
    translated,
    translated_at_open,
)
from duly_redis_streams.sending import Command, send
from duly_redis_streams.server import Client, Link, Server

__all__ = ["RedisTransport"]

_LARGEST: Final = 512 * 2**20  # bytes of one argument
_ENDING: Final = 1.0  # seconds


class RedisTransport(ABC):
    """Sends each message as one command; a subclass says which, and what its answer means.

    ``place`` is the stream or channel. ``connections`` is how many pipelines are in flight at the
    same time.
    """

    def __init__(self, server: Server | Client, place: Template, connections: int) -> None:
        expect(server, Redis, RedisCluster, Server, taker=type(self).__name__)
        if connections < 1:
            raise InvalidArgument("connections has to be above 0")
        self._server = server
        self._place = place
        self._connections = connections
        self._shown = str(server) if isinstance(server, Server) else "the server"
        self._link: Link | None = None
        self._largest = _LARGEST
        self._turns = asyncio.Semaphore(connections)
        self._losses = 0
        self._trouble: str | None = None
        self._exchanges: set[asyncio.Task[Sequence[Any]]] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown}, {self._place!r})"

    @property
    def _in_cluster(self) -> bool:
        if isinstance(self._server, Server):
            return self._server.topology == "cluster"
        return isinstance(self._server, RedisCluster)

    @abstractmethod
    def _command(self, envelope: Envelope, place: str) -> Command:
        """The command that sends a message there; raises Rejected if that is not possible."""

    @abstractmethod
    def _receipt(self, answer: Any, place: str) -> str:
        """The receipt in an answer; raises TransportError if the message was not taken."""

    async def open(self) -> None:
        if self._is_open():
            return
        link = self._connect()
        try:
            largest = await _limit(link.client)
        except FAILURES as error:
            await link.close()
            raise translated_at_open(error, self._shown) from error
        except BaseException:
            await link.close()
            raise
        if self._is_open():  # another call was faster
            await link.close()
            return
        self._link, self._largest = link, largest
        self._turns = asyncio.Semaphore(self._connections)  # of this event loop

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
            if self._exchanges:  # they have nothing left to wait for
                await asyncio.wait(self._exchanges, timeout=_ENDING)
                await link.close()  # one that was between two pipelines has connected again

    async def publish(self, envelope: Envelope) -> str:
        (outcome,) = await self.publish_many([envelope])
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes: list[Any] = [None] * len(envelopes)
        commands: dict[int, Command] = {}
        for number, envelope in enumerate(envelopes):
            try:
                commands[number] = self._made(envelope)
            except (Rejected, UnicodeEncodeError) as error:
                outcomes[number] = error
        if commands:
            found = await self._sent([*commands.values()])
            for number, outcome in zip(commands, found, strict=True):
                outcomes[number] = outcome
        return outcomes

    async def check(self) -> Sequence[str]:
        found, link = self._link, self._link or self._connect()
        try:
            if not isinstance(link.client, RedisCluster):
                await _ping(link.client)
            elif not await alive(link.client):
                return [f"{self._shown}: the cluster is down"]
        except FAILURES as error:
            return [str(translated(error, self._shown))]
        finally:
            if found is None:
                await link.close()
        # If a server answers but takes nothing, no message has broken its connection.
        return [self._trouble] if self._trouble else []

    def _is_open(self) -> bool:
        return self._link is not None

    def _connect(self) -> Link:
        return self._server.connect() if isinstance(self._server, Server) else Link(self._server)

    def _made(self, envelope: Envelope) -> Command:
        command = self._command(envelope, self._place.fill(envelope.event_name))
        if command.size > self._largest:
            raise Rejected(
                f"{command.size} bytes are too many: the server takes {self._largest} "
                "(proto-max-bulk-len)"
            )
        return command

    async def _sent(self, commands: Sequence[Command]) -> Sequence[Any]:
        """One outcome each."""
        losses, turns = self._losses, self._turns
        with waiting() if turns.locked() else contextlib.nullcontext():
            await turns.acquire()
        # Cancelling a command half-way costs its connection, which others may need.
        exchange = asyncio.create_task(self._exchanged(commands, losses, turns))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)
        return await asyncio.shield(exchange)

    async def _exchanged(
        self, commands: Sequence[Command], losses: int, turns: asyncio.Semaphore
    ) -> Sequence[Any]:
        """Send and read the answers, then let others have their turn."""
        try:
            if self._link is None:
                return [TransportUnavailable(f"{self!r} is not open")] * len(commands)
            if self._losses != losses:  # or each of many would find that out by itself
                gone = TransportUnavailable(f"{self._shown} was lost while others waited")
                return [gone] * len(commands)
            link = self._link
            answers = await send(link.client, commands)
            outcomes = list(map(self._outcome, answers, commands))
            if any(isinstance(each, str) for each in outcomes):
                self._trouble = None
            if any(isinstance(each, TransportUnavailable) for each in outcomes):
                return await self._after_loss(link, answers, outcomes)
            return outcomes
        finally:
            turns.release()

    def _outcome(self, answer: Any, command: Command) -> str | Exception:
        try:
            if isinstance(answer, Exception):
                raise translated(answer, command.place) from answer
            return self._receipt(answer, command.place)
        except TransportError as error:
            return error

    async def _after_loss(
        self, link: Link, answers: Sequence[Any], outcomes: Sequence[str | Exception]
    ) -> Sequence[str | Exception]:
        """The outcomes, told as the loss of one node if other nodes work and get messages too."""
        if self._link is not link:  # closed meanwhile
            return outcomes
        client = link.client
        if isinstance(client, RedisCluster) and self._place.varies and await alive(client):
            return list(map(_of_one_node, outcomes))
        self._losses += 1
        link.read_files_anew()
        self._trouble = next((str(each) for each in outcomes if told_by_server(each)), None)
        if any(map(out_of_reach, answers)) and link.owned and self._link is link:
            self._link = self._connect()  # from the addresses that were given
            await link.close()
        return outcomes


async def _limit(client: Client) -> int:
    """How long an argument may be, in bytes; the default if the server does not tell."""
    try:
        found = await client.config_get("proto-max-bulk-len")
        return int(found.get("proto-max-bulk-len") or _LARGEST)
    except exceptions.ResponseError:  # not every user has the right to ask
        await _ping(client)
        return _LARGEST


async def _ping(client: Client) -> None:
    with contextlib.suppress(exceptions.NoPermissionError):  # it answers
        await client.execute_command("PING")


def _of_one_node(outcome: str | Exception) -> str | Exception:
    if not isinstance(outcome, TransportUnavailable):
        return outcome
    error = TransportError(str(outcome))
    error.__cause__ = outcome.__cause__
    return error
