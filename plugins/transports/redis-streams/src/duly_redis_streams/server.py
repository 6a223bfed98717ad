"""Where the server is: a single one, a cluster, or the primary that sentinels name."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

import attrs
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from duly.errors import InvalidArgument
from duly.tls import TLS
from duly.url import Host, as_hosts
from duly_redis_streams.connections import hang_up, read_files_anew

__all__ = ["Client", "Link", "Server"]

Client: TypeAlias = Redis | RedisCluster

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_TOPOLOGIES: Final = ("single", "cluster", "sentinel")
_CONNECTING: Final = 10.0  # seconds, at most


@attrs.frozen
class Link:
    """A client, and what else is to be closed with it; a user's own client is left open."""

    client: Client
    owned: Sequence[Client] = ()

    async def close(self) -> None:
        """Disconnect; what is in flight fails."""
        for each in self.owned:
            await hang_up(each)

    def read_files_anew(self) -> None:
        """Call this after a loss: certificates may have been renewed."""
        for each in self.owned:
            read_files_anew(each)


@attrs.frozen(kw_only=True)
class Server:
    """What a URL says about the server; with sentinels, the hosts are theirs.

    Raises:
        InvalidArgument: an unknown topology, or arguments that do not belong to it.
    """

    hosts: Sequence[Host] = attrs.field(converter=as_hosts)
    database: int = 0
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    tls: TLS | None = None
    topology: str = "single"
    master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = attrs.field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=10)

    def __attrs_post_init__(self) -> None:
        if self.topology not in _TOPOLOGIES:
            listed = ", ".join(_TOPOLOGIES)
            raise InvalidArgument(f"topology: it is one of {listed}, not {self.topology!r}")
        if not self.hosts:
            raise InvalidArgument("the URL names no host")
        if self.topology == "single" and len(self.hosts) > 1:
            raise InvalidArgument("several hosts: say topology=cluster or topology=sentinel")
        if self.topology == "cluster" and self.database:
            raise InvalidArgument("a cluster has no databases: leave the path out")
        if self.topology == "sentinel" and not self.master:
            raise InvalidArgument("topology=sentinel: name what they watch by master=")
        if self.topology != "sentinel" and (
            self.master or self.sentinel_username or self.sentinel_password
        ):
            raise InvalidArgument(
                "master, sentinel_username, sentinel_password: for sentinels only"
            )
        if self.timeout <= timedelta(0):
            raise InvalidArgument("timeout has to be above 0")
        if self.tls is not None:
            self.tls.context()  # so that a wrong file is an error at once

    def __str__(self) -> str:
        shown = ",".join(f"{host}:{port}" for host, port in self._addresses())
        return f"{self.master} of {shown}" if self.master else shown

    def connect(self) -> Link:
        """A new client; it connects at its first command, and never tries twice."""
        settings = self._settings()
        login: dict[str, Any] = {"username": self.username, "password": self.password}
        addresses = self._addresses()
        if self.topology == "cluster":
            cluster = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in addresses],
                require_full_coverage=False,  # the servers decide about that
                max_connections=2**31,  # the transport limits them
                **login,
                **settings,
            )
            return Link(cluster, [cluster])
        if self.topology == "sentinel":
            sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's own
                addresses,
                sentinel_kwargs={
                    "username": self.sentinel_username,
                    "password": self.sentinel_password,
                    **settings,
                },
                db=self.database,
                **login,
                **settings,
            )
            client = sentinel.master_for(self.master or "")
            return Link(client, [client, *sentinel.sentinels])
        ((host, port),) = addresses
        client = Redis(host=host, port=port, db=self.database, **login, **settings)
        return Link(client, [client])

    def _addresses(self) -> Sequence[tuple[str, int]]:
        usual = _SENTINEL_PORT if self.topology == "sentinel" else _PORT
        return [(host, port or usual) for host, port in self.hosts]

    def _settings(self) -> dict[str, Any]:
        timeout = self.timeout.total_seconds()
        settings: dict[str, Any] = {
            "protocol": 2,  # every server has it, and nothing here needs more
            "retry": Retry(NoBackoff(), 0),  # duly decides about tries
            "socket_timeout": timeout,
            "socket_connect_timeout": min(timeout, _CONNECTING),
        }
        if self.tls is not None:
            settings |= {
                "ssl": True,
                "ssl_ca_certs": self.tls.ca,
                "ssl_certfile": self.tls.cert,
                "ssl_keyfile": self.tls.key,
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
            }
        return settings
