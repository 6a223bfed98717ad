"""The URLs of the Redis transports: what is refused, what is kept secret, and Sentinel."""

import pytest
from tests.servers.redis import ask
from tests.servers.redis_sentinel import RedisSentinelGroup
from tests.transports.envelopes import envelope

from duly import InvalidArgument, TransportError, TransportUnavailable
from duly_redis_streams import PubSubTransport, StreamTransport
from duly_redis_streams.plugin import duly_transports, stream_from_url

FACTORIES = duly_transports()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+stream://", "no host"),
        ("redis+stream://a,b", "several hosts"),
        ("redis+stream://a/b", "number of a database"),
        ("redis+stream://a/?channel=b", "unknown option 'channel'; known: connections, create, "),
        ("redis+pubsub://a/?stream=b", "unknown option 'stream'; known: channel, connections, "),
        ("redis+stream://a/?stream=", "stream: it is empty"),
        ("redis+stream://a/?stream={name}", "stream: .* unknown field"),
        ("redis+stream://a/?stream={event_name", "stream: .* brace"),
        ("redis+stream://a/?maxlen=0", "maxlen"),
        ("redis+stream://a/?maxlen=x", "maxlen"),
        ("redis+stream://a/?max_age=0", "max_age"),
        ("redis+stream://a/?maxlen=1&max_age=1", "one of them"),
        ("redis+stream://a/?exact=true", "exact"),
        ("redis+stream://a/?create=maybe", "create"),
        ("redis+stream://a/?deduplicate=0", "deduplicate"),
        ("redis+stream://a/?connections=0", "connections"),
        ("redis+stream://a/?timeout=0", "timeout"),
        ("redis+stream://a/?topology=ring", "topology: it is one of single, cluster, sentinel"),
        ("redis+stream://a/?topology=sentinel", "master="),
        ("redis+stream://a/?master=b", "sentinels only"),
        ("redis+stream://a/1?topology=cluster", "no databases"),
        ("redis+pubsub://a/?channel={", "channel: .* brace"),
        ("redis+pubsub://a/?format=xml", "format: it is json or payload"),
        ("redis+pubsub://a/?topology=cluster&require_subscriber=true", "require_subscriber"),
        ("redis+stream://a/?tls_ca=x", "without tls=true"),
        ("rediss+stream://a/?tls=false", "means TLS"),
        ("rediss+pubsub://a/?tls_ca=/missing.pem", "no file"),
    ],
)
def test_urls_that_are_refused(url, said):
    with pytest.raises(InvalidArgument, match=said):
        FACTORIES[url.partition(":")[0]](url)


def test_secrets_are_kept():
    url = (
        "redis+stream://user:hidden1@a,b/0?topology=sentinel&master=m&sentinel_username=s"
        "&sentinel_password=hidden2"
    )
    assert "hidden" not in repr(stream_from_url(url))
    for wrong in ("&x=1", "&topology=ring", "&maxlen=no"):
        with pytest.raises(InvalidArgument) as told:
            stream_from_url(url.replace("&master=m", f"&master=m{wrong}"))
        assert "hidden" not in str(told.value)


def test_each_scheme_has_its_transport():
    for scheme in ("redis+stream", "rediss+stream"):
        assert isinstance(FACTORIES[scheme](f"{scheme}://a"), StreamTransport)
    for scheme in ("redis+pubsub", "rediss+pubsub"):
        assert isinstance(FACTORIES[scheme](f"{scheme}://a"), PubSubTransport)


# --- Sentinel


async def test_a_primary_that_is_succeeded():
    with RedisSentinelGroup() as group:
        where = f"{group.addresses}/?topology=sentinel&master={group.name}&timeout=5"
        transport = stream_from_url(f"redis+stream://{where}")
        await transport.open()
        await transport.publish(envelope())
        group.primary.kill()
        with pytest.raises(TransportUnavailable):
            await transport.publish(envelope())
        while await transport.check():
            pass
        assert await transport.publish(envelope())
        assert group.replica.ask("XLEN", envelope().event_name) >= 1
        await transport.close()

        with pytest.raises(TransportError):
            await stream_from_url(f"redis+stream://{where.replace(group.name, 'other')}").open()
        for sentinel in group.sentinels:
            ask(sentinel.port, "ACL", "SETUSER", "default", "resetpass", ">of-sentinels")
        with pytest.raises(TransportError):
            await stream_from_url(f"redis+stream://{where}").open()
        transport = stream_from_url(f"redis+stream://{where}&sentinel_password=of-sentinels")
        await transport.open()
        assert await transport.publish(envelope())
        await transport.close()
