"""Turns a user and a password in a URL into a header."""

import base64
from urllib.parse import unquote_to_bytes, urlsplit

from duly.errors import InvalidArgument
from duly.url import mask

__all__ = ["login_taken"]


def login_taken(place: str) -> tuple[str, str | None]:
    """The URL without them, and Basic authorization (RFC 7617) with their bytes.

    The bytes are UTF-8, which servers expect today, unless the URL itself has other bytes encoded.

    Raises:
        InvalidArgument: a user with a colon, which Basic cannot express.
    """
    if "@" not in place:
        return place, None
    parts = urlsplit(place)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return place, None
    bare = parts._replace(netloc=host).geturl()
    if not login.strip(":"):
        return bare, None
    user, _, password = login.partition(":")
    if b":" in (name := unquote_to_bytes(user)):
        raise InvalidArgument(f"{mask(place)!r}: a user cannot hold a colon")
    told = base64.b64encode(name + b":" + unquote_to_bytes(password))
    return bare, f"Basic {told.decode()}"
