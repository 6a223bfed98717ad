"""One look at a page, or one form sent: who, in which time zone, and what a page is made of."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode
from zoneinfo import ZoneInfo

import attrs
import msgspec
from starlette.requests import Request

from duly import Client
from duly_web.endpoints import Call, Endpoint
from duly_web.filters import ManyQuery
from duly_web.pages.snapshot import Snapshot
from duly_web.pages.words import Words, local
from duly_web.problems import Problem
from duly_web.refs import id_of
from duly_web.users import User

if TYPE_CHECKING:
    from duly_web.pages.site import Site

__all__ = ["MOMENTS", "Done", "Page", "Shown", "Visit", "fields_of"]

MOMENTS: Final = ("before", "after", "due_before", "due_after", "died_before", "died_after")
_FIELDS: Final = ManyQuery.__struct_fields__
_META: Final = "meta."
_MOST_FIELDS: Final = 20_000


@attrs.frozen
class Shown:
    """A page to show: a template, and what it is filled with."""

    template: str
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    status: int = 200


@attrs.frozen
class Done:
    """An act is done: which page is looked at next, by its path from the root of all pages."""

    place: str
    zone: str | None = None
    """The time zone that somebody has chosen."""


@attrs.define(eq=False)
class Visit:
    """What a page is given."""

    site: "Site"
    request: Request
    user: User
    zone: ZoneInfo
    base: str
    """What leads from here to the root of all pages: "./" or "../"."""
    form: Sequence[tuple[str, str]] = ()
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))

    _seen: Snapshot | None = None

    async def snapshot(self) -> Snapshot:
        """How all stands: the same for all of one page."""
        if self._seen is None:
            self._seen = await self.site.recent.snapshot()
        return self._seen

    @property
    def client(self) -> Client:
        """Whose store it is about."""
        return self.site.service.client

    @property
    def words(self) -> Words:
        """How moments are told."""
        return Words(self.zone, self.now)

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the URL, empty ones left out."""
        return {name: value for name, value in self.request.query_params.items() if value}

    def said(self, name: str) -> str:
        """A field of the form; empty where it is not there."""
        return next((value.strip() for key, value in self.form if key == name), "")

    def all_said(self, name: str) -> list[str]:
        """All fields of that name."""
        return [value for key, value in self.form if key == name]

    def may(self, right: str) -> bool:
        """Whether this user has that right."""
        return right in self.user.rights

    def needs(self, right: str) -> None:
        """Refuse who has not that right.

        Raises:
            Problem: this user has not.
        """
        self.call().may(right)

    @property
    def hides_errors(self) -> bool:
        """Whether texts of errors are not for this user."""
        return self.site.service.redact is not None and not self.may("payload")

    def call(self, *, ref: str | None = None, **more: Any) -> Call:
        """The same as a request to the API; ``ref`` as it would stand in the path."""
        scope = {**self.request.scope}
        scope["headers"] = [each for each in scope["headers"] if not each[0].startswith(b"if-")]
        if ref is not None:
            scope["path_params"] = {"ref": ref, "id": ref}
        return Call(service=self.site.service, request=Request(scope), user=self.user, **more)

    async def ask(self, endpoint: Endpoint, **more: Any) -> Any:
        """The document with which a resource of the API answers this user.

        Raises:
            Problem: it is refused.
            DulyError: it cannot be told.
        """
        call = self.call(**more)
        call.may(endpoint.right)
        return (await endpoint.handler(call)).document

    @property
    def id(self) -> str:
        """The id in the path."""
        return id_of(self.request.path_params["ref"])

    def filters(self, said: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The words of a filter in parameters or fields, moments made exact; and metadata.

        Raises:
            Problem: a moment that is none.
        """
        words = {name: said[name] for name in _FIELDS if said.get(name)}
        for name in MOMENTS:
            if name in words:
                at = local(words[name], self.zone, f"/{name}")
                words[name] = f"{at:%Y-%m-%dT%H:%M:%S.%fZ}".rjust(27, "0")
        metadata = {
            name.removeprefix(_META): value
            for name, value in said.items()
            if name.startswith(_META) and name != _META and value
        }
        return words, metadata

    def many(self, said: Mapping[str, str], kind: Any = ManyQuery, **more: Any) -> Any:
        """A query of the API, of a kind that asks for many, and its metadata.

        Raises:
            Problem: a word of it can never work.
        """
        words, metadata = self.filters(said)
        if not self.user.everywhere and self.user.events:
            words.setdefault("event_name", self.user.events[0])  # one of several has to be said
        try:
            return msgspec.convert({**words, **more}, kind, strict=False), metadata
        except msgspec.ValidationError as error:
            raise Problem(422, "InvalidArgument", str(error)) from None

    def link(self, place: str, said: Mapping[str, str | None] | None = None, **more: Any) -> str:
        """A relative URL of a page, with parameters."""
        given = {**(said or {}), **more}
        query = urlencode({name: str(value) for name, value in given.items() if value})
        return f"{self.base}{place}{'?' if query else ''}{query}"

    @property
    def here(self) -> str:
        """This page, by its path from the root of all pages."""
        path = self.request.scope["path"].removeprefix(self.request.scope["root_path"])
        query = self.request.scope["query_string"].decode("latin-1")
        return f"{quote(path.lstrip('/'))}{'?' if query else ''}{query}"


Page = Callable[[Visit], Awaitable[Shown | Done]]
"""Answers one look at a page, or does what one form says."""


def fields_of(content: bytes) -> Sequence[tuple[str, str]]:
    """What a form has sent.

    Raises:
        Problem: it is no form, or far too long.
    """
    try:
        return parse_qsl(
            content.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=_MOST_FIELDS,
        )  # fmt: skip
    except ValueError as error:
        raise Problem(422, "InvalidArgument", f"the form cannot be read: {error}") from None
