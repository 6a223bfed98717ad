"""Five things are wrong at once, and the command alone finds and mends them."""

import asyncio
from typing import Final

import pytest
from tests.cli.incident import prepare
from tests.cli.kit import COMMAND, Shell
from tests.journeys.kit import until

DEAD: Final = {"orders.export": 300, "mail.bounce": 100}


@pytest.mark.timeout(180)  # a dozen commands, each a process
async def test_what_is_wrong_is_found_and_mended(on_postgres: Shell) -> None:
    shell = on_postgres
    await prepare(shell, DEAD)

    # What is so?
    status = shell("status")
    assert status.code == 5
    assert "40 messages of mail.send are late, the oldest by 10 min" in status.out
    events = {each["event_name"]: each["is"] for each in shell.ok("events", "--json").records}
    assert (events["invoices.send"], events["mail.send"]) == ("paused", "late")
    causes = {each["error_class"]: each for each in shell.ok("dead", "--json").records}
    assert {name: each["number"] for name, each in causes.items()} == {
        "Rejected": DEAD["orders.export"],
        "MailboxFull": DEAD["mail.bounce"],
    }
    (paused,) = shell.ok("controls", "--json").records
    assert (paused["rule"], paused["by"], paused["reason"]) == ("invoices.*", "jonas", "INV-204")
    assert "paused by jonas (INV-204)" in shell.ok("show", "invoice-7").out
    assert "in the hands of orders-0" in shell.ok("show", "report").out

    # What its scheduler held comes back, somebody delivers, and the servers are mended.
    assert "20 messages" in shell.ok("recover", "orders-0", "--force", "--yes").out
    (shell.folder / "smtp-is-back").touch()
    (shell.folder / "column-is-back").touch()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--app", "service:scheduler", cwd=shell.folder, env=shell.environment()
    )
    try:
        shell.ok("resume", "invoices.*", "--reason", "INV-204 is done")
        replay = ("dead", "replay", "--cause", "export-0", "--expect", str(DEAD["orders.export"]))
        assert shell.ok(*replay, "--yes", "--json").record["done"] == DEAD["orders.export"]
        purge = ("dead", "purge", "--cause", "bounce-0", "--expect", str(DEAD["mail.bounce"]))
        assert shell.ok(*purge, "--yes", "--json").record["done"] == DEAD["mail.bounce"]
        async with shell.client() as client:

            async def all_is_well() -> bool:
                standing = await client.standing()
                return standing.code == "well" and standing.stats.scheduled == 51  # type: ignore[union-attr]  # it answers

            await until(all_is_well)
        assert shell.ok("status").out.startswith("All is well")
    finally:
        process.terminate()
        await process.wait()
    delivered = (shell.folder / "delivered").read_text().splitlines()
    assert len(delivered) == DEAD["orders.export"] + 300 + 40 + 20
    assert len(set(delivered)) == len(delivered)
