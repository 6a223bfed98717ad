"""What the Redis store does in a second, beside its bare scripts in the same run.

It starts a redis-server of its own without persistence. Rounds are interleaved and medians given,
so that what else the machine does weighs on both sides alike. A busy machine blurs rates all the
same; the processor time of this process and of the server, for each message, much less.
``python benchmarks/redis_rates.py``; ``--messages``, ``--rounds`` and ``--future`` make it longer
or shorter, ``--rows`` picks some.

The bare loops send the scripts of the store (the index by event name included), packed before,
through a plain socket, and look at no answer further than it takes to find its end.
"""

import argparse
import asyncio
import contextlib
import gc
import platform
import secrets
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import hiredis
import msgspec
from redis.asyncio import Redis

import duly
from duly_redis.calls import Script, script
from duly_redis.keys import Shard, shards, wake_channel
from duly_redis.values import fields

LEASE = timedelta(minutes=5)
BATCH = 500
PREFIX = "bench:"
PUT, CLAIM = script("put"), script("leases", "claim")

# A message at a time, as a poller with a list of what is in work does it.
TAKE_ONE = Script("""\
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not id then return false end
redis.call('ZREM', KEYS[1], id)
redis.call('ZADD', KEYS[2], ARGV[1], id)
return {id, redis.call('HGET', KEYS[3], id)}""")
END_ONE = Script("""\
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[3], ARGV[1])""")


class Cost(NamedTuple):
    """What each message took."""

    rate: float  # messages per second
    ours: float  # microseconds of processor time of this process
    servers: float  # of the server


class Watch:
    """Runs from when it is made."""

    def __init__(self, port: int) -> None:
        self._port = port
        gc.collect()
        self._servers = self._server_time()
        self._ours, self._start = time.process_time(), time.perf_counter()

    def each(self, count: int) -> Cost:
        """What each of so many messages took."""
        wall, ours = time.perf_counter() - self._start, time.process_time() - self._ours
        servers = self._server_time() - self._servers
        return Cost(count / wall, ours / count * 1e6, servers / count * 1e6)

    def _server_time(self) -> float:
        bare = Socket(self._port)
        facts = bare.ask("INFO", "cpu").decode().splitlines()
        bare.close()
        names = ("used_cpu_user:", "used_cpu_sys:")
        return sum(float(line.partition(":")[2]) for line in facts if line.startswith(names))


Measure = Callable[[int, int], Coroutine[None, None, Cost]]


