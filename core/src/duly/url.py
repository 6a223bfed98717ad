"""Store and transport URLs: hosts, options and the masking of secrets, once for all plugins."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote

import attrs

from duly._values.masking import mask
from duly._values.plain import shown, text_of, whole
from duly.errors import InvalidArgument

__all__ = [
    "URL",
    "Host",
    "as_hosts",
    "boolean",
    "expect",
    "mask",
    "number",
    "parse",
    "scheme_of",
    "seconds",
]

Host: TypeAlias = tuple[str, int | None]
"""A name or an address, and a port; None stands for the usual one."""

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_DIGITS: Final = 9  # of a port, zeros in front included
_HOST: Final = re.compile(
    r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^\[\]]*?))(?::(?P<port>[^:\[\]]*))?", re.DOTALL
)


@attrs.frozen(kw_only=True)
class URL:
    """A URL taken apart: ``scheme://username:password@host:port,host:port/path?option=value``.

    Hosts keep their order; a port that is not given is None. Username, password, path and options
    are decoded from percent signs. ``str()`` and ``repr()`` never show the password.
    """

    scheme: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    hosts: tuple[Host, ...] = ()
    path: str = ""
    options: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    text: str = attrs.field(default="", repr=False)

    def __str__(self) -> str:
        return mask(self.text)

    def take_options(self, **known: Callable[[str], Any]) -> dict[str, Any]:
        """The options given, each converted by the function of its name.

        Such as :func:`number`, :func:`seconds` and :func:`boolean`, for which ``bool`` may stand.

        Raises:
            InvalidArgument: an option that is not among the known, which are listed, or a value
                that its function refuses with ValueError.
        """
        taken = {}
        for name, value in self.options.items():
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise InvalidArgument(f"{self}: unknown option {name!r}; known: {listed}")
            try:
                convert = boolean if known[name] is bool else known[name]  # bool("false") is true
                taken[name] = convert(value)
            except ValueError as error:
                raise InvalidArgument(f"{self}: option {name}: {error}") from None
        return taken


def scheme_of(text: object) -> str:
    """The scheme of a URL, in lower case.

    Raises:
        InvalidArgument: not text, or text without a scheme.
    """
    if not isinstance(text, str):
        raise InvalidArgument(f"a URL is text, not {type(text).__name__}")
    match = _SCHEME.match(text)
    if match is None:
        shown = "this text" if "@" in text else repr(mask(text))
        raise InvalidArgument(f"{shown} is not a URL: it starts with no scheme such as memory://")
    return match[1].lower()


def parse(text: str) -> URL:
    """A URL taken apart.

    Raises:
        InvalidArgument: no URL, one without slashes behind the scheme, a port that is no number,
            or an option given twice.
    """
    scheme = scheme_of(text)
    if not text.startswith("//", len(scheme) + 1):
        shown = "this text" if "@" in text else repr(mask(text))
        raise InvalidArgument(f"{shown} lacks slashes: a URL starts with {scheme}://")
    if "#" in text:  # what follows would be a fragment, and lost
        raise InvalidArgument(f"{mask(text)!r} has a fragment: write a # as %23")
    # Taken apart here: urlsplit() knows of one host, and of late refuses brackets behind another.
    rest, _, query = text[len(scheme) + 3 :].partition("?")
    authority, slash, path = rest.partition("/")
    credentials, _, location = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:  # its text may quote the password
        raise InvalidArgument(
            f"{mask(text)!r} is not a URL: encode what is special in its parts with percent signs"
        ) from None
    options = dict(pairs)
    if len(options) != len(pairs):
        raise InvalidArgument(f"{mask(text)!r} gives an option twice")
    return URL(
        scheme=scheme,
        username=unquote(username) or None,
        password=unquote(password) or None,
        hosts=tuple(_host(host, text) for host in location.split(",") if host),
        path=unquote(slash + path),
        options=options,
        text=text,
    )


def _host(text: str, url: str) -> Host:
    match = _HOST.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"{mask(url)!r}: an IPv6 address stands in brackets, as in [::1]:80")
    name, port = match["address"] or match["name"], match["port"]
    if port is None:
        return name, None
    if not port.isdecimal() or len(port) > _DIGITS or not 0 < int(port) < 65536:
        raise InvalidArgument(
            f"{mask(url)!r}: a port is a number from 1 to 65535; in a user name or password encode "
            "/ ? # @ : with percent signs"
        )
    return name, int(port)


def as_hosts(values: str | Iterable[str | Host]) -> tuple[Host, ...]:
    """Hosts that were given by hand, each a pair or a text such as ``broker-1:9092``.

    Raises:
        InvalidArgument: anything else.
    """
    values = [values] if isinstance(values, str) else values
    try:
        listed = list(values)
    except Exception as error:  # it is none, or fails
        raise InvalidArgument(f"hosts are texts or pairs, not {shown(values)}") from error
    return tuple(_given_host(each) for each in listed)


def _given_host(value: object) -> Host:
    text = text_of(value)
    if text is not None:
        is_address = text.count(":") > 1 and not text.startswith("[")  # of IPv6
        return (text, None) if is_address else _host(text, text)
    match value:
        case (given, None) if (name := text_of(given)) is not None:
            return name, None
        case (given, number) if (name := text_of(given)) is not None:
            port = whole(number)
            if port is not None and 0 < port < 65536:
                return name, port
    raise InvalidArgument(
        f"a host is text, or a pair of a name and a port or None, not {shown(value)}"
    )


def expect(value: object, *kinds: type, taker: str) -> None:
    """See that a store or transport made by hand is made of the right thing, and not of a URL.

    Raises:
        InvalidArgument: it is of another kind than those.
    """
    if not isinstance(value, kinds):
        named = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidArgument(
            f"{taker} is made of a {named}, not of a {type(value).__name__}; "
            "a URL is given to the client or the scheduler itself"
        )


def boolean(text: str) -> bool:
    """``true`` or ``false``, for :meth:`URL.take_options`.

    Raises:
        ValueError: anything else.
    """
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def number(text: str) -> int:
    """A whole number from 0, for :meth:`URL.take_options`.

    Raises:
        ValueError: anything else.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def seconds(text: str) -> timedelta:
    """Seconds from 0, fractions allowed, for :meth:`URL.take_options`.

    Raises:
        ValueError: anything else.
    """
    try:
        value = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a number of seconds") from None
    if value < timedelta(0):
        raise ValueError(f"{text!r} is negative")
    return value
