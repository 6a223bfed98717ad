"""Ways to say who asks that need nothing of the host: tokens, and a proxy in front."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

from duly import InvalidArgument
from duly_web.problems import Problem
from duly_web.tries import Tries
from duly_web.users import User

__all__ = ["Proxy", "Tokens", "new_token"]

_SHORTEST: Final = 20  # characters of a token
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
_KEYS: Final = {"token_sha256", "rights", "events"}


def new_token() -> tuple[str, str]:
    """A token for somebody, and what to keep of it: ``sha256:`` and its digest."""
    token = secrets.token_urlsafe(32)
    return token, f"sha256:{_digest(token)}"


class Tokens:
    """Users by their tokens: ``Authorization: Bearer``, and on pages Basic with it as password.

    ``users`` has tokens of at least 20 characters, or ``sha256:`` and the hexadecimal digest of
    one, and whose each is. Of a token only the digest is kept. Compared is in constant time, all of
    them each time. After ten wrong ones within a minute from one address nothing more is tried from
    there for a while.

    Raises:
        InvalidArgument: no users, a token that is too short, a user that is none.
    """

    def __init__(self, users: Mapping[str, User], *, tries: Tries | None = None) -> None:
        if not users:
            raise InvalidArgument("Tokens needs users: {token: User('mara', rights=['read'])}")
        self._users = {_kept(token): _checked(user) for token, user in users.items()}
        self._tries = Tries() if tries is None else tries

    @classmethod
    def read(cls, path: str | Path) -> "Tokens":
        """Those of a TOML file: a table for each user: ``token_sha256``, ``rights``, ``events``.

        Raises:
            InvalidArgument: it cannot be read, or says something else; the text holds no token.
        """
        try:
            said = tomllib.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise InvalidArgument(f"the file of tokens cannot be read: {error}") from error
        users: dict[str, User] = {}
        for name, table in said.items():
            if not isinstance(table, dict) or table.keys() - _KEYS or "token_sha256" not in table:
                raise InvalidArgument(
                    f"{path}: a user is a table with token_sha256, rights and events: [{name}]"
                )
            digest = f"sha256:{str(table['token_sha256']).removeprefix('sha256:')}"
            if digest in users:
                raise InvalidArgument(f"{path}: {name} has the token of {users[digest].name}")
            more: dict[str, Any] = {key: table[key] for key in ("events",) if key in table}
            users[digest] = User(name, table.get("rights", ["read"]), **more)
        return cls(users)

    def __call__(self, request: Request) -> User | None:
        """Whose token it is; None without one.

        Raises:
            Problem: a wrong one, or too many wrong ones lately.
        """
        address = "" if request.client is None else request.client.host
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        left = self._tries.left(address)
        if left > 0:
            raise Problem(
                429, "TooManyTries", "too many wrong tokens came from this address: wait",
                headers={"Retry-After": str(int(left) + 1)},
            )  # fmt: skip
        name, token = _said(scheme.lower(), said.strip(), basic=not request.scope["duly_web.api"])
        user = self._found(token)
        if user is None or name not in (None, user.name):
            self._tries.wrong(address)
            return None
        return user

    def _found(self, token: str) -> User | None:
        digest, found = _digest(token), None
        for kept, user in self._users.items():
            if hmac.compare_digest(kept, digest):
                found = user
        return found


class Proxy:
    """The user whom a proxy in front names in a header, once it has let them in.

    ``users`` says who they are; without it each has these ``rights``. **Whoever reaches this
    service past the proxy can be anybody**: let it listen where only the proxy comes, and let the
    proxy take that header off what others send.

    Raises:
        InvalidArgument: the header is no name of one.
    """

    def __init__(
        self,
        header: str,
        users: Mapping[str, User] | None = None,
        *,
        rights: tuple[str, ...] = ("read",),
    ) -> None:
        if not _HEADER.fullmatch(header):
            raise InvalidArgument(f"header must be its name, as X-Forwarded-User, not {header!r}")
        self._header = header
        self._users = None if users is None else {**users}
        self._rights = User("anybody", rights).rights

    def __call__(self, request: Request) -> User | None:
        """Who was named; None when nobody was, or several, or somebody who is not known."""
        named = request.headers.getlist(self._header)
        name = named[0].strip() if len(named) == 1 else ""
        if not name:
            return None
        if self._users is not None:
            return self._users.get(name)
        try:
            return User(name, self._rights)
        except InvalidArgument:
            return None


def _said(scheme: str, said: str, *, basic: bool) -> tuple[str | None, str]:
    """A name, where one was given, and the token."""
    if scheme == "bearer":
        return None, said
    if scheme == "basic" and basic:
        try:
            name, _, token = base64.b64decode(said, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None, ""
        return name, token
    return None, ""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _kept(token: object) -> str:
    if isinstance(token, str):
        found = _DIGEST.fullmatch(token)
        if found is not None:
            return found[1]
        if len(token) >= _SHORTEST and not token.startswith("sha256:"):
            return _digest(token)
    raise InvalidArgument(
        f"a token has at least {_SHORTEST} characters, or is sha256: and 64 hexadecimal digits; "
        "duly_web.new_token() makes one"
    )


def _checked(user: object) -> User:
    if not isinstance(user, User):
        raise InvalidArgument(f"Tokens maps tokens to users, not to {type(user).__name__}")
    return user
