"""A Redis under Sentinel, of the tests' own: a primary, its replica and three sentinels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import pytest
from tests.servers.process import Server, wait_until
from tests.servers.redis import RedisServer, ask, lines, redis_program

NAME: Final = "mymaster"
QUORUM: Final = 2
DOWN_AFTER: Final = 1000  # milliseconds until a primary that is silent counts as down


class Sentinel(Server):
    """One that watches a primary and, with others, appoints its successor."""

    def __init__(self, primary: RedisServer) -> None:
        super().__init__()
        self._settings = self.folder / "sentinel.conf"  # it writes what it learns into it
        self._settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nprotected-mode no\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [redis_program() or "redis-server", self._settings, "--sentinel"]

    def facts(self) -> dict[str, str]:
        """What it knows about the primary."""
        words = iter(ask(self.port, "SENTINEL", "MASTER", NAME))
        return dict(zip(words, words, strict=True))


class RedisSentinelGroup:
    """A primary and a replica that three sentinels watch; ``settings`` hold for both servers.

    A primary that is killed is succeeded by the replica after some 2.3 seconds.
    """

    name = NAME

    def __init__(self, *settings: str) -> None:
        self.primary = RedisServer(*settings)
        self.replica = RedisServer("--replicaof", f"127.0.0.1 {self.primary.port}", *settings)
        self.sentinels = [Sentinel(self.primary) for _ in range(3)]

    @property
    def addresses(self) -> str:
        """All sentinels, as a URL wants them."""
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        """Its address as a store wants it."""
        return f"redis+sentinel://{self.addresses}/{NAME}/0"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all and return when each sentinel knows the replica and the other sentinels."""
        self.primary.start()
        self.replica.start()
        wait_until(lambda: _has_linked(self.replica))
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(lambda: all(map(_knows_all, self.sentinels)))

    def close(self) -> None:
        """End all, however they are doing; the sentinels first, or they would go to work."""
        for server in (*self.sentinels, self.primary, self.replica):
            server.close()


def _has_linked(replica: RedisServer) -> bool:
    return lines(replica.ask("INFO", "replication")).get("master_link_status") == "up"


def _knows_all(sentinel: Sentinel) -> bool:
    facts = sentinel.facts()
    return (facts["num-slaves"], facts["num-other-sentinels"]) == ("1", "2")


@pytest.fixture(scope="session")
def redis_sentinel_url() -> Iterator[str]:
    """A Redis under Sentinel to share with others: keep to key prefixes of your own."""
    with RedisSentinelGroup() as group:
        yield group.url
