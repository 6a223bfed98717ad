"""The scheduler: a client that also delivers."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Unpack

from duly._caller.announcements import taking_over
from duly._caller.inquiry import Questions, Replies
from duly._caller.options import for_client, takes
from duly._caller.store_and_transport import as_transport
from duly._engine.controls import Controls
from duly._engine.drains import Drains
from duly._engine.engine import Engine
from duly._engine.options import SchedulerOptions
from duly._engine.programs import on_its_loop
from duly._values import error_text as masked
from duly.health import Liveness, Report
from duly.hookspecs import Controlled
from duly.message import Message
from duly.store import Store, SupportsHealth
from duly.transport import Envelope, Transport

__all__ = ["Handler", "Scheduler"]

Handler = Callable[[Envelope], Any]
"""A function that takes an envelope, async or not; what it returns is ignored."""


class Scheduler(Drains):
    """Claims messages when they are due and publishes them to a transport.

    ``transport`` is a URL, a transport object or a function ``handler(envelope)``. Any number of
    schedulers may share one store; each must be able to deliver all that is in it.

    ``poll_interval`` is how long the scheduler sleeps at most where the store cannot wake it;
    ``batch_size`` how many messages one claim takes at most; ``stuck_duration`` the lease of a
    claim: after a crash its messages are due again when the lease has lapsed; ``max_in_flight`` how
    many publishes run side by side; ``publish_timeout`` how long one publish may take. ``recovery``
    decides after a failure, by default :class:`~duly.recovery.Backoff`. All else is as for
    :class:`duly.Client`.

    ``error_text`` is a function from an error of a delivery to the text that stands for it in logs,
    ``last_error``, spans and health. Use it when errors may quote what nobody should read, such as
    a part of the payload. When it fails, the text is the kind of error alone. By default the text
    is kind and text of the error, with passwords in URLs masked. Policies and hooks are given the
    error itself.

    ``max_bytes_in_flight``, 64 MiB by default, bounds the payloads of what is claimed and has no
    outcome yet. While those reach the bound nothing is claimed. Otherwise a claim asks for as many
    messages as still fit, at least one, taking each to be as large as the largest of the last
    thousand. So a batch of larger ones exceeds the bound.

    ``instance`` is a name that no other running scheduler of the store has, the same again each
    time it starts, such as that of a pod of a StatefulSet. What an earlier life of that name held
    when it was killed is then taken over as soon as what it last announced has run out (see
    :meth:`schedulers`), instead of when its leases lapse. Nothing waits for that. If that one lives
    nothing is taken from it, and :meth:`health` is DEGRADED.

    :meth:`start`, :meth:`running`, :meth:`run` and ``async with`` wait, with growing pauses, for a
    store that is away. :meth:`open`, which tells at once whether the store can be reached, and all
    other calls do not. With ``wait_for_store=False`` none of them
    waits. A store that refuses, for a wrong password or another schema, is an error at once.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a misdeclared one among ``plugins``, or no plugin serves a URL.
        Unsupported: ``instance`` is given, and the store can take nothing over.
    """

    _delivers = True

    @takes(SchedulerOptions)
    def __init__(
        self,
        store: str | Store,
        transport: str | Transport | Handler,
        **options: Unpack[SchedulerOptions],
    ) -> None:
        super().__init__(store, **for_client(options))
        if options["instance"] is not None:
            taking_over(self._calls.store, "leave instance= out")
        self._options = options
        self._transport = as_transport(transport, self._plugins)
        self._engine: Engine | None = None
        self._run: asyncio.Task[None] | None = None
        self._fallen: BaseException | None = None
        self._troubles: Sequence[str] = ()
        self._starters = 0

    def liveness(self) -> Liveness:
        """How it is doing, as far as that is known without asking anybody.

        It may be called from any thread, and answers at once whatever the store does. For probes
        that restart a process: see :attr:`duly.Liveness.alive`.
        """
        engine = self._engine
        return Liveness(state="stopped") if engine is None else engine.pulse.liveness()

    def _stored(self, messages: Sequence[Message], asked: datetime) -> None:
        super()._stored(messages, asked)
        engine, run = self._engine, self._run
        if engine is not None and run is not None and messages:
            on_its_loop(run, engine.loop.expect, messages)

    def _controlled(self, controlled: Controlled) -> None:
        super()._controlled(controlled)
        engine, run = self._engine, self._run
        if engine is not None and run is not None:
            on_its_loop(run, Controls.hurry, engine.deliveries.controls)

    def _delivers_here(self) -> bool:
        return self._engine is not None

    def _now(self) -> datetime:
        return super()._now() if self._engine is None else self._engine.deliveries.time.now()

    def _held_back(self) -> Sequence[str]:
        return [] if self._engine is None else sorted(self._engine.workers.lanes.held_back)

    def _questions(self) -> Questions:
        questions, engine, transport = super()._questions(), self._engine, self._transport
        if engine and not engine.outage.away and isinstance(transport, SupportsHealth):
            questions["transport"] = transport.check
        return questions

    def _examine(self, report: Report, replies: Replies) -> None:
        super()._examine(report, replies)
        report.details["running"] = self._engine is not None
        if self._fallen is not None:
            report.ill(f"delivery has ended unasked: {masked.error_text(self._fallen)}")
        if self._engine is not None:
            self._engine.examine(report, replies)
            for trouble in self._troubles:
                report.odd(trouble)
