"""What a test turns or opens by hand while its workers look at it: files, all of them."""

from datetime import datetime
from pathlib import Path


class Clock:
    """The clock of workers that are started with ``clock=clock.path``; it moves only by hand."""

    def __init__(self, path: Path, start: datetime) -> None:
        self.path = path
        self.turn(start)

    def turn(self, moment: datetime) -> None:
        """Put it to a moment."""
        self.now = moment
        new = self.path.with_suffix(".new")
        new.write_text(moment.isoformat())
        new.replace(self.path)  # nobody reads half of it


class Gate:
    """What "gated" messages wait for: ``Message("gated", metadata=gate.metadata)``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.metadata = {"gate": str(path)}

    def open(self) -> None:
        """Let them end, also those begun later."""
        self._path.touch()
