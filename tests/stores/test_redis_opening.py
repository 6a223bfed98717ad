"""What is refused when a Redis store is made or opened, and in which words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from redis.asyncio import Redis
from redis.crc import key_slot
from tests.servers.certificates import Certificates
from tests.servers.finding import lacking
from tests.servers.process import free_port
from tests.servers.redis import RedisServer

from duly import Client, InvalidArgument, Message, StoreError, StoreUnavailable, Unsupported, after
from duly.record import occurrence
from duly.store import Group
from duly_redis import RedisStore
from duly_redis.keys import home, meta_key, shards
from duly_redis.plugin import store_from_url

PATIENCE = 20  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer("--requirepass", "right") as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port, password="right") as client:
        await client.flushall()
        yield client


async def refusal(url: str, kind: type[Exception] = StoreError) -> str:
    """What an attempt to open a store says."""
    with pytest.raises(kind) as caught:
        async with Client(url):
            pass
    assert ":wrong" not in str(caught.value)
    return str(caught.value)


async def test_a_wrong_password(server: RedisServer) -> None:
    for url in (f"redis://:wrong@127.0.0.1:{server.port}", f"redis://127.0.0.1:{server.port}/0"):
        said = await refusal(url)
        assert "refuses user, password" in said


async def test_a_database_that_is_not_there(server: RedisServer) -> None:
    said = await refusal(f"redis://:right@127.0.0.1:{server.port}/99")
    assert "DB index is out of range" in said


async def test_nobody_there() -> None:
    said = await refusal(f"redis://127.0.0.1:{free_port()}", StoreUnavailable)
    assert "unavailable" in said
    for kind in ("cluster", "sentinel"):
        url = f"redis+{kind}://127.0.0.1:{free_port()}/{'mymaster' if kind == 'sentinel' else 0}"
        said = await refusal(url, StoreUnavailable)
        assert "unavailable" in said


async def test_one_server_is_no_cluster(server: RedisServer) -> None:
    said = await refusal(f"redis+cluster://:right@127.0.0.1:{server.port}")
    assert said == "this Redis is no Cluster: its scheme is redis://"
    said = await refusal(f"redis+cluster://:wrong@127.0.0.1:{server.port}")
    assert "refuses user, password" in said


@pytest.mark.parametrize("name", ["due", "messages", "withdrawn", "numbers", "leases"])
async def test_a_key_of_somebody_else(server: RedisServer, client: Redis, name: str) -> None:
    key = f"mine:{{mine:}}{name}"
    await client.rpush(key, "a list")
    said = await refusal(f"redis://:right@127.0.0.1:{server.port}?key_prefix=mine:")
    assert f"the key {key} is a list and not a " in said
    assert "choose another key_prefix" in said


async def test_the_first_key_of_somebody_else(server: RedisServer, client: Redis) -> None:
    await client.rpush(meta_key("mine:"), "a list")
    said = await refusal(f"redis://:right@127.0.0.1:{server.port}?key_prefix=mine:")
    assert "something else uses keys with this prefix" in said


async def test_an_index_of_somebody_else(client: Redis) -> None:
    """It is not among the keys that are looked at; then nothing is stored by halves."""
    await client.set("mine:{mine:}name:event", "no index")
    async with Client(RedisStore(client, key_prefix="mine:")) as door:
        with pytest.raises(StoreError, match="something else uses keys with this prefix"):
            await door.schedule(Message("event", scheduled_at=after(hours=1)))
        assert await door.list() == []
        assert (await door.stats()).scheduled == 0


@pytest.mark.parametrize(
    "prefix", ["", "a{b", "a}b", "{}", "a\nb", "\0", "\x7f", "\x85", "x" * 256, 5, None]
)
def test_prefixes_that_cannot_be(prefix: object) -> None:
    with pytest.raises(InvalidArgument, match="key_prefix"):
        RedisStore(Redis(), key_prefix=prefix)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize("number", [0, -1, 129, "2", 1.0, True])
def test_numbers_of_shards_that_cannot_be(number: object) -> None:
    with pytest.raises(InvalidArgument, match="shards is a number from 1 to 128"):
        RedisStore(Redis(), shards=number)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize("client", ["redis://localhost", None, redis.Redis(), 5])
def test_what_is_no_client(client: object) -> None:
    with pytest.raises(InvalidArgument, match=r"takes a client of redis.asyncio, not a"):
        RedisStore(client)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "names no host"),
        ("redis://a,b/0", "several are for redis+cluster:// and redis+sentinel://"),
        ("redis://a/x", "a database is a number: 'x'"),
        ("redis://a/0/1", "a database is a number: '0/1'"),
        (
            "redis://a/0?prefix=x",
            "unknown option 'prefix'; known: allow_eviction, auto_migrate, key_prefix, shards, tls, tls_ca",
        ),
        ("redis://a/0?shards=x", "option shards: 'x' is not a whole number"),
        ("redis://a/0?shards=0", "shards is a number from 1 to 128"),
        ("redis://a/0?key_prefix=a{b", "key_prefix has no braces"),
        ("redis+cluster://a,b/1", "a Cluster has no databases but 0"),
        ("redis+sentinel://a,b", "say which primary"),
        ("redis+sentinel://a/mymaster/x", "a database is a number: 'x'"),
        ("redis://a/0?sentinel_password=x", "unknown option"),
        ("rediss://a/0?tls=false", "this scheme means TLS"),
        ("rediss://a/0?tls_ca=/not/there", "there is no file /not/there"),
        ("redis://a/0?tls_ca=/not/there", "without tls=true"),
    ],
)
def test_urls_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        store_from_url(url)
    assert said in str(caught.value)


async def test_shards_are_the_same_for_all(client: Redis) -> None:
    store = RedisStore(client, key_prefix="mine:", shards=3)
    await store.open()
    await store.open()
    for number in (1, 2):
        with pytest.raises(StoreError, match="are spread over 3 shards: open them with shards=3"):
            await RedisStore(client, key_prefix="mine:", shards=number).open()
    await client.delete(meta_key("mine:"))
    await RedisStore(client, key_prefix="mine:", shards=2).open()


async def test_a_server_that_may_drop_messages(client: Redis, server: RedisServer) -> None:
    url = f"redis://:right@127.0.0.1:{server.port}/0"
    try:
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "allkeys-lfu")
        said = await refusal(url)
        assert "may drop messages when its memory is full (maxmemory-policy is allkeys-lfu)" in said
        assert "set it to noeviction, or give allow_eviction=true" in said
        async with Client(f"{url}?allow_eviction=true") as door:
            assert "may drop messages" in (await door.health()).reason
        await client.config_set("maxmemory-policy", "volatile-lru")  # no key of ours has an end
        await RedisStore(client).open()
    finally:
        await client.config_set("maxmemory", "0")
        await client.config_set("maxmemory-policy", "noeviction")


def test_an_allowance_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="allow_eviction is True or False: 'no'"):
        RedisStore(Redis(), allow_eviction="no")  # type: ignore[arg-type]  # that is what is tried


async def test_keys_of_a_newer_version(client: Redis) -> None:
    await client.hset(meta_key("mine:"), "layout", "2")
    with pytest.raises(StoreError, match="newer version of duly-redis .* upgrade this host"):
        await RedisStore(client, key_prefix="mine:").open()


async def test_a_server_that_is_too_old() -> None:
    """One that old cannot be had any more: somebody who says that he is."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while head := await reader.readline():
                words = [
                    (await reader.readline(), await reader.readline())[1].strip()
                    for _ in range(int(head[1:]))
                ]
                said = b"redis_version:5.0.14\r\n"
                writer.write(
                    b"$%d\r\n%s\r\n" % (len(said), said) if words[0] == b"INFO" else b"+OK\r\n"
                )
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        async with Redis(port=port, protocol=2) as client:
            with pytest.raises(
                StoreError, match=r"Redis 5.0.14 is too old: duly needs 6.2 or later"
            ):
                await RedisStore(client).open()


