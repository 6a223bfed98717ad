"""Which brokers there are, and how a client logs in."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
from aiokafka.conn import create_conn

from duly.errors import InvalidArgument
from duly.tls import TLS
from duly.url import Host, as_hosts

__all__ = ["MECHANISMS", "Cluster", "address"]

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
"""The SASL mechanisms that need a user name and a password and nothing else."""

_PORT: Final = 9092
_OF_CONNECTIONS: Final = ("client_id", "sasl_", "security_protocol", "ssl_context")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def _some(hosts: str | Iterable[str | Host]) -> tuple[Host, ...]:
    found = as_hosts(hosts)
    if not found:
        raise InvalidArgument("name at least one broker, for example kafka://localhost:9092")
    return found


def _known(_: object, __: object, mechanism: str) -> None:
    if mechanism not in MECHANISMS:
        raise InvalidArgument(f"sasl_mechanism: {mechanism!r} is not {', '.join(MECHANISMS)}")


def address(host: str, port: int) -> str:
    """A host and its port, as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@attrs.frozen(kw_only=True)
class Cluster:
    """The brokers to ask for the cluster, the user, and whether the connection is encrypted.

    ``hosts`` are some of its brokers; a port that is None is 9092. With a ``username`` and a
    ``password`` SASL is used. ``more`` are arguments that all clients of aiokafka take; they
    override the others: a provider of OAuth tokens, say.

    Raises:
        InvalidArgument: no host, a mechanism of SASL that needs more than a password, or a user
            name or a password without the other.
    """

    hosts: tuple[Host, ...] = attrs.field(converter=_some)
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    mechanism: str = attrs.field(default="PLAIN", validator=_known)
    tls: TLS | None = None
    more: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)

    def __attrs_post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise InvalidArgument("SASL needs both, a user name and a password")

    def __str__(self) -> str:
        return f"kafka://{','.join(self._servers())}"

    def arguments(self) -> dict[str, Any]:
        """The arguments that clients of aiokafka take to connect.

        Raises:
            InvalidArgument: a file of TLS that is missing or holds something else.
        """
        return {"bootstrap_servers": self._servers(), **self._security(), **self.more}

    async def why_out_of_reach(self, patience: float) -> Exception | None:
        """Why no host can be connected to, by the most telling of their errors.

        aiokafka itself only says that it could not connect. None if one of them accepts us by now;
        ``patience`` in seconds for each request.
        """
        reason: Exception | None = None
        more = {name: self.more[name] for name in self.more if name.startswith(_OF_CONNECTIONS)}
        security = {
            **self._security(),
            **more,
            "request_timeout_ms": max(1, round(patience * 1000)),
        }
        for host, port in self.hosts:
            try:
                connection = await create_conn(host, port or _PORT, **security)
            except Exception as error:  # noqa: BLE001  # that error is what we look for
                if reason is None or isinstance(reason, OSError):  # another may say more
                    reason = error
            else:
                connection.close()
                return None
        return reason

    def _servers(self) -> list[str]:
        return [address(host, port or _PORT) for host, port in self.hosts]

    def _security(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        protocol = "PLAINTEXT" if self.tls is None else "SSL"
        if self.tls is not None:
            found["ssl_context"] = self.tls.context()
        if self.username is not None:
            protocol = "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL"
            found["sasl_mechanism"] = self.mechanism
            found["sasl_plain_username"] = self.username
            found["sasl_plain_password"] = self.password
        return {"security_protocol": protocol, **found}
