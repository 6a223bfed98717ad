"""How a client or scheduler is doing, in one word and one sentence."""

import enum
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Health", "Report", "Status"]


class Status(enum.Enum):
    """HEALTHY: all is well. DEGRADED: it works, somebody should look. UNHEALTHY: it does not."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@attrs.frozen(kw_only=True)
class Health:
    """An answer of ``health()``: ``reason`` is one sentence, ``details`` are facts by name."""

    status: Status
    reason: str
    details: Mapping[str, Any] = attrs.field(factory=dict)


class Report:
    """Gathers findings until they make a :class:`Health`; the gravest one decides."""

    def __init__(self) -> None:
        self.details: dict[str, Any] = {}
        self._ill: list[str] = []
        self._odd: list[str] = []

    def ill(self, reason: str) -> None:
        """It does not work."""
        self._ill.append(reason)

    def odd(self, reason: str) -> None:
        """It works, but somebody should look."""
        self._odd.append(reason)

    def health(self) -> Health:
        """What was found."""
        status = Status.UNHEALTHY if self._ill else Status.DEGRADED if self._odd else Status.HEALTHY
        reason = "; ".join([*self._ill, *self._odd]) or "all is well"
        return Health(status=status, reason=reason, details=self.details)
