"""An incident as somebody on call finds it: five things are wrong at once.

``python -m tests.cli.incident URL FOLDER`` prepares it, so that a person can try: mail.send fails
because its server refuses, orders.export has 4,000 dead letters because of a column that is gone
and mail.bounce 1,000 because a mailbox is full, a scheduler was killed with messages in hand and a
series among them, and invoices.* is paused by somebody who forgot it.
"""

import asyncio
import sys
import textwrap
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tests.cli.kit import COMMAND, Shell, ago, bury
from tests.journeys.kit import until

from duly import Client, Every, Message, after

DEAD: Final[Mapping[str, int]] = {"orders.export": 4000, "mail.bounce": 1000}

APP: Final = '''
"""The service: its handlers, and the scheduler that calls them."""

import asyncio
import os
from pathlib import Path

import duly

HERE = Path(__file__).parent
transport = duly.LocalTransport()


@transport.on("mail.*")
async def mail(envelope: duly.Envelope) -> None:
    if not (HERE / "smtp-is-back").exists():
        raise ConnectionRefusedError(f"smtp.internal:25 refused connection {os.getpid()}")
    note(envelope)


@transport.on("reports.daily")
async def report(envelope: duly.Envelope) -> None:
    if (HERE / "hang").exists():
        await asyncio.sleep(3600)
    note(envelope)


@transport.on("*")
async def other(envelope: duly.Envelope) -> None:
    if envelope.event_name == "orders.export" and not (HERE / "column-is-back").exists():
        raise duly.Rejected(f"unknown column 'c{envelope.message_id}'")
    note(envelope)


def note(envelope: duly.Envelope) -> None:
    with (HERE / "delivered").open("a") as file:
        file.write(f"{envelope.event_name} {envelope.message_id}\\n")


scheduler = duly.Scheduler(
    os.environ["DULY_STORE"], transport, stuck_duration=duly_minutes(30), instance=os.environ.get("INSTANCE")
)
'''


def write_app(folder: Path) -> None:
    """The service's module, in a folder."""
    text = APP.replace("duly_minutes(30)", "timedelta(minutes=30)").replace(
        "import os\nfrom pathlib", "import os\nfrom datetime import timedelta\nfrom pathlib"
    )
    (folder / "service.py").write_text(textwrap.dedent(text))


async def prepare(shell: Shell, dead: Mapping[str, int] = DEAD) -> None:
    """All five at once."""
    write_app(shell.folder)
    async with shell.client() as client:
        await _dead_letters(client, dead)
        (shell.folder / "hang").touch()
        await client.schedule_many(
            [
                Message(
                    "reports.daily",
                    id="report",
                    recurrence=Every(timedelta(hours=24)),
                    scheduled_at=ago(1),
                ),
                *(
                    Message("reports.daily", id=f"report-{n}", scheduled_at=ago(1))
                    for n in range(19)
                ),
            ]
        )
        await _killed_with(shell, client, 20)
        (shell.folder / "hang").unlink()
        await client.pause("invoices.*", by="jonas", reason="INV-204")
        await client.schedule_many(
            [
                Message("invoices.send", b'{"to": "a"}', id=f"invoice-{n}", scheduled_at=ago(900))
                for n in range(300)
            ]
        )
        await client.schedule_many(
            [Message("mail.send", id=f"welcome-{n}", scheduled_at=ago(600)) for n in range(40)]
        )
        await client.schedule_many(
            [
                Message("orders.reminder", id=f"later-{n}", scheduled_at=after(hours=n + 1))
                for n in range(50)
            ]
        )


async def _dead_letters(client: Client, dead: Mapping[str, int]) -> None:
    columns = {
        f"export-{n}": f"Rejected: unknown column 'c{n}'" for n in range(dead["orders.export"])
    }
    await bury(client, columns, name="orders.export", kind="Rejected")
    boxes = {f"bounce-{n}": f"mailbox {n}@example.test is full" for n in range(dead["mail.bounce"])}
    await bury(client, boxes, name="mail.bounce", kind="MailboxFull")


async def _killed_with(shell: Shell, client: Client, number: int) -> None:
    """A scheduler of the service that is killed when it holds so many."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--app", "service:scheduler",
        cwd=shell.folder, env=shell.environment(INSTANCE="orders-0"),
    )  # fmt: skip

    async def holds_them() -> bool:
        return (await client.stats()).claimed >= number and bool(await client.schedulers())

    try:
        await until(holds_them)
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    url, place = sys.argv[1:]
    given: Any = Shell(url, Path(place))
    asyncio.run(prepare(given))
