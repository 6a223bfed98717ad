"""The front door of those who only schedule: all verbs of a caller."""

from types import TracebackType
from typing import ClassVar, Self, Unpack, cast

from duly._caller.calls import StoreCalls
from duly._caller.changes import Cancellation
from duly._caller.inquiry import Inquiry
from duly._caller.intake import Intake
from duly._caller.options import ClientOptions, takes
from duly._caller.store_and_transport import as_store
from duly._caller.surveying import Surveying
from duly._plugins.registry import Plugins
from duly._telemetry.telemetry import Telemetry
from duly.store import Store
from duly.url import mask

__all__ = ["Cancellation", "Client"]


class Client(Surveying):
    """Schedules, cancels and looks up messages in one store.

    ``store`` is a URL, or a store object, which is opened on first use and left open. Payloads
    may have up to ``max_payload`` bytes. A call that the store does not answer within
    ``store_timeout`` raises StoreUnavailable. ``plugins`` are used besides the installed ones and
    win over them. ``load_plugins`` says which installed ones may be imported when they are needed:
    all (True), none (False), or those named. ``metric_names`` are the event names, or patterns such
    as ``orders.*``, that metrics tell apart; all others are ``_other``. By default the first
    thousand are told apart.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a misdeclared one among ``plugins``, or no plugin serves the URL.
    """

    _delivers: ClassVar[bool] = False  # whether the hooks of deliveries will be called

    @takes(ClientOptions)
    def __init__(self, store: str | Store, **options: Unpack[ClientOptions]) -> None:
        self._max_payload = options["max_payload"]
        self._plugins = Plugins(
            options["plugins"], options["load_plugins"], deliveries=self._delivers
        )
        ours = isinstance(store, str)
        self._calls = StoreCalls(
            as_store(store, self._plugins), options["store_timeout"], ours=ours
        )
        name = mask(store) if isinstance(store, str) else type(store).__name__
        self._telemetry = Telemetry(
            options["tracer_provider"],
            options["meter_provider"],
            store=name,
            names=cast("frozenset[str] | None", options["metric_names"]),
            beside=self._plugins.meter_providers() if self._delivers else (),
        )
        self._intake = Intake(self._calls.put, self._calls.patience)
        self._inquiry = Inquiry()

    async def open(self) -> None:
        """Open the store now; the first call does it otherwise.

        Raises:
            StoreUnavailable: it cannot be reached.
            StoreError: it cannot be used; the text says what to do.
        """
        self._calls.allow()
        await self._calls.open()

    async def close(self) -> None:
        """Wait for calls under way, then close the store if it was made from a URL."""
        await self._intake.drain()
        was_open = self._calls.opened
        try:
            await self._calls.close()
        finally:
            if was_open and not self._calls.opened:
                self._plugins.tell("duly_closed", client=self)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
