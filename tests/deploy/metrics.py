"""Which metrics there are, by the names that Prometheus gives them, and which a query asks for."""

import re
from typing import Any, Final

from duly._telemetry.metrics import Instruments

__all__ = ["LABELS", "asked_of", "declared"]

LABELS: Final = {
    "duly_store", "duly_phase", "duly_outage_of", "messaging_destination_name", "instance", "job",
}  # fmt: skip

_UNITS: Final = {"s": "_seconds"}


class _Noting:
    """Stands for a meter, and notes which instruments are made of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def create_counter(self, name: str, unit: str = "", *more: Any, **named: Any) -> None:
        self.names.add(_translated(name, unit) + "_total")

    def create_histogram(self, name: str, unit: str = "", *more: Any, **named: Any) -> None:
        stem = _translated(name, unit)
        self.names |= {f"{stem}_bucket", f"{stem}_count", f"{stem}_sum"}

    def create_observable_gauge(
        self, name: str, _callbacks: Any, unit: str = "", *more: Any
    ) -> None:
        self.names.add(_translated(name, unit))


def declared() -> set[str]:
    """All that the meter ``duly`` has."""
    noting = _Noting()
    Instruments(noting)  # type: ignore[arg-type]  # it has what is asked of a meter here
    return noting.names


def asked_of(query: str) -> set[str]:
    """The names of metrics in a query: those of duly, and ``up``."""
    plain = re.sub(r"\b(by|on|without|ignoring) *\([^)]*\)", "", re.sub(r"\{[^}]*\}", "", query))
    return {*re.findall(r"\b(?:duly_\w+|up)\b", plain)}


def _translated(name: str, unit: str) -> str:
    return name.replace(".", "_") + _UNITS.get(unit, "")
