"""The instruments that a scheduler makes."""

from typing import Any

from opentelemetry.metrics import NoOpMeter

from duly._telemetry.metrics import Instruments
from extensions.tables import table


class Noting(NoOpMeter):
    """A meter that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__("duly")
        self.rows: list[tuple[str, ...]] = []

    def _note(self, kind: str, name: str, unit: str, description: str) -> None:
        self.rows.append((f"`{name}`", kind, unit.strip("{}"), description))

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        self._note("counter", name, unit, description)
        return super().create_counter(name, unit, description)

    def create_histogram(
        self, name: str, unit: str = "", description: str = "", **more: Any
    ) -> Any:
        self._note("histogram", name, unit, description)
        return super().create_histogram(name, unit, description, **more)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> Any:
        self._note("gauge", name, unit, description)
        return super().create_observable_gauge(name, callbacks, unit, description)


def markdown() -> str:
    """A table of them."""
    meter = Noting()
    Instruments(meter)
    return table(("name", "kind", "unit", "what it counts or measures"), *meter.rows)
