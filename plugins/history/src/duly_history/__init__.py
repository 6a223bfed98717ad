"""The history of duly: what became of each message, and what people did."""

from duly_history.errors import HistoryError, HistoryUnavailable
from duly_history.plugin import History
from duly_history.values import (
    Cause,
    Causes,
    ChangeMade,
    Changes,
    Entries,
    Entry,
    EventFigures,
    Figures,
    Hole,
    Lateness,
    Minute,
    Rates,
    What,
)

__all__ = [
    "Cause",
    "Causes",
    "ChangeMade",
    "Changes",
    "Entries",
    "Entry",
    "EventFigures",
    "Figures",
    "History",
    "HistoryError",
    "HistoryUnavailable",
    "Hole",
    "Lateness",
    "Minute",
    "Rates",
    "What",
]
