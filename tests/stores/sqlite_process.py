"""What another process does to an SQLite file; a line on stdout tells how far it is.

python sqlite_process.py hold FILE     claims all that is due and keeps it until it is killed
python sqlite_process.py keep FILE     the same, for an hour
python sqlite_process.py drain FILE    tells the ids it claims and settles, until none is left
python sqlite_process.py flow FILE     the same, and moves some event names aside in between
python sqlite_process.py put FILE ID   stores one message that is due
python sqlite_process.py count FILE N  counts up a note N times
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import count

from duly import Message, after
from duly.store import PAUSED, Group, Settle
from duly_sqlite import SQLiteStore


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def hold(store: SQLiteStore) -> None:
    batch = await store.claim(limit=1000, lease=timedelta(seconds=1), owner="holder")
    tell(str(len(batch.claims)))
    await asyncio.sleep(60)


async def keep(store: SQLiteStore) -> None:
    batch = await store.claim(limit=1000, lease=timedelta(hours=1), owner="keeper")
    tell(str(len(batch.claims)))
    await asyncio.sleep(60)


async def drain(store: SQLiteStore, *most: Mapping[str, int]) -> None:
    tell("ready")
    sys.stdin.readline()
    settles: list[Settle] = []
    for number in count():
        batch = await store.claim(
            limit=7,
            lease=timedelta(minutes=1),
            owner="drainer",
            settle=settles,
            most=most[number % len(most)] if most else {},
        )
        if batch.settled not in ([], [True]):
            tell("lost")
        if batch.token is None and not batch.aside:
            break
        settles = [] if batch.token is None else [Settle(batch.token)]
        for claim in batch.claims:
            tell(claim.message.id)


async def flow(store: SQLiteStore) -> None:
    await drain(store, {"slow": 0}, {"*": 3}, {"fast": PAUSED, "slow": 2}, {})


async def put(store: SQLiteStore, id: str) -> None:
    assert await store.put([Group([Message("event", id=id, scheduled_at=after())])]) == [None]
    tell("stored")


async def count_up(store: SQLiteStore, times: str) -> None:
    tell("ready")
    sys.stdin.readline()
    left = int(times)
    while left:
        note = await store.read_note("count")
        value, revision = (0, None) if note is None else (int(note.value), note.revision)
        if await store.write_note("count", b"%d" % (value + 1), revision) is not None:
            left -= 1


async def main(verb: str, path: str, *arguments: str) -> None:
    store = SQLiteStore(path)
    await store.open()
    await VERBS[verb](store, *arguments)
    await store.close()


VERBS: Mapping[str, Callable[..., Awaitable[None]]] = {
    "hold": hold, "keep": keep, "drain": drain, "flow": flow, "put": put, "count": count_up,
}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
