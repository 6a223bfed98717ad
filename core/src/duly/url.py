"""Store and transport URLs: hosts, options and the masking of secrets, once for all plugins."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from duly.errors import InvalidArgument

__all__ = ["URL", "boolean", "mask", "number", "parse", "scheme_of", "seconds"]

_CREDENTIALS: Final = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s'\"<>]*)@", re.I)
_SECRET_OPTION: Final = re.compile(
    r"(?P<name>[?&;\s](?:[a-z_]*(?:password|secret|token|passwd|api_?key|signature))=)[^&\s'\"#]+",
    re.I,
)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)


def mask(text: str) -> str:
    """The text with the passwords and secret options of every URL in it replaced by ``***``."""

    def hide(match: re.Match[str]) -> str:
        user, colon, _ = match["user"].partition(":")
        return f"{match['scheme']}{user if colon else '***'}{':***' if colon else ''}@"

    return _SECRET_OPTION.sub(r"\g<name>***", _CREDENTIALS.sub(hide, text))


@attrs.frozen(kw_only=True)
class URL:
    """A URL taken apart: ``scheme://username:password@host:port,host:port/path?option=value``.

    Hosts keep their order; a port that is not given is None. Username, password, path and options
    are decoded from percent signs. ``str()`` and ``repr()`` never show the password.
    """

    scheme: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
    path: str = ""
    options: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    text: str = attrs.field(default="", repr=False)

    def __str__(self) -> str:
        return mask(self.text)

    def take_options(self, **known: Callable[[str], Any]) -> dict[str, Any]:
        """The options given, each converted by the function of its name.

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
                taken[name] = known[name](value)
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
        raise InvalidArgument(f"{mask(text)!r} is not a URL: it starts with no scheme such as memory://")
    return match[1].lower()


def parse(text: str) -> URL:
    """A URL taken apart.

    Raises:
        InvalidArgument: no URL, a port that is no number, or an option given twice.
    """
    scheme = scheme_of(text)
    try:
        parts = urlsplit(text)
        credentials, _, location = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InvalidArgument(f"{mask(text)!r} is not a URL: {error}") from None
    options = dict(pairs)
    if len(options) != len(pairs):
        raise InvalidArgument(f"{mask(text)!r} gives an option twice")
    return URL(
        scheme=scheme,
        username=unquote(username) or None,
        password=unquote(password) or None,
        hosts=tuple(_host(host, text) for host in location.split(",") if host),
        path=unquote(parts.path),
        options=options,
        text=text,
    )


def _host(text: str, url: str) -> tuple[str, int | None]:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):  # a bare IPv6 address stands in brackets
        return text.strip("[]"), None
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidArgument(f"{mask(url)!r}: {port!r} is not a port")
    return name.strip("[]"), int(port)


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