class NoTransport:
    """Accepts everything at once."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: duly.Envelope) -> None: ...


class Socket:
    """A plain connection, and the end of an answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._reader = hiredis.Reader()
        self.shard: Shard = shards(PREFIX, 1)[0]
        for each in (PUT, CLAIM, TAKE_ONE, END_ONE):
            self.ask("SCRIPT", "LOAD", each.text)

    def ask(self, *words: Any) -> Any:
        return self.send(hiredis.pack_command(words))

    def script(self, script: Script, *rest: Any) -> bytes:
        """A command, ready to be sent."""
        packed: bytes = hiredis.pack_command(("EVALSHA", script.sha, 12, *self.shard.keys, *rest))
        return packed

    def send(self, packed: bytes) -> Any:
        self._socket.sendall(packed)
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 18))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def server() -> Iterator[int]:
    """A server of our own; its port."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("there is no redis-server on the PATH")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603  # the program is one that the user has installed
            [program, "--port", str(port), "--dir", folder, "--save", "", "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
        )
        try:
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait()


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0?key_prefix={PREFIX}"


def messages(count: int, seconds: float = -10) -> list[duly.Message]:
    """Messages of 100 bytes under ten event names, due in so many seconds."""
    at = duly.after(seconds=seconds)
    return [duly.Message(f"event-{n % 10}", bytes(100), scheduled_at=at) for n in range(count)]


def puts(bare: Socket, given: Sequence[duly.Message]) -> list[bytes]:
    """Commands that store them, 500 at a time."""
    commands = []
    for start in range(0, len(given), BATCH):
        part = [field for message in given[start : start + BATCH] for field in fields(message)]
        packed = msgspec.msgpack.encode([0, [False, len(part) // 6], part])
        commands.append(bare.script(PUT, packed, wake_channel(PREFIX)))
    return commands


def fill(port: int, count: int, seconds: float = -10) -> None:
    bare = Socket(port)
    for start in range(0, count, 50_000):
        for command in puts(bare, messages(min(50_000, count - start), seconds)):
            bare.send(command)
    bare.close()


def flush(port: int) -> None:
    bare = Socket(port)
    bare.ask("FLUSHALL")
    bare.close()


def drain(batch: int = BATCH) -> Measure:
    """Messages per second from the store through a scheduler."""

    async def measure(port: int, count: int) -> Cost:
        fill(port, count)
        async with duly.Scheduler(url(port), NoTransport(), batch_size=batch) as scheduler:
            before = (await scheduler.stats()).scheduled - count
            watch = Watch(port)
            async with scheduler.running():
                while (stats := await scheduler.stats()).scheduled > before or stats.claimed:  # noqa: ASYNC110  # there is nothing to wait for
                    await asyncio.sleep(0.01)
                return watch.each(count)

    return measure


def bare_drain(batch: int = BATCH) -> Measure:
    async def measure(port: int, count: int) -> Cost:
        fill(port, count)
        bare = Socket(port)
        settles: list[Any] = []
        watch = Watch(port)
        taken = 0
        while True:
            token = secrets.token_hex(16)
            arguments = [0, settles, [], batch, 300_000_000, "bench", True, token, ""]
            answer = bare.send(
                bare.script(CLAIM, msgspec.msgpack.encode(arguments), wake_channel(PREFIX))
            )
            settles = [[token, False, []]]
            taken += len(answer[3])
            if not answer[3]:
                break
        cost = watch.each(taken)
        bare.close()
        return cost

    return measure


async def one_at_a_time(port: int, count: int) -> Cost:
    count //= 10
    bare = Socket(port)
    for each in range(count):
        bare.ask("HSET", bare.shard.key("messages"), each, bytes(100))
        bare.ask("ZADD", bare.shard.key("due"), each, each)
    watch = Watch(port)
    while True:
        answer = bare.send(bare.script(TAKE_ONE, count))
        if answer is None:
            break
        bare.send(bare.script(END_ONE, answer[0]))
    cost = watch.each(count)
    bare.close()
    return cost


async def one_at_a_time_by_client(port: int, count: int) -> Cost:
    """The same through redis.asyncio, as a scheduler in Python would do it."""
    count //= 10
    shard = shards(PREFIX, 1)[0]
    async with Redis(port=port) as client:
        for each in range(count):
            await client.hset(shard.key("messages"), str(each), bytes(100))
            await client.zadd(shard.key("due"), {str(each): each})
        take, end = (client.register_script(each.text) for each in (TAKE_ONE, END_ONE))
        keys = [shard.keys[number] for number in range(3)]
        watch = Watch(port)
        while (answer := await take(keys, [count])) is not None:
            await end(keys, [answer[0]])
        return watch.each(count)


async def schedule_bulk(port: int, count: int) -> Cost:
    given = messages(count, 3600)
    async with duly.Client(url(port)) as client:
        watch = Watch(port)
        for first in range(0, count, BATCH):
            await client.schedule_many(given[first : first + BATCH])
        return watch.each(count)


async def schedule_together(port: int, count: int) -> Cost:
    given = iter(messages(count, 3600))
    async with duly.Client(url(port)) as client:

        async def caller() -> None:
            for message in given:
                await client.schedule(message)

        watch = Watch(port)
        await asyncio.gather(*[caller() for _ in range(200)])
        return watch.each(count)


async def schedule_singly(port: int, count: int) -> Cost:
    given = messages(count // 10, 3600)
    async with duly.Client(url(port)) as client:
        watch = Watch(port)
        for message in given:
            await client.schedule(message)
        return watch.each(len(given))


async def bare_bulk(port: int, count: int) -> Cost:
    bare = Socket(port)
    commands = puts(bare, messages(count, 3600))
    watch = Watch(port)
    for command in commands:
        bare.send(command)
    cost = watch.each(count)
    bare.close()
    return cost


ROWS: Sequence[tuple[str, Measure, str, Measure | None]] = (
    ("drain, batch 100", drain(100), "bare scripts, batch 100", bare_drain(100)),
    ("drain, batch 500", drain(500), "bare scripts, batch 500", bare_drain(500)),
    ("drain, batch 1000", drain(1000), "bare scripts, batch 1000", bare_drain(1000)),
    ("drain, batch 500", drain(500), "Lua, one at a time", one_at_a_time),
    ("drain, batch 500", drain(500), "Lua, one at a time, asyncio", one_at_a_time_by_client),
    ("schedule, bulk 500", schedule_bulk, "bare script, bulk 500", bare_bulk),
    ("schedule, 200 at a time", schedule_together, "bare script, bulk 500", bare_bulk),
    ("schedule, one by one", schedule_singly, "", None),
)


def rates(
    port: int, wanted: argparse.Namespace, row: tuple[str, Measure, str, Measure | None]
) -> None:
    name, ours, other_name, other = row
    found: tuple[list[Cost], list[Cost]] = [], []
    for _ in range(wanted.rounds):
        for measure, costs in zip((ours, other), found, strict=True):
            if measure is not None:
                flush(port)
                costs.append(asyncio.run(measure(port, wanted.messages)))
    mine = median(found[0])
    cells = [name, f"{mine.rate:,.0f}", f"{mine.ours:.1f} + {mine.servers:.1f}", "", "", "", ""]
    if other is not None:
        theirs = median(found[1])
        cells[3:] = [
            other_name, f"{theirs.rate:,.0f}", f"{theirs.ours:.1f} + {theirs.servers:.1f}",
            share(mine.rate / theirs.rate),
        ]  # fmt: skip
    print(f"| {' | '.join(cells)} |", flush=True)


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio < 2 else f"{ratio:.1f} x"


async def lateness(port: int, seconds: int) -> None:
    """By the store's clock, of messages that come 20 ms apart."""
    late: list[float] = []

    async def handle(envelope: duly.Envelope) -> None:
        late.append((datetime.now(UTC) - envelope.scheduled_at).total_seconds() * 1000)

    first = duly.after(seconds=1)
    given = [
        duly.Message("tick", scheduled_at=first + timedelta(milliseconds=20 * n))
        for n in range(50 * seconds)
    ]
    async with duly.Scheduler(url(port), handle) as scheduler:
        await scheduler.schedule_many(given)
        async with scheduler.running():
            while len(late) < len(given):  # noqa: ASYNC110  # there is nothing to wait for
                await asyncio.sleep(0.5)
    p50, p99 = (statistics.quantiles(late, n=100)[each] for each in (49, 98))
    print(f"lateness at 50 messages/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {max(late):.2f} ms")