async def test_clients_of_other_habits(server: RedisServer) -> None:
    """What a user's client decodes, and which protocol it speaks, is the same to us."""
    for more in (
        {"decode_responses": True},
        {"protocol": 3},
        {"protocol": 2},
        {"encoding": "latin-1"},
    ):
        async with Redis(port=server.port, password="right", **more) as client:  # type: ignore[arg-type]  # any of its many options
            await client.flushall()
            async with Client(RedisStore(client)) as door:
                message = Message("event", b"\xff\0", id="\u4e2d", scheduled_at=after(hours=1))
                await door.schedule(message)
                assert await door.list() == [message]
                await door.health()
            assert await client.ping()  # it is left open


@pytest.mark.parametrize(
    ("encoding", "prefix", "decodes"),
    [("utf-16", "mine:", False), ("cp037", "mine:", True), ("nonsense", "mine:", False),
     ("ascii", "l\u00e4den:", True)],
)  # fmt: skip
async def test_clients_that_write_otherwise(encoding: str, prefix: str, decodes: bool) -> None:
    async with Redis(encoding=encoding, decode_responses=decodes) as client:
        with pytest.raises(InvalidArgument, match=f"encoding is '{encoding}'.* encoding='utf-8'"):
            await RedisStore(client, key_prefix=prefix).open()


