"""What a store may be able to do beyond its contract; seen by all as parts of :mod:`duly.store`."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from duly._values.store import Batch, Settle
from duly.message import Filter, Message

__all__ = [
    "Answered",
    "NamesTransactions",
    "SupportsAnyLoop",
    "SupportsClaimingAhead",
    "SupportsHealth",
    "SupportsListingWithoutPayloads",
    "SupportsMigration",
    "SupportsPeeking",
    "SupportsTimeLimit",
    "SupportsTransactions",
    "SupportsWakeups",
]


@runtime_checkable
class SupportsAnyLoop(Protocol):
    """A store that may be called on any event loop, and on several at a time.

    Any other is used on the one that it was opened on. :mod:`duly.sync` needs it for ``within=``.
    """

    any_loop: bool
    """True, of the class."""


@runtime_checkable
class SupportsWakeups(Protocol):
    """A store that can tell that something came in which may be due earlier than expected."""

    async def wait_for_change(self) -> None:
        """Return when something was stored or moved since the last call; it may return too often.

        A change that happens between two calls is not missed; of several who wait, all are told.
        Cancelled when no longer needed.
        """


Answered = Callable[[int, int, bool], Awaitable[None]]
"""Told how many messages a claim has brought, how many bytes they have, and if more are due.

The bytes of the payloads count; what is beside them may be left out or not.
"""


@runtime_checkable
class SupportsClaimingAhead(Protocol):
    """A store that needs a while to make messages of what its server has answered.

    It tells when the answer is there, so that the server works at the next claim meanwhile.
    """

    claims_ahead: bool
    """True, of the class: what merely stands before such a store may know no ``answered``."""

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        answered: Answered | None = None,
    ) -> Batch:
        """As :meth:`Store.claim`.

        ``answered`` is awaited when the server has done its part. It may be left out, where a
        claim takes more than one step, and is where an outcome is None: what is settled with the
        next claim would overtake it.
        """


@runtime_checkable
class SupportsPeeking(Protocol):
    """A store that can cheaply be asked, every ``poll_interval``, whether a claim is worth it."""

    async def changed(self) -> bool:
        """Whether another process may have changed the store since the last call."""


@runtime_checkable
class SupportsTimeLimit(Protocol):
    """A store whose server can be told to give up by itself what nobody waits for any more."""

    time_limit: timedelta | None
    """For how long its callers wait for an answer: the shortest ``store_timeout`` of all clients.

    None until one has told. Set before :meth:`Store.open`, and again by each client that joins.
    """


@runtime_checkable
class SupportsTransactions(Protocol):
    """A store whose caller's verbs can act inside the caller's own transaction.

    Looking is one of them: :meth:`get` and :meth:`list` are given ``within`` where the caller gives
    it, and then show what that transaction sees, its own changes among it. They change nothing,
    and refuse what the other verbs refuse.
    """

    def accepts(self, within: object) -> bool:
        """Whether ``within`` is a transaction, session or connection of the kind it can use."""

    async def get(self, id: str, *, within: Any = None) -> Message | None:
        """As :meth:`Store.get`, in the caller's own transaction."""

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        within: Any = None,
    ) -> Sequence[Message]:
        """As :meth:`Store.list`, in the caller's own transaction."""


@runtime_checkable
class NamesTransactions(Protocol):
    """A store that says what ``within`` may be, for the error where it is something else."""

    @property
    def transactions(self) -> str:
        """Such as ``"a connection of the sqlite3 module"``."""


@runtime_checkable
class SupportsMigration(Protocol):
    """A store with a schema."""

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The statements that bring the schema up to date; run, unless ``dry_run``."""


@runtime_checkable
class SupportsListingWithoutPayloads(Protocol):
    """A store that can list messages without having their payloads sent.

    Any other is asked for all of it.
    """

    lists_without_payloads: bool
    """True, of the class: what merely stands before such a store may know no ``payload``."""

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
    ) -> Sequence[Message]:
        """As :meth:`Store.list`; unless ``payload``, each has an empty one in place of its own.

        What cannot be read is listed as ever, but for its raw bytes.
        """


@runtime_checkable
class SupportsHealth(Protocol):
    """A store or transport that knows of trouble which does not stop it yet."""

    async def check(self) -> Sequence[str]:
        """The reasons to call it degraded, one sentence each; none when all is well."""
