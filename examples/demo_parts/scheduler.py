"""One scheduler process: ``python scheduler.py URL LEDGER`` delivers until it is told to stop."""

import asyncio
import logging
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent))  # started as a program of its own

import duly
from demo_parts.ledger import Ledger

LEASE: Final = timedelta(seconds=2)  # five minutes unless told otherwise: too long for a show


class Witness:
    """A plugin that notes when the scheduler runs, and what it holds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @duly.hookimpl
    def duly_started(self) -> None:
        """Note that it runs."""
        self._ledger.note("started", [("", 0)])

    @duly.hookimpl
    def duly_claimed(self, messages: Sequence[duly.Message]) -> None:
        """Note what has come into its hands."""
        self._note("claimed", messages)

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        """Note what is delivered, and settled with the store."""
        self._note("settled", [each.message for each in deliveries])

    @duly.hookimpl
    def duly_failed(self, failures: Sequence[duly.Failure]) -> None:
        """Note what has failed, and is settled with the store."""
        self._note("settled", [each.message for each in failures])

    def _note(self, what: str, messages: Sequence[duly.Message]) -> None:
        self._ledger.note(what, [(each.id, each.occurrence_count) for each in messages])


def main(url: str, file: Path) -> None:
    """Deliver into the ledger; what is to fail at first does."""
    logging.basicConfig(filename=file.with_suffix(".log"), level=logging.INFO)
    ledger = Ledger(file)

    async def deliver(envelope: duly.Envelope) -> None:
        at, what = datetime.now(UTC), "published"
        if envelope.attempt <= int(envelope.metadata.get("fails", "0")):
            what = "failed"
        elif envelope.event_name == "reports.build":
            await asyncio.sleep(random.uniform(0, 0.25))  # long enough to be caught at it
        ledger.note(what, [(envelope.message_id, envelope.occurrence)], envelope.attempt, at)
        if what == "failed":
            raise ConnectionError("this one fails at first")

    duly.Scheduler(
        url,
        deliver,
        batch_size=25,
        stuck_duration=LEASE,
        recovery=duly.Backoff(initial=timedelta(milliseconds=200)),
        plugins=[Witness(ledger)],
    ).run()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
