"""The broker's address and the login: what a connection needs."""

import ssl
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal, TypeAlias

import attrs
from yarl import URL

from duly.errors import InvalidArgument
from duly.tls import TLS
from duly.url import Host, as_hosts

__all__ = ["Auth", "Server"]

Auth: TypeAlias = Literal["plain", "external"]

_PORT, _TLS_PORT = 5672, 5671
_LONGEST_HEARTBEAT: Final = timedelta(seconds=65534)  # what the protocol has room for


@attrs.frozen(kw_only=True)
class Server:
    """The nodes of one broker, tried in turn, and how to log in.

    A port that is None is 5672, or 5671 with TLS. ``auth`` is ``"plain"`` (user and password, by
    default guest and guest, which RabbitMQ accepts from its own host only) or ``"external"`` (the
    certificate in ``tls`` identifies the user). ``heartbeat`` is how often both sides send a sign
    of life, in whole seconds; a broker that is silent for three of them is given up. 0 turns it
    off.

    Raises:
        InvalidArgument: no host, a user without a password or the other way round, external
            without a certificate, or a heartbeat out of range.
    """

    hosts: Sequence[Host] = attrs.field(default=(("localhost", None),), converter=as_hosts)
    virtual_host: str = "/"
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    auth: Auth = "plain"
    heartbeat: timedelta = timedelta(seconds=10)
    tls: TLS | None = None

    def __attrs_post_init__(self) -> None:
        if not self.hosts or not all(host for host, _ in self.hosts):
            raise InvalidArgument("a broker needs a host")
        if self.auth not in ("plain", "external"):
            raise InvalidArgument(f"auth: it is plain or external, not {self.auth!r}")
        if (self.username is None) != (self.password is None):
            raise InvalidArgument("a user and a password are given together, or neither")
        if self.auth == "external" and (self.tls is None or self.tls.cert is None):
            raise InvalidArgument("auth=external: it needs TLS with a certificate (tls_cert)")
        if self.auth == "external" and self.username is not None:
            raise InvalidArgument("auth=external: the certificate says who it is; give no user")
        beat = self.heartbeat
        if beat % timedelta(seconds=1) or not timedelta(0) <= beat <= _LONGEST_HEARTBEAT:
            raise InvalidArgument("heartbeat: whole seconds from 0 to 65534")

    def __str__(self) -> str:
        """The broker's URL for people, without a password."""
        scheme, standard = self._scheme
        hosts = ",".join(f"{_bracketed(host)}:{port or standard}" for host, port in self.hosts)
        return f"{scheme}://{hosts}/{'' if self.virtual_host == '/' else self.virtual_host}"

    def urls(self) -> Sequence[URL]:
        """A URL for each node, as the driver wants it; they hold the password."""
        scheme, standard = self._scheme
        return [
            URL.build(
                scheme=scheme,
                user=self.username,
                password=self.password,
                host=host,
                port=port or standard,
                path=f"/{self.virtual_host}",
                query={
                    "auth": self.auth,
                    "heartbeat": str(int(self.heartbeat.total_seconds())),
                    "name": "duly",
                },
            )
            for host, port in self.hosts
        ]

    def context(self) -> ssl.SSLContext | None:
        """The TLS context; None without TLS.

        Raises:
            InvalidArgument: a file that is missing, or that holds something else.
        """
        return None if self.tls is None else self.tls.context()

    @property
    def _scheme(self) -> tuple[str, int]:
        return ("amqp", _PORT) if self.tls is None else ("amqps", _TLS_PORT)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
