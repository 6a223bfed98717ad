"""How a client logs in: user and password, a token, or files with keys."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import nkeys
from nats.aio.client import RawCredentials

from duly.errors import InvalidArgument

__all__ = ["NOBODY", "Login"]

_CREDENTIALS: Final = re.compile(
    r"-BEGIN NATS USER JWT-+\s+\S+\s.*-BEGIN USER NKEY SEED-+\s+\S+\s", re.DOTALL
)


@attrs.frozen(kw_only=True)
class Login:
    """Who connects: at most one of user with password, token, ``creds_file``, ``nkey_file``.

    ``creds_file`` is what ``nsc`` writes, with a JWT and a seed; ``nkey_file`` holds a seed alone.
    Both are read at each connection, so that they may be renewed.

    Raises:
        InvalidArgument: more than one of them, a password without a user, or no such file.
    """

    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    creds_file: str | None = None
    nkey_file: str | None = None

    def __attrs_post_init__(self) -> None:
        ways = (self.user or self.password, self.token, self.creds_file, self.nkey_file)
        if sum(way is not None for way in ways) > 1:
            raise InvalidArgument(
                "give one of: user and password, token, creds_file, nkey_file; not several"
            )
        if (self.user is None) != (self.password is None):
            raise InvalidArgument("a user needs a password, and a password a user")
        for option in ("creds_file", "nkey_file"):
            file = getattr(self, option)
            if file is not None and not Path(file).is_file():
                raise InvalidArgument(f"{option}: there is no file {file}")

    def options(self, check: Callable[[], None]) -> dict[str, Any]:
        """The client library's arguments; ``check`` is called before a password is handed over.

        Raises:
            InvalidArgument: a file that is gone, or that holds something else.
        """

        def secret(text: str | None) -> Callable[[], str | None] | None:
            def tell() -> str | None:
                check()
                return text

            return None if text is None else tell

        return {
            "user": self.user,
            "password": secret(self.password),
            "token": secret(self.token),
            "user_credentials": _credentials(self.creds_file),
            "nkeys_seed_str": _seed(self.nkey_file),
        }


NOBODY: Final = Login()


def _credentials(file: str | None) -> RawCredentials | None:
    """The contents of a credentials file, checked: the library might search it without end."""
    if file is None:
        return None
    text = _read("creds_file", file)
    if not _CREDENTIALS.search(text):
        raise InvalidArgument(f"creds_file: {file} holds no JWT with a seed")
    return RawCredentials(text)


def _seed(file: str | None) -> str | None:
    if file is None:
        return None
    text = _read("nkey_file", file).strip()
    try:
        nkeys.from_seed(bytearray(text.encode())).wipe()
    except (nkeys.NkeysError, ValueError):
        raise InvalidArgument(f"nkey_file: {file} holds no seed") from None
    return text


def _read(option: str, file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{option}: {file} cannot be read: {error}") from None
