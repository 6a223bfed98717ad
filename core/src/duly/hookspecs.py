"""The hooks: what a plugin may offer, decide or observe. All are plain functions.

A plugin is a module, class or object with functions of these names marked ``@duly.hookimpl``. It
is found by its entry point in the group ``duly``, or given to a client as ``plugins=[...]``.
Further entry points may tell what it offers (``duly.stores``, ``duly.transports``,
``duly.hooks``), so that it is imported only where that is needed. Each function may take any
subset of the arguments named here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import pluggy
from opentelemetry.metrics import MeterProvider

from duly._values.acts import Change, Changing
from duly._values.controls import Controlled
from duly._values.endings import Burial, Delivery, MissedFires
from duly.codec import Codec
from duly.health import Health
from duly.message import Message
from duly.recovery import Failure, Verdict
from duly.store import Ensured, Stats, Store
from duly.transport import Transport

__all__ = [
    "PROJECT", "Burial", "Change", "Changing", "Controlled", "Delivery", "Door", "MissedFires",
    "StoreFactory", "TransportFactory", "hookimpl", "hookspec",
]  # fmt: skip

PROJECT: Final = "duly"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

_Ids = Sequence[str]
_Names = Sequence[str | None]
StoreFactory = Callable[[str], Store]
TransportFactory = Callable[[str], Transport]


class Door(Protocol):
    """The client or scheduler that a hook is about: the object itself, with all its verbs."""

    async def health(self) -> Health:
        """How it is doing."""
        ...

    async def stats(self) -> Stats:
        """How much its store holds."""
        ...


# --- offering: asked at most once; the answers of all plugins are merged


@hookspec
def duly_stores() -> Mapping[str, StoreFactory]:  # type: ignore[empty-body]  # a specification
    """Called to learn which URL schemes this plugin's stores serve: scheme to ``factory(url)``."""


@hookspec
def duly_transports() -> Mapping[str, TransportFactory]:  # type: ignore[empty-body]  # a specification
    """Called to learn which URL schemes this plugin's transports serve."""


@hookspec
def duly_codec(type: Any) -> Codec[Any] | None:  # noqa: A002  # as in the signature of Event
    """Called to learn what writes and reads payloads of a type: of those that are a plugin's own.

    None for all other types, so that installing a plugin never changes the bytes of anything. Only
    installed plugins are asked: once for each :class:`duly.Event`, when it needs its codec first,
    if core cannot write its type. No client governs it.
    """


@hookspec
def duly_commands() -> Sequence[Any]:  # type: ignore[empty-body]  # a specification
    """Called by the command ``duly`` for the sub-commands that a plugin adds: click commands.

    Only installed plugins are asked whose entry points in ``duly.hooks`` name this hook. One that
    raises, or offers something else, is told of and left out.
    """


@hookspec
def duly_meter_provider() -> MeterProvider | None:
    """Called to learn where a scheduler's metrics go besides its own ``meter_provider``.

    Once for each scheduler, when it is made. None: nowhere else.
    """


# --- deciding: the first answer that is not None wins


@hookspec(firstresult=True)
def duly_recover(failure: Failure) -> Verdict | None:
    """Called for each failed delivery and each lapsed claim: what next? None: no opinion.

    Plugins given by hand are asked first, the last given foremost; then installed ones; then the
    scheduler's ``recovery=``. One that raises is logged and counts as None.
    """


# --- witnessing: a plain function that may return what is to be awaited


@hookspec
def duly_changing(change: Change, owner: str | None) -> Awaitable[object] | None:
    """Called before somebody's change is made, to keep a record of it.

    What it returns is awaited first. What it raises, then or there, refuses the change.
    """


@hookspec
def duly_changed(
    change: Change, done: Changing, error: BaseException | None, owner: str | None
) -> Awaitable[object] | None:
    """Called when a change has been made, or has failed with ``error``, before it is answered.

    What it returns is awaited first, but for a cancelled caller. What it raises is logged.
    """


# --- observing: after the store agreed; what they raise is logged and stops nothing. ``owner``
# is what the scheduler that tells is called in leases (``host:pid:...``), None for a client.
# ``asked_at`` is when a caller asked the store for it, by this process's clock


@hookspec
def duly_closed(client: Door) -> None:
    """Called when a client or scheduler that was open has closed, to give back what was taken.

    It may be opened again.
    """


@hookspec
def duly_starting(scheduler: Door) -> None:
    """Called when a scheduler is about to run, on its event loop and before its store is opened.

    If it raises an error of duly's (:class:`duly.DulyError`), the scheduler does not start, and
    whoever started it gets that error.
    """


@hookspec
def duly_started(scheduler: Door) -> None:
    """Called when a scheduler begins to run."""


@hookspec
def duly_stopped(scheduler: Door) -> None:
    """Called when a scheduler has drained and stopped."""


@hookspec
def duly_ended(scheduler: Door) -> None:
    """Called when a run of a scheduler is over, however it ended, also if it never began."""


@hookspec
def duly_scheduled(messages: Sequence[Message], asked_at: datetime, owner: str | None) -> None:
    """Called with messages that were stored; one put ``within=`` is not committed yet."""


@hookspec
def duly_cancelled(
    message_ids: _Ids, event_names: _Names, asked_at: datetime, owner: str | None
) -> None:
    """Called with the ids of messages that were cancelled and will not be published.

    ``event_names`` has the event name of each, None where it is not known.
    """


@hookspec
def duly_rescheduled(
    message_ids: _Ids, event_names: _Names, scheduled_at: datetime, asked_at: datetime,
    owner: str | None,
) -> None:  # fmt: skip
    """Called with the ids of messages that a caller moved, all to that moment.

    Those that were moved ``within=`` a transaction are not committed yet.
    """


@hookspec
def duly_ensured(
    messages: Sequence[Message], outcomes: Sequence[Ensured], asked_at: datetime, owner: str | None
) -> None:
    """Called with series that were ensured or declared, and what became of each.

    Where two versions of a service declare one series in turn, both CHANGED, it flaps.
    """


@hookspec
def duly_controlled(controlled: Controlled, owner: str | None) -> None:
    """Called when this client has paused, resumed or limited event names."""


@hookspec
def duly_replayed(
    message_ids: _Ids, event_names: _Names, due_at: Sequence[datetime], asked_at: datetime,
    owner: str | None,
) -> None:  # fmt: skip
    """Called with the ids of dead letters that are scheduled again, each due at ``due_at``."""


@hookspec
def duly_purged(
    message_ids: _Ids, event_names: _Names, asked_at: datetime, owner: str | None
) -> None:
    """Called with the ids of dead letters that were removed for good."""


@hookspec
def duly_claimed(messages: Sequence[Message], owner: str | None) -> None:
    """Called with a batch of messages that this scheduler has claimed and is about to publish."""


@hookspec
def duly_missed(missed: Sequence[MissedFires], owner: str | None) -> None:
    """Called with fires of series that were missed and dropped, as ``missed=`` of theirs says."""


@hookspec
def duly_delivered(deliveries: Sequence[Delivery], owner: str | None) -> None:
    """Called with messages that were published and settled."""


@hookspec
def duly_failed(
    failures: Sequence[Failure], verdicts: Sequence[Verdict], owner: str | None
) -> None:
    """Called with deliveries that failed, once what recovery decided is stored.

    ``verdicts`` has what it was, one for each.
    """


@hookspec
def duly_buried(burials: Sequence[Burial], owner: str | None) -> None:
    """Called with messages, and occurrences of series, that became dead letters."""
