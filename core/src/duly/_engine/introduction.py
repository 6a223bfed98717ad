"""What a scheduler says of itself."""

import functools
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version

import attrs

from duly._engine.in_hand import Hands
from duly._engine.options import SchedulerOptions
from duly._engine.outage import Outage
from duly._engine.workers import Workers
from duly._values.presence import SchedulerInfo
from duly._values.processes import moment_of_start, this_process
from duly.transport import Transport

__all__ = ["Introduction", "settings_of"]


class Introduction:
    """Called with the store's now, it tells how one run is doing. The first call tells since when.

    A later call with ``anew`` does so again.
    """

    def __init__(
        self,
        owner: str,
        options: SchedulerOptions,
        transport: Transport,
        *,
        workers: Workers,
        hands: Hands,
        outage: Outage,
    ) -> None:
        self.owner = owner
        self._options = options
        self._transport = transport
        self._workers = workers
        self._hands = hands
        self._outage = outage
        self._first: SchedulerInfo | None = None

    def __call__(self, now: datetime, *, anew: bool = False) -> SchedulerInfo:
        """What to announce."""
        if self._first is None or anew:
            self._first = self._introduced(now)
        return attrs.evolve(
            self._first,
            seen=now,
            slots_used=self._workers.lanes.slots.running,
            claimed=sum(hand.left for hand in self._hands.held.values()),
            outage=self._outage.reason if self._outage.away else None,
        )

    def _introduced(self, now: datetime) -> SchedulerInfo:
        process, options = this_process(), self._options
        return SchedulerInfo(
            owner=self.owner,
            instance=options["instance"],
            host=process.host,
            pid=process.pid,
            process_started=moment_of_start(process),
            version=_version(),
            since=now,
            transport=type(self._transport).__name__,
            slots_used=0,
            slots=options["max_in_flight"],
            claimed=0,
            outage=None,
            lease=options["stuck_duration"],
            seen=now,
        )


def settings_of(
    options: SchedulerOptions, transport: Transport, patience: float
) -> Mapping[str, object]:
    """What a scheduler says of itself when it starts; durations in seconds."""
    policy = options["recovery"]
    return {
        "version": _version(),
        "transport": type(transport).__name__,
        "instance": options["instance"],
        "batch_size": options["batch_size"],
        "max_in_flight": options["max_in_flight"],
        "max_bytes_in_flight": options["max_bytes_in_flight"],
        "poll_interval": options["poll_interval"].total_seconds(),
        "stuck_duration": options["stuck_duration"].total_seconds(),
        "publish_timeout": options["publish_timeout"].total_seconds(),
        "store_timeout": patience,
        "recovery": "Backoff" if policy is None else named_policy(policy),
        "error_text": options["error_text"] is not None,
    }


def named_policy(policy: object) -> str:
    """What a policy is called: a function by its name, an object by its class."""
    return str(getattr(policy, "__name__", type(policy).__name__))


@functools.cache
def _version() -> str:
    return version("duly")
