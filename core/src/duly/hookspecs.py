"""The hooks: what a plugin may offer, decide or observe. All are plain functions.

A plugin is a module, class or object with functions of these names marked ``@duly.hookimpl``. It
is found by its entry point in the group ``duly``, or given to a client as ``plugins=[...]``. Each
function may take any subset of the arguments named here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import attrs
import pluggy

from duly.message import Message
from duly.recovery import Failure, Verdict
from duly.store import Store
from duly.transport import Transport

if TYPE_CHECKING:  # a scheduler imports this module
    from duly.scheduler import Scheduler

__all__ = ["PROJECT", "Delivery", "StoreFactory", "TransportFactory", "hookimpl", "hookspec"]

PROJECT: Final = "duly"
"""The name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

StoreFactory = Callable[[str], Store]
TransportFactory = Callable[[str], Transport]


@attrs.frozen(kw_only=True)
class Delivery:
    """A message that was published and settled.

    ``lateness`` is published minus scheduled by the store's clock, never negative; of a retry or
    a redelivery it counts from the first moment the message was due. ``receipt`` is the broker's.
    """

    message: Message
    lateness: timedelta
    receipt: str | None


# --- offering: asked once per client; the answers of all plugins are merged


@hookspec
def duly_stores() -> Mapping[str, StoreFactory]:  # type: ignore[empty-body]  # a specification
    """Called to learn which URL schemes this plugin's stores serve: scheme to ``factory(url)``."""


@hookspec
def duly_transports() -> Mapping[str, TransportFactory]:  # type: ignore[empty-body]  # a specification
    """Called to learn which URL schemes this plugin's transports serve."""


# --- deciding: the first answer that is not None wins


@hookspec(firstresult=True)
def duly_recover(failure: Failure) -> Verdict | None:
    """Called for each failed delivery and each lapsed claim: what next? None: no opinion.

    Plugins given by hand are asked first, the last given foremost; then installed ones; then the
    scheduler's ``recovery=``. One that raises is logged and counts as None.
    """


# --- observing: after the store agreed; what they raise is logged and stops nothing


@hookspec
def duly_started(scheduler: "Scheduler") -> None:
    """Called when a scheduler begins to run."""


@hookspec
def duly_stopped(scheduler: "Scheduler") -> None:
    """Called when a scheduler has drained and stopped."""


@hookspec
def duly_scheduled(messages: Sequence[Message]) -> None:
    """Called with messages that were stored.

    Those that were put ``within=`` a transaction are not committed yet.
    """


@hookspec
def duly_cancelled(message_ids: Sequence[str]) -> None:
    """Called with the ids of messages that were cancelled and will not be published."""


@hookspec
def duly_claimed(messages: Sequence[Message]) -> None:
    """Called with a batch of messages that this scheduler has just claimed."""


@hookspec
def duly_delivered(deliveries: Sequence[Delivery]) -> None:
    """Called with messages that were published and settled."""


@hookspec
def duly_failed(failures: Sequence[Failure]) -> None:
    """Called with deliveries that failed, once what recovery decided is stored."""