async def idle(port: int, seconds: int) -> None:
    """What a scheduler sends that has nothing to do."""

    def sent() -> int:
        facts = bare.ask("INFO", "commandstats").decode()
        names = ("evalsha", "ping", "subscribe", "eval")
        return sum(
            int(line.partition("calls=")[2].partition(",")[0])
            for line in facts.splitlines()
            if line.startswith(tuple(f"cmdstat_{name}:" for name in names))
        )

    bare = Socket(port)
    async with duly.Scheduler(url(port), NoTransport()) as scheduler, scheduler.running():
        await scheduler.schedule_many(messages(10, 3600))
        await asyncio.sleep(1)
        before = sent()
        await asyncio.sleep(seconds)
        print(f"idle: {(sent() - before) / seconds:.2f} commands/s")


def future(port: int, count: int, wanted: argparse.Namespace) -> None:
    """Bytes for each message, and what many that wait cost those that are due."""
    flush(port)
    bare = Socket(port)

    def used() -> int:
        return int(bare.ask("INFO", "memory").decode().partition("used_memory:")[2].split()[0])

    before = used()
    fill(port, count, 1e6)
    print(f"memory: {(used() - before) / count:.0f} bytes a message of 100, {count:,} of them")
    many = [asyncio.run(drain()(port, wanted.messages)) for _ in range(wanted.rounds)]
    flush(port)
    fill(port, 10_000, 1e6)
    few = [asyncio.run(drain()(port, wanted.messages)) for _ in range(wanted.rounds)]
    beside_many, beside_few = median(many), median(few)
    print(
        f"drain beside {count:,} that wait: {beside_many.rate:,.0f} messages/s, beside 10,000: "
        f"{beside_few.rate:,.0f}: {beside_many.rate / beside_few.rate:.0%}; CPU us of the server "
        f"{beside_many.servers:.1f} and {beside_few.servers:.1f}"
    )


def main() -> None:
    """Print a table and some lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--future", type=int, default=1_000_000)
    parser.add_argument("--rows", default="", help="only those whose names begin with this")
    wanted = parser.parse_args()
    with server() as port:
        bare = Socket(port)
        version = bare.ask("INFO", "server").decode().partition("redis_version:")[2].split()[0]
        print(
            f"Python {platform.python_version()}, Redis {version}, no persistence; "
            f"{wanted.messages} messages, {wanted.rounds} rounds, medians\n"
        )
        print("| what | messages/s | CPU us | beside | messages/s | CPU us | share |")
        print("|---|---|---|---|---|---|---|")
        for row in ROWS:
            if row[0].startswith(wanted.rows):
                rates(port, wanted, row)
        print()
        if not wanted.rows:
            flush(port)
            asyncio.run(lateness(port, 20))
            flush(port)
            asyncio.run(idle(port, 20))
            future(port, wanted.future, wanted)


if __name__ == "__main__":
    main()
