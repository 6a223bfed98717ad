"""A server that says hello as one would that cannot be had here, and refuses all else."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import bson

_HEADER = struct.Struct("<iiii")
_MESSAGE, _QUERY, _REPLY = 2013, 2004, 1


@asynccontextmanager
async def impostor(**hello: Any) -> AsyncIterator[str]:
    """The address of one whose answer to hello has these fields."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await _serve(reader, writer, hello)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.close()
        await asyncio.wait(serving)  # the client is closed by now


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: dict[str, Any]
) -> None:
    while True:
        length, number, _, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        body = await reader.readexactly(length - _HEADER.size)
        writer.write(_answer(number, kind, _asked(kind, body), hello))
        await writer.drain()


def _asked(kind: int, body: bytes) -> dict[str, Any]:
    if kind == _MESSAGE:
        return bson.decode(body[5:])
    name_ends = body.index(b"\0", 4)
    return bson.decode(body[name_ends + 9 :])


def _answer(number: int, kind: int, asked: dict[str, Any], hello: dict[str, Any]) -> bytes:
    answer: dict[str, Any] = {"ok": 0, "errmsg": "no such command", "code": 59}
    if next(iter(asked)).lower() in ("hello", "ismaster"):
        answer = {"ok": 1, "minWireVersion": 0, "maxBsonObjectSize": 2**24, **hello}
    document = bson.encode(answer)
    if kind == _MESSAGE:
        body, kind = b"\0\0\0\0\0" + document, _MESSAGE
    else:
        body, kind = struct.pack("<iqii", 8, 0, 0, 1) + document, _REPLY
    return _HEADER.pack(_HEADER.size + len(body), 1, number, kind) + body
