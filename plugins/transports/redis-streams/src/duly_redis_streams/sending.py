"""Sends commands to the server and reads its answers."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
from redis import exceptions
from redis.asyncio import RedisCluster

from duly_redis_streams.cluster import by_node, look_again
from duly_redis_streams.errors import FAILURES
from duly_redis_streams.server import Client

__all__ = ["Command", "send"]

_AT_ONCE: Final = 4 * 2**20  # bytes in one pipeline, unless a single command has more
_BROKEN: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.SlotNotCoveredError,
    OSError,
    AttributeError,  # see FAILURES
)


@attrs.frozen
class Command:
    """A command that sends a message to a ``place``, which is a stream or a channel.

    ``key`` decides which node of a cluster gets it; None: any. ``size`` is the length of its
    largest argument, in bytes.
    """

    place: str
    arguments: Sequence[Any]
    key: bytes | None
    size: int


async def send(client: Client, commands: Sequence[Command]) -> Sequence[Any]:
    """The answers to commands, in order; the error in the place of an answer that is missing."""
    answers: list[Any] = [None] * len(commands)
    shares: Sequence[Sequence[int]] = [range(len(commands))]
    if isinstance(client, RedisCluster):
        try:
            shares = await by_node(client, [command.key for command in commands])
        except FAILURES as error:
            return [error] * len(commands)
    await asyncio.gather(*[_send_share(client, share, commands, answers) for share in shares])
    return answers


async def _send_share(
    client: Client, share: Sequence[int], commands: Sequence[Command], answers: list[Any]
) -> None:
    """Send what goes to one node, so that each node fails for itself."""
    for places in _pieces(share, commands):
        found: Sequence[Any]
        try:
            found = await _answers(client, [commands[place].arguments for place in places])
        except FAILURES as error:
            found = [error] * len(places)
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
        if isinstance(client, RedisCluster):
            broken = next((each for each in found if isinstance(each, _BROKEN)), None)
            if broken is not None:
                await look_again(client, commands[places[0]].key, broken)


async def _answers(client: Client, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
    if len(commands) == 1:  # a pipeline would only cost time
        return [await client.execute_command(*commands[0])]
    pipeline = client.pipeline(transaction=False)
    for arguments in commands:
        pipeline.execute_command(*arguments)
    found: Sequence[Any] = await pipeline.execute(raise_on_error=False)
    return found


def _pieces(share: Sequence[int], commands: Sequence[Command]) -> Iterator[Sequence[int]]:
    piece: list[int] = []
    size = 0
    for place in share:
        if piece and size + commands[place].size > _AT_ONCE:
            yield piece
            piece, size = [], 0
        piece.append(place)
        size += commands[place].size
    if piece:
        yield piece
