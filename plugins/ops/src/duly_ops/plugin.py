"""What the package offers to duly: a plugin to give to a scheduler, and one by ``DULY_OPS``."""

import asyncio
import functools
import os
import threading
from typing import Any, Final

from opentelemetry.metrics import MeterProvider

from duly import InvalidArgument, Scheduler, hookimpl
from duly_ops.addresses import Address
from duly_ops.exposition import Exposition
from duly_ops.notifying import Notifying
from duly_ops.serving import Serving
from duly_ops.watched import Watched

__all__ = ["Ops", "duly_ended", "duly_meter_provider", "duly_starting"]

_VARIABLE: Final = "DULY_OPS"


class Ops:
    """Serves probes, health and metrics of the schedulers that it is given to, while they run.

    ``address`` is ``host:port``, as ``127.0.0.1:9464``, or ``unix:/path``; port 0 is any that is
    free, which :attr:`address` tells then. It may be given to several schedulers of a process.
    Unless ``notify`` is False, systemd is told when they are ready, that they live and when they
    stop, if it has set ``NOTIFY_SOCKET``.

    Raises:
        InvalidArgument: an address that is none.
        PluginError: when a scheduler starts: something else listens there.
    """

    def __init__(self, address: str = "127.0.0.1:9464", *, notify: bool = True) -> None:
        if not isinstance(notify, bool):
            raise InvalidArgument(f"notify must be True or False, not {type(notify).__name__}")
        asked = Address.of(address)
        self._exposition = Exposition()
        self._watched = watched = Watched(self._exposition)

        async def stuck() -> list[str]:
            return watched.stuck()

        async def unready() -> list[str]:
            return watched.unready()

        self._notifying = Notifying(stuck, unready, watched.stops, on=notify)
        self._serving = Serving(asked, watched, self._notifying.run)
        self._lock = threading.Lock()  # schedulers may run on several loops

    def __repr__(self) -> str:
        return f"Ops({str(self._serving.address or self._serving.asked)!r})"

    @property
    def address(self) -> str | None:
        """Where it serves; None while no scheduler runs."""
        return None if self._serving.address is None else str(self._serving.address)

    @hookimpl
    def duly_meter_provider(self) -> MeterProvider:
        """Have all metrics written here too."""
        return self._exposition.provider

    @hookimpl
    def duly_starting(self, scheduler: Any) -> None:
        """Serve from now on: the store need not be there yet."""
        with self._lock:
            first = not self._watched
            self._watched.add(scheduler, asyncio.get_running_loop())
            try:
                if first:
                    self._serving.start()
            except BaseException:
                self._watched.remove(scheduler)
                raise

    @hookimpl
    def duly_ended(self, scheduler: Any) -> None:
        """Serve no more when the last has ended."""
        with self._lock:
            if self._watched.remove(scheduler) and not self._watched:
                self._notifying.stop()
                self._serving.stop()


@functools.cache
def _by_variable() -> Ops | None:
    """The one that the environment asks for."""
    address = os.environ.get(_VARIABLE)
    return Ops(address) if address else None


@hookimpl
def duly_meter_provider() -> MeterProvider | None:
    """Where ``DULY_OPS`` is set, have all metrics written there too."""
    ops = _by_variable()
    return None if ops is None else ops.duly_meter_provider()


@hookimpl
def duly_starting(scheduler: Scheduler) -> None:
    """Where ``DULY_OPS`` is set, serve from now on."""
    ops = _by_variable()
    if ops is not None:
        ops.duly_starting(scheduler)


@hookimpl
def duly_ended(scheduler: Scheduler) -> None:
    """Serve no more when the last has ended."""
    ops = _by_variable()
    if ops is not None:
        ops.duly_ended(scheduler)