async def test_a_prefix_in_another_encoding(client: Redis, server: RedisServer) -> None:
    """All who use it meet at the same keys and on the same channel."""
    async with Redis(
        port=server.port, password="right", encoding="latin-1", decode_responses=True
    ) as latin:
        store = RedisStore(latin, key_prefix="l\u00e4den:")
        await store.open()
        await store.wait_for_change()
        async with Client(RedisStore(client, key_prefix="l\u00e4den:")) as door:
            message = Message("event", scheduled_at=after(hours=1))
            await door.schedule(message)
        async with asyncio.timeout(PATIENCE):
            await store.wait_for_change()
        assert await store.get(message.id) == message
        assert await client.keys("l*") == await client.keys("l\u00e4den:{l\u00e4den:}*")
        await store.close()


async def test_what_a_user_must_be_allowed(client: Redis, server: RedisServer) -> None:
    """The rules that the README gives are enough."""
    await client.execute_command(
        "ACL", "SETUSER", "duly", "on", ">secret", "~scheduler:*", "&scheduler:*", "-@all",
        "+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "+info", "+time", "-@dangerous", "+info",
    )  # fmt: skip
    url = f"redis://duly:secret@127.0.0.1:{server.port}/0"
    async with Client(url) as door:
        message = Message("event", scheduled_at=after(hours=1))
        await door.schedule(message)
        assert await door.list() == [message]
        await door.health()  # it may not ask for the configuration, and does without
        assert await door.cancel(message.id)
    said = await refusal(f"{url}?key_prefix=other:")
    assert "a right that the user needs" in said


async def test_closed_is_closed(client: Redis) -> None:
    store = RedisStore(client)
    for call in (store.stats(), store.get("a"), store.wait_for_change(), store.check()):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call
    await store.close()
    await store.open()
    with pytest.raises(Unsupported):
        await store.put([Group([])], within=client)
    assert list(await store.put([Group([])])) == [None]
    await store.close()
    assert await client.ping()


def test_shards_are_far_apart() -> None:
    for number in (2, 3, 16, 128):
        slots = [key_slot(shard.key("due")) for shard in shards("scheduler:", number)]
        assert [slot * number // 16384 for slot in slots] == list(range(number))
        for shard in shards("scheduler:", number):
            assert len({key_slot(key) for key in shard.keys}) == 1


@pytest.mark.parametrize("id", ["a", "a:1:2", "a:1:2+", "order:17", "\u4e2d", "a\n"])
def test_occurrences_live_with_their_series(id: str) -> None:
    message = Message("event", id="x", scheduled_at=after())
    object.__setattr__(message, "id", id)
    dead = occurrence(message, "broken").id
    again = f"{dead}:-5:0"
    for number in (1, 3, 128):
        assert len({home(each, number) for each in (id, dead, f"{dead}++", again)}) == 1
    assert len({home(f"m{each}", 16) for each in range(200)}) == 16


def test_its_name() -> None:
    assert (
        repr(store_from_url("redis://:secret@h/0?shards=2"))
        == "RedisStore(key_prefix='scheduler:', shards=2)"
    )
    assert repr(RedisStore(Redis())) == "RedisStore(key_prefix='scheduler:')"


@pytest.fixture(scope="module")
def encrypted(certificates: Certificates) -> Iterator[RedisServer]:
    """A server that speaks TLS alone, to those who show a certificate, under one name."""
    own, port = certificates.issue("redis-opening", "localhost"), free_port()
    server = RedisServer(
        "--port", "0", "--tls-port", str(port), "--tls-cert-file", str(own.cert),
        "--tls-key-file", str(own.key), "--tls-ca-cert-file", str(certificates.ca),
        port=port,
    )  # fmt: skip
    try:
        server.start()
    except AssertionError as error:
        server.close()
        if "tls-" not in str(error):
            raise
        lacking("redis", "this server was built without TLS")
    yield server
    server.close()


def files(certificates: Certificates) -> str:
    """The options that name the files of a client."""
    client = certificates.client
    return f"tls_ca={certificates.ca}&tls_cert={client.cert}&tls_key={client.key}"


async def test_encrypted(encrypted: RedisServer, certificates: Certificates) -> None:
    for url in (
        f"rediss://localhost:{encrypted.port}/0?{files(certificates)}",
        f"redis://localhost:{encrypted.port}/0?tls=true&{files(certificates)}",
    ):
        async with Client(url) as door:
            message = Message("event", scheduled_at=after(hours=1))
            await door.schedule(message)
            assert await door.get(message.id) == message
            store = door._calls.store
            assert isinstance(store, RedisStore)
            await store.wait_for_change()  # the channel is joined


async def test_encrypted_and_not_to_be_trusted(
    encrypted: RedisServer, certificates: Certificates
) -> None:
    for host, options in (
        ("localhost", ""),  # nobody vouches for it
        ("127.0.0.1", f"&{files(certificates)}"),  # it is for another name
    ):
        url = f"redis://{host}:{encrypted.port}/0?tls=true{options}"
        assert "certificate" in await refusal(url, StoreUnavailable)
