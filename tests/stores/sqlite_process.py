"""What another process does to an SQLite file; a line on stdout tells how far it is.

python sqlite_process.py hold FILE     claims all that is due and keeps it until it is killed
python sqlite_process.py drain FILE    tells the ids it claims and settles, until none is left
python sqlite_process.py flow FILE     the same, and moves some event names aside in between
python sqlite_process.py put FILE ID   stores one message that is due
"""

import asyncio
import sys
from collections.abc import Mapping
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


async def main(verb: str, path: str, *arguments: str) -> None:
    store = SQLiteStore(path)
    await store.open()
    await {"hold": hold, "drain": drain, "flow": flow, "put": put}[verb](store, *arguments)  # type: ignore[operator]  # each takes its own
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
