"""A scheduler's verb for tests and for jobs by cron: deliver what is due, then stop."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from duly._caller.arguments import as_flag, as_number
from duly._engine.draining import DrainingEngine
from duly._engine.runs import Runs
from duly._plugins.registry import Plugins
from duly.errors import Expired, InvalidArgument
from duly.hookspecs import Delivery
from duly.moment import as_moment
from duly.recovery import Failure
from duly.store import SupportsMovingTime

__all__ = ["Drains"]

_MOST = 1_000_000_000


class Drains(Runs):
    """The verb that delivers what is due and then stops."""

    async def drain(
        self,
        until: datetime | None = None,
        *,
        raise_failures: bool = True,
        limit: int = 10_000,
    ) -> Sequence[Delivery]:
        """Deliver all that is due, also what becomes due meanwhile, then stop; what was delivered.

        What is due later, such as the next fire of a series, a retry in its pause or a postponed
        message, stays in the store. With ``until`` the clock of a
        :class:`duly.testing.FakeStore` goes there from one due time to the next, and all that
        falls due up to then, that moment included, is delivered in its turn.

        Every error of a handler is raised at the end, in an ExceptionGroup, after all else was
        delivered: also of a message that was delivered by a later attempt, or buried. What a
        handler postponed and what expired is no failure. With ``raise_failures=False`` nothing of
        this is raised.

        The store is opened if it is not open, and stays open.

        Raises:
            ExceptionGroup: what handlers raised.
            SchedulerStateError: it runs already; more than ``limit`` deliveries were begun, as by
                a message that schedules itself for now each time.
            TransportUnavailable: the whole transport is gone; what is due stays in the store.
            StoreError: the store cannot be reached, or used.
            InvalidArgument: ``until`` with a store whose clock nobody can move.
        """
        as_flag(raise_failures, "raise_failures")
        limit = as_number(limit, "limit", at_least=1, at_most=_MOST)
        store = self._calls.store
        if until is not None:
            given: object = until
            if isinstance(given, timedelta):
                raise InvalidArgument(
                    "until must be a moment, not a timedelta: drain(until=store.after(days=1)) "
                    "drains for a day of a duly.testing.FakeStore"
                )
            until = as_moment(until, "until")
            if not isinstance(store, SupportsMovingTime):
                raise InvalidArgument(
                    f"drain(until=...) moves the store's clock, and that of a "
                    f"{type(store).__name__} cannot be moved: use duly.testing.FakeStore, or "
                    "leave until out to deliver what is due now"
                )
        witness = _Witness(self._plugins)
        engine = DrainingEngine(
            self._calls, self._transport, witness, self._telemetry, self._options
        )
        engine.loop.until, engine.loop.limit = until, limit
        await self.open()
        await self._run_to_its_end(engine)
        _raise_failures(engine.loop.failure, witness.failures if raise_failures else ())
        return witness.deliveries


class _Witness(Plugins):
    """The plugins of a client, and one listener more."""

    def __init__(self, plugins: Plugins) -> None:
        vars(self).update(vars(plugins))  # the same ones, which are loaded once
        self.deliveries: list[Delivery] = []
        self.failures: list[Failure] = []

    def observed(self, *hooks: str) -> bool:
        return "duly_delivered" in hooks or super().observed(*hooks)

    def tell(self, hook: str, /, **arguments: Any) -> None:
        if hook == "duly_delivered":
            self.deliveries += arguments["deliveries"]
        elif hook == "duly_failed":
            self.failures += arguments["failures"]
        super().tell(hook, **arguments)


def _raise_failures(end: Exception | None, failures: Sequence[Failure]) -> None:
    told = [each for each in failures if not isinstance(each.error, Expired | None)]
    if not told:
        if end is not None:
            raise end
        return
    errors = [error for each in told if (error := each.error) is not None]
    which = ", ".join(
        f"{each.message.event_name!r} ({each.message.id}, attempt {each.attempt})"
        for each in told[:3]
    )
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    text = f"{len(told)} deliver{'y' if len(told) == 1 else 'ies'} failed: {which}{more}"
    raise ExceptionGroup(text, [*errors, end] if end is not None else errors)
