"""Ids in paths: a path never holds what could mean something else there."""

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

from duly_web.problems import Problem

__all__ = ["id_of", "ref_of", "see_slashes"]

_PLAIN: Final = re.compile(r"[A-Za-z0-9._:@-]+")


def ref_of(id: str) -> str:
    """The id itself where that is plain, else ``~`` and its base64url."""
    if _PLAIN.fullmatch(id) and id not in (".", ".."):
        return id
    return f"~{base64.urlsafe_b64encode(id.encode()).decode().rstrip('=')}"


def id_of(ref: str) -> str:
    """The id that a reference stands for.

    Raises:
        Problem: it stands for none.
    """
    if _PLAIN.fullmatch(ref) and ref not in (".", ".."):
        return ref
    said = ref.removeprefix("~")
    try:
        if ref.startswith("~") and said:
            padded = said + "=" * (-len(said) % 4)
            return base64.b64decode(padded, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        pass
    raise Problem(
        422,
        "InvalidArgument",
        "the path has no reference: it is the id where that is letters, digits and . _ : @ - only, "
        "else ~ and its base64url; a message tells its own as ref",
        pointer="/ref",
    )


def see_slashes(scope: Scope) -> None:
    """Refuse a path that hides a ``/`` in ``%2F``: ``tenant%2Ffire`` is not to fire ``tenant``.

    Raises:
        Problem: it does; the text tells the reference to use.
    """
    parts = scope.get("raw_path", b"").decode("latin-1").partition("/v1/")[2].split("/")
    hidden = next((each for each in parts if "%2f" in each.lower()), None)
    if hidden is not None:
        id = unquote(hidden, errors="replace")
        raise Problem(
            404,
            "NotFound",
            f"there is nothing here: a path holds no %2F. Where {id!r} is an id or a name, write "
            f"its ref: {ref_of(id)}",
        )
