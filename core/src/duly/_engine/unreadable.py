"""Telling of records that nobody can read, which the store has set aside as dead letters."""

from collections.abc import Sequence

from duly._plugins.registry import Plugins
from duly._telemetry.logging import get_logger
from duly._telemetry.telemetry import Telemetry
from duly.hookspecs import Burial
from duly.message import Message

__all__ = ["tell_unreadable"]

log = get_logger()


def tell_unreadable(messages: Sequence[Message], plugins: Plugins, telemetry: Telemetry) -> None:
    """Log, count and report these."""
    for message in messages:
        log.error("record_unreadable", message_id=message.id, reason=message.last_error)
        telemetry.count("buried", [message.event_name])
    burials = [Burial(message=each, reason=each.last_error or "") for each in messages]
    plugins.tell("duly_buried", burials=burials)
