"""What duly-history offers to duly: a keeper of what became of messages, and of what people did.

A :class:`History` is given by hand, ``plugins=[History(...)]``, or made of ``DULY_HISTORY`` for all
clients and schedulers of a process.
"""

import abc
import os
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Final

from duly import (
    Burial,
    Change,
    Changing,
    Delivery,
    Ensured,
    Failure,
    Message,
    MissedFires,
    Verdict,
    hookimpl,
)
from duly_history import rows
from duly_history.keeping import GIVEN, Keeping
from duly_history.recorder import Recorder, Silence
from duly_history.values import What

__all__ = ["VARIABLE", "History"]

VARIABLE: Final = "DULY_HISTORY"
"""The environment variable that holds the URL of a history."""


class _Hooks(abc.ABC):
    """Hands on what duly tells to whoever keeps it."""

    @abc.abstractmethod
    def keeper(self) -> Recorder | Silence:
        """Who keeps it just now."""

    # --- what happens

    @hookimpl
    def duly_started(self) -> None:
        self.keeper().begin()

    @hookimpl
    def duly_closed(self) -> None:
        self.keeper().close()

    @hookimpl
    def duly_scheduled(
        self, messages: Sequence[Message], asked_at: datetime, owner: str | None
    ) -> None:
        self.keeper().put(What.SCHEDULED, owner, rows.scheduled(messages), asked_at)

    @hookimpl
    def duly_ensured(
        self,
        messages: Sequence[Message],
        outcomes: Sequence[Ensured],
        asked_at: datetime,
        owner: str | None,
    ) -> None:
        self.keeper().put(What.ENSURED, owner, rows.ensured(messages, outcomes), asked_at)

    @hookimpl
    def duly_cancelled(
        self,
        message_ids: Sequence[str],
        event_names: Sequence[str | None],
        asked_at: datetime,
        owner: str | None,
    ) -> None:
        self.keeper().put(What.CANCELLED, owner, rows.named(message_ids, event_names), asked_at)

    @hookimpl
    def duly_rescheduled(
        self,
        message_ids: Sequence[str],
        event_names: Sequence[str | None],
        scheduled_at: datetime,
        asked_at: datetime,
        owner: str | None,
    ) -> None:
        picked = rows.named(message_ids, event_names, [scheduled_at] * len(message_ids))
        self.keeper().put(What.RESCHEDULED, owner, picked, asked_at)

    @hookimpl
    def duly_replayed(
        self,
        message_ids: Sequence[str],
        event_names: Sequence[str | None],
        due_at: Sequence[datetime],
        asked_at: datetime,
        owner: str | None,
    ) -> None:
        picked = rows.named(message_ids, event_names, due_at)
        self.keeper().put(What.REPLAYED, owner, picked, asked_at)

    @hookimpl
    def duly_purged(
        self,
        message_ids: Sequence[str],
        event_names: Sequence[str | None],
        asked_at: datetime,
        owner: str | None,
    ) -> None:
        self.keeper().put(What.PURGED, owner, rows.named(message_ids, event_names), asked_at)

    @hookimpl
    def duly_missed(self, missed: Sequence[MissedFires], owner: str | None) -> None:
        self.keeper().put(What.MISSED, owner, rows.missed(missed))

    @hookimpl
    def duly_delivered(self, deliveries: Sequence[Delivery], owner: str | None) -> None:
        self.keeper().put(What.DELIVERED, owner, rows.delivered(deliveries))

    @hookimpl
    def duly_failed(
        self, failures: Sequence[Failure], verdicts: Sequence[Verdict], owner: str | None
    ) -> None:
        self.keeper().put(What.FAILED, owner, rows.failed(failures, verdicts))

    @hookimpl
    def duly_buried(self, burials: Sequence[Burial], owner: str | None) -> None:
        self.keeper().put(What.BURIED, owner, rows.buried(burials))

    # --- what people do

    @hookimpl
    def duly_changing(self, change: Change, owner: str | None) -> Awaitable[object] | None:
        return self.keeper().changing(change, owner)

    @hookimpl
    def duly_changed(
        self, change: Change, done: Changing, error: BaseException | None
    ) -> Awaitable[object] | None:
        return self.keeper().changed(change, done, error)


class History(_Hooks, Keeping):
    """Keeps what became of each message, and what people did, in a database of its own.

    ``url`` is ``sqlite:///history.db`` or ``postgresql://user:password@host/database``. Entries and
    figures are kept for ``keep``, what people did for ``keep_changes``. ``of`` are the event names,
    or prefixes that end in ``.*``, of which entries are kept. Without ``messages`` only figures by
    the minute are. Up to ``most_waiting`` entries wait for a database that is away; what does not
    fit is counted, and shown as a hole. Without ``audit`` what people do is not written down.
    ``clock`` gives the present moment, aware of its time zone. All others may stand in the URL too,
    and count before what is given here: ``?keep=604800&of=orders.*,mail.*&messages=false``, with
    durations in seconds; so may ``prefix``, with which the names of tables begin, ``schema`` and
    ``auto_migrate`` of PostgreSQL, and the options of TLS.

    Raises:
        InvalidArgument: a URL or another argument that cannot be used.
    """

    def keeper(self) -> Recorder:
        self.is_plugin = True
        return self.recorder


class _OfTheEnvironment(_Hooks):
    """The one that ``DULY_HISTORY`` names, made when it is needed first.

    Where a client was given one for the same database, this one keeps silent: it is asked last.
    """

    def __init__(self) -> None:
        self._made: Keeping | None = None
        if os.environ.get(VARIABLE):
            self.keeper()  # so that one that cannot be used is told of as a broken plugin

    def keeper(self) -> Recorder | Silence:
        url = os.environ.get(VARIABLE, "")
        if not url or any(each.url == url and each.is_plugin for each in GIVEN):
            return Silence()
        if self._made is None or self._made.url != url:
            self._made = Keeping(url)
        return self._made.recorder


_installed: Final = _OfTheEnvironment()

duly_buried = _installed.duly_buried
duly_cancelled = _installed.duly_cancelled
duly_changed = _installed.duly_changed
duly_changing = _installed.duly_changing
duly_closed = _installed.duly_closed
duly_delivered = _installed.duly_delivered
duly_ensured = _installed.duly_ensured
duly_failed = _installed.duly_failed
duly_missed = _installed.duly_missed
duly_purged = _installed.duly_purged
duly_replayed = _installed.duly_replayed
duly_rescheduled = _installed.duly_rescheduled
duly_scheduled = _installed.duly_scheduled
duly_started = _installed.duly_started
