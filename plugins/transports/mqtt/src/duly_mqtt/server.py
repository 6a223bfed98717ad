"""Where a broker is, and how to talk to it."""

from datetime import timedelta
from typing import Final

import attrs

from duly.errors import InvalidArgument
from duly.tls import TLS
from duly.url import Host, as_hosts
from duly_mqtt.packets import Version

__all__ = ["Broker", "check_seconds", "shown"]

_PORT: Final = 1883
_PORT_OF_TLS: Final = 8883
_VERSIONS: Final[tuple[Version | None, ...]] = (None, "5", "3.1.1")


@attrs.frozen(kw_only=True)
class Broker:
    """A broker, or several hosts of one, of which the first that answers is taken.

    ``version`` None is MQTT 5, and 3.1.1 with a broker that refuses 5. ``client_id`` None is a
    random one; each client of a broker needs its own. A broker that was silent for half of
    ``keepalive`` is asked whether it is there, after three halves the connection is given up; 0 is
    never.
    ``session`` is how long the broker keeps messages in flight when the connection is lost, with
    MQTT 5: 0 is not at all. ``inflight`` is how many messages may wait for their acknowledgement
    at the same time, fewer if the broker says so. ``timeout`` is how long a connection may
    take to be made. Ports that are None are 1883, and 8883 with TLS.

    Raises:
        InvalidArgument: no host, or a value that MQTT does not allow.
    """

    hosts: tuple[Host, ...] = attrs.field(default=(("localhost", None),), converter=as_hosts)
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    client_id: str | None = None
    version: Version | None = None
    keepalive: timedelta = timedelta(seconds=10)
    session: timedelta = timedelta(0)
    inflight: int = 1000
    timeout: timedelta = timedelta(seconds=10)
    tls: TLS | None = None

    def __attrs_post_init__(self) -> None:
        if not self.hosts or not all(host for host, _ in self.hosts):
            raise InvalidArgument("a broker needs a host, such as localhost")
        if self.version not in _VERSIONS:
            raise InvalidArgument(f"version: it is 5 or 3.1.1, not {self.version!r}")
        if not 0 < self.inflight < 2**16:
            raise InvalidArgument("inflight: it is from 1 to 65535")
        if self.timeout <= timedelta(0):
            raise InvalidArgument("timeout: it has to be above 0")
        check_seconds("keepalive", self.keepalive, bits=16)
        check_seconds("session", self.session, bits=32)
        if self.session and self.version == "3.1.1":
            raise InvalidArgument("session: it takes MQTT 5")
        for name in ("client_id", "username", "password"):
            _check_text(name, getattr(self, name))
        if self.client_id == "":
            raise InvalidArgument("client_id: it is empty; leave it out for a random one")

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports in the order in which they are tried."""
        standard = _PORT if self.tls is None else _PORT_OF_TLS
        return tuple((host, port or standard) for host, port in self.hosts)

    def __str__(self) -> str:
        scheme = "mqtt" if self.tls is None else "mqtts"
        return f"{scheme}://" + ",".join(shown(*place) for place in self.places)


def shown(host: str, port: int) -> str:
    """A host and a port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_seconds(name: str, value: timedelta, *, bits: int) -> None:
    """Check that a time can be told in whole seconds and so many bits.

    Raises:
        InvalidArgument: it cannot.
    """
    if value % timedelta(seconds=1) or not 0 <= value.total_seconds() < 2**bits:
        raise InvalidArgument(f"{name}: whole seconds from 0 to {2**bits - 1}")


def _check_text(name: str, text: str | None) -> None:
    try:
        wrong = text is not None and ("\0" in text or len(text.encode()) >= 2**16)
    except UnicodeEncodeError:  # its text would quote a password
        wrong = True
    if wrong:
        raise InvalidArgument(f"{name}: at most 65535 bytes of UTF-8, and no NUL")
