"""What a store may be able to do beyond its contract; imported from :mod:`duly.store`."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from duly._values.series import Declared, Ensured
from duly._values.store import Batch, Settle, Whereabouts
from duly.message import Filter, Message, State

__all__ = [
    "Answered",
    "NamesTransactions",
    "OnOneHost",
    "SupportsAnyLoop",
    "SupportsClaimingAhead",
    "SupportsEnsure",
    "SupportsHealth",
    "SupportsListingWithoutPayloads",
    "SupportsMigration",
    "SupportsMovingTime",
    "SupportsPeeking",
    "SupportsTimeLimit",
    "SupportsTransactions",
    "SupportsWakeups",
    "SupportsWhere",
]


@runtime_checkable
class SupportsAnyLoop(Protocol):
    """A store that may be called on any event loop, and on several at a time.

    Any other store is used only on the loop that it was opened on. :mod:`duly.sync` needs this
    ability for ``within=``.
    """

    any_loop: bool
    """True, of the class."""


@runtime_checkable
class SupportsWakeups(Protocol):
    """A store that can tell that something came in which may be due earlier than expected."""

    async def wait_for_change(self) -> None:
        """Return when something was stored or moved since the last call; it may return too often.

        A change that happens between two calls is not missed; if several wait, all return.
        Cancelled when no longer needed.
        """


Answered = Callable[[int, int, bool], Awaitable[None]]
"""Told how many messages a claim has brought, how many bytes they have, and if more are due.

The bytes of the payloads count; other bytes may be counted or not.
"""


@runtime_checkable
class SupportsClaimingAhead(Protocol):
    """A store that needs a while to make messages of what its server has answered.

    It tells when the answer is there, so that the server works at the next claim meanwhile.
    """

    claims_ahead: bool
    """True, set on the class: a wrapper around such a store may not know ``answered``."""

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

        ``answered`` is awaited when the server has done its part. It may be left out if a claim
        takes more than one step. It must be left out if an outcome is None: what is settled with
        the next claim would overtake that settlement.
        """


@runtime_checkable
class SupportsPeeking(Protocol):
    """A store that can cheaply be asked, every ``poll_interval``, whether a claim is worth it."""

    async def changed(self) -> bool:
        """Whether another process may have changed the store since the last call."""


@runtime_checkable
class SupportsMovingTime(Protocol):
    """A store for tests, whose clock is moved: :class:`duly.testing.FakeStore`."""

    @property
    def now(self) -> datetime:
        """What its clock shows; it can be asked at any moment."""

    def move_on(self, until: datetime) -> bool:
        """Let it be the next moment at which something falls due, ``until`` at the latest.

        False, and nothing is moved, when it is ``until`` already. The leases of schedulers that
        run are kept.
        """


@runtime_checkable
class SupportsTimeLimit(Protocol):
    """A store whose server can be told to give up calls that nobody waits for any more."""

    time_limit: timedelta | None
    """For how long its callers wait for an answer: the shortest ``store_timeout`` of all clients.

    None at first. Set before :meth:`Store.open`, and again when another client joins.
    """


@runtime_checkable
class SupportsTransactions(Protocol):
    """A store whose caller's verbs can act inside the caller's own transaction.

    Reading is one of them: :meth:`get` and :meth:`list` are given ``within`` if the caller gives
    it, and then show what that transaction sees, including its own changes. They change nothing,
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
class SupportsWhere(Protocol):
    """A store that can tell in whose hands a message is."""

    async def where(self, id: str) -> Whereabouts | None:
        """Where the message of that id is; None when there is none."""


@runtime_checkable
class SupportsEnsure(Protocol):
    """A store in which series keep their place when they are declared again.

    A holder tells it :class:`~duly.store.End` where a series has no fire left. A settlement that
    takes a series beyond the cut of its successor makes that take its place, in the same step:
    :func:`~duly.store.plan_settle`. What removes or replaces a series does so to what follows it
    too; :meth:`~duly.store.Store.reschedule` makes the successor take its place first.
    """

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that these series are there as they are given; one outcome for each.

        Each on its own, in one step: compared and changed by :func:`~duly.store.ensured`, with the
        store's now as it is read once nobody else can change the message. Nobody sees anything
        between old and new. NEWER for a record that only a newer version can read,
        DuplicateMessage for one that cannot be read at all. Again is always safe. A client brings
        up to 100 at a time.

        With ``declared`` the floor of its ``by`` rises to its ``generation`` first, also if nothing
        is ``wanted``; where it is higher already, all are OLDER and nothing is changed. Each
        message that is there afterwards, SAME included, belongs to that ``by`` and generation; of
        those that cannot be read, each that belonged to one before, and nothing else of it changes.
        """

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove, as by ``cancel``, what ``by`` has declared with a lower generation.

        The ids, and the state each was found in.
        """


@runtime_checkable
class NamesTransactions(Protocol):
    """A store that says what ``within`` may be, for the error if it is something else."""

    @property
    def transactions(self) -> str:
        """Such as ``"a connection of the sqlite3 module"``."""


@runtime_checkable
class OnOneHost(Protocol):
    """A store whose users all run on one host, and wake each other whenever they write.

    Its schedulers write nothing only to be seen: they announce themselves when they start, and
    again when what they say has changed by what they wrote anyway. Whether one lives is judged by
    its process. Needed by stores that keep notes and are asked whether they have ``changed``.
    """

    one_host: bool
    """True, of the class."""


@runtime_checkable
class SupportsMigration(Protocol):
    """A store with a schema."""

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The statements that bring the schema up to date; run, unless ``dry_run``."""


@runtime_checkable
class SupportsListingWithoutPayloads(Protocol):
    """A store that can list messages without having their payloads sent.

    Other stores send the payloads, and the client drops them.
    """

    lists_without_payloads: bool
    """True, set on the class: a wrapper around such a store may not know ``payload``."""

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
    ) -> Sequence[Message]:
        """As :meth:`Store.list`; unless ``payload``, each has an empty one in place of its own.

        Records that cannot be read are listed as usual, but without their raw bytes.
        """


@runtime_checkable
class SupportsHealth(Protocol):
    """A store or transport that knows of trouble which does not stop it yet."""

    async def check(self) -> Sequence[str]:
        """The reasons to call it degraded, one sentence each; none when all is well."""
