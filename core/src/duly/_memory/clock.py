"""The time of the memory store: this host's, kept from running backwards."""

from datetime import UTC, datetime

from duly.store import Clock

__all__ = ["forward_clock"]


def forward_clock() -> Clock:
    """A clock that stands still while this host's is behind what it has shown."""
    latest = datetime.now(UTC)

    def now() -> datetime:
        nonlocal latest
        latest = max(latest, datetime.now(UTC))
        return latest

    return now
