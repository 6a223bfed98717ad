"""What a store may be able to do beyond its contract; seen by all as parts of :mod:`duly.store`."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from duly._store_values import Batch, Settle

__all__ = [
    "Answered",
    "NamesTransactions",
    "SupportsAnyLoop",
    "SupportsClaimingAhead",
    "SupportsHealth",
    "SupportsMigration",
    "SupportsPeeking",
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


Answered = Callable[[int, bool], Awaitable[None]]
"""Told how many messages a claim has brought, and whether more are due."""


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
        claim takes more than one step.
        """


@runtime_checkable
class SupportsPeeking(Protocol):
    """A store that can cheaply be asked, every ``poll_interval``, whether a claim is worth it."""

    async def changed(self) -> bool:
        """Whether another process may have changed the store since the last call."""


@runtime_checkable
class SupportsTransactions(Protocol):
    """A store whose caller's verbs can act inside the caller's own transaction."""

    def accepts(self, within: object) -> bool:
        """Whether ``within`` is a transaction, session or connection of the kind it can use."""


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
class SupportsHealth(Protocol):
    """A store or transport that knows of trouble which does not stop it yet."""

    async def check(self) -> Sequence[str]:
        """The reasons to call it degraded, one sentence each; none when all is well."""
