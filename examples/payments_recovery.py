"""A recovery plugin that decides for ``payments.*`` alone; all else keeps the default policy.

``python payments_recovery.py`` shows what becomes of four messages that fail. In a package of its
own the class would be found by an entry point in the group ``duly``.
"""

import asyncio
import logging
from collections import Counter
from datetime import timedelta

import duly


class CardDeclined(Exception):
    """The bank said no; it will say so again."""


class PaymentsRecovery:
    """No second try for a declined card; three quick ones for a gateway, then a dead letter."""

    @duly.hookimpl
    def duly_recover(self, failure: duly.Failure) -> duly.Verdict | None:
        """Called for each failed delivery; None leaves the decision to the next one asked."""
        if not failure.message.event_name.startswith("payments."):
            return None
        if failure.error is None:  # the scheduler died: nobody knows whether the money went
            return duly.Bury("the outcome is unknown: look at the account first")
        if isinstance(failure.error, CardDeclined):
            return duly.Bury(f"declined: {failure.error}")
        if failure.attempt > 3:
            return duly.Bury(f"given up after {failure.attempt} attempts: {failure.error}")
        return duly.Retry(timedelta(milliseconds=50))


transport = duly.LocalTransport()
attempts: Counter[str] = Counter()


@transport.on("payments.card")
@transport.on("payments.transfer")
@transport.on("mails.send")
async def deliver(envelope: duly.Envelope) -> None:
    """Called for each due message; all of them fail at least once."""
    attempts[envelope.message_id] += 1
    if envelope.event_name == "payments.card":
        raise CardDeclined("limit reached")
    if envelope.message_id == "gateway-down" or envelope.attempt == 1:
        raise ConnectionError("no answer")


async def nothing_waits(client: duly.Client) -> None:
    """Return when all is delivered or a dead letter."""
    while True:
        stats = await client.stats()
        if not stats.scheduled and not stats.claimed:
            return
        await asyncio.sleep(0.05)


async def main() -> None:
    """Schedule four messages and see what becomes of them."""
    backoff = duly.Backoff(initial=timedelta(milliseconds=100))
    async with duly.Scheduler(
        "memory://", transport, recovery=backoff, plugins=[PaymentsRecovery()]
    ) as scheduler:
        for event_name, id in (
            ("payments.card", "declined"),
            ("payments.transfer", "gateway-down"),
            ("payments.transfer", "gateway-slow"),
            ("mails.send", "mail"),
        ):
            await scheduler.schedule(
                duly.Message(event_name, id=id, scheduled_at=duly.after(seconds=0))
            )
        async with scheduler.running():
            await nothing_waits(scheduler)
        dead = await scheduler.list(duly.Filter(state=duly.State.DEAD))

    print(f"attempts: {dict(attempts)}")
    for message in dead:
        print(f"dead letter {message.id}: {message.last_error}")
    assert attempts == {"declined": 1, "gateway-down": 4, "gateway-slow": 2, "mail": 2}
    assert {message.id for message in dead} == {"declined", "gateway-down"}


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # the failures are meant to be
    asyncio.run(main())
