"""What a scenario brings: figures of interleaved rounds, a table of them, and what falls short."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

__all__ = ["Figure", "Section", "in_turn"]

Measure = Callable[[], Awaitable[float]]


@attrs.frozen
class Figure:
    """The same thing measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.0f} ({low:,.0f}-{high:,.0f})"

    def share_of(self, other: "Figure") -> float:
        """How much of the other it is; 1 for as much."""
        return self.median / other.median


@attrs.define
class Section:
    """One part of the report; ``data`` is what JSON keeps, ``short`` the goals that are missed."""

    title: str
    about: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = attrs.field(factory=list)
    data: list[dict[str, Any]] = attrs.field(factory=list)
    short: list[str] = attrs.field(factory=list)

    def add(self, *cells: object, **facts: Any) -> None:
        """A row for people and the facts behind it."""
        self.rows.append([str(cell) for cell in cells])
        self.data.append(facts)

    def expect(self, what: str, share: float, at_least: float) -> None:
        """Note a goal that is missed; both are shares, 1 for as much as what stands beside."""
        if share < at_least:
            self.short.append(f"{what}: {share:.0%}, and the goal is {at_least:.0%}")


async def in_turn(measures: Mapping[str, Measure], rounds: int) -> Mapping[str, Figure]:
    """Measure each once a round, so that what else the machine does weighs on all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(await measure())
    return {name: Figure(tuple(values)) for name, values in found.items()}
