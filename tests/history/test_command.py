"""The command tells the past."""

from tests.cli.kit import Shell, ago, bury
from tests.history.kit import kept, thrice

import duly
from duly import Message
from duly.testing import FakeStore
from duly_history import History


def with_history(shell: Shell) -> dict[str, str]:
    return {"DULY_HISTORY": f"sqlite:///{shell.folder}/history.db", "DULY_BY": "mara"}


async def test_the_life_of_one_delivered_yesterday(shell):
    """It failed three times and was moved once; the store knows nothing of it any more."""
    environment = with_history(shell)
    store = FakeStore(now=ago(86_400))
    failures = 3

    async def handle(envelope):
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OSError("mailbox full")

    history = History(environment["DULY_HISTORY"], clock=lambda: store.now)
    async with kept(history):
        scheduler = duly.Scheduler(store, handle, plugins=[history], recovery=thrice)
        async with scheduler:
            message = Message("mail.sent", id="m-1", scheduled_at=store.after(hours=2))
            await scheduler.schedule(message)
            await scheduler.reschedule("m-1", store.after(minutes=30))
            await scheduler.drain(until=store.after(hours=1), raise_failures=False)
    async with shell.client() as client:
        await client.stats()
    told = shell.ok("show", "m-1", **environment).out
    first, empty, *life = told.splitlines()
    assert first.startswith("It is in the store no more: delivered ")
    assert empty == ""
    words = ["scheduled for", "moved to", *["failed at attempt"] * 3, "delivered at attempt 4"]
    for line, expected in zip(life, words, strict=True):
        assert expected in line
    assert "OSError: mailbox full; tried again" in life[2]
    assert "3 min late" in life[-1]
    facts = shell.ok("show", "m-1", "--json", **environment).record
    assert [each["what"] for each in facts["history"]] == [
        "scheduled", "rescheduled", "failed", "failed", "failed", "delivered",
    ]  # fmt: skip
    records = shell.ok("history", "m-1", "--json", **environment).records
    assert len(records) == 6
    listed = shell.ok("history", "--event", "mail.*", "--what", "delivered", **environment).out
    assert "m-1" in listed
    assert shell("show", "m-2", **environment).code == 3
    assert "Nothing is known of m-2" in shell.ok("history", "m-2", **environment).out


async def test_who_did_what(shell):
    environment = with_history(shell)
    async with shell.client() as client:
        for id in "abc":
            await client.schedule(Message("orders.sent", id=id, scheduled_at=duly.after(hours=1)))
        await bury(client, {"x": "no 1", "y": "no 2"}, name="orders.export", kind="Rejected")
    shell.ok("cancel", "a", "--by", "jonas", "--reason", "INC-1", **environment)
    shell.ok("move", "b", "--in", "2h", **environment)
    shell.ok("pause", "orders.*", "--reason", "INV-2", **environment)
    replayed = shell.ok("dead", "replay", "--all", "--reason", "fixed", "--json", **environment)
    assert replayed.record["reason_kept"] is True
    shell.ok("cancel", "--event", "orders.*", "--yes", **environment)
    found = shell.ok("changes", "--json", **environment).records
    told = [(each["action"], each["by"], each["number"], each["reason"]) for each in found]
    assert told == [
        ("cancel", "mara", 0, ""),  # what was in hand: nothing
        ("cancel", "mara", 4, ""),
        ("replay", "mara", 2, "fixed"),
        ("pause", "mara", 0, "INV-2"),
        ("reschedule", "mara", 1, ""),
        ("cancel", "jonas", 1, "INC-1"),
    ]
    out = shell.ok("changes", "--by", "jonas", **environment).out
    assert "INC-1" in out
    assert "mara" not in out
    assert (
        shell.ok("changes", "--action", "purge", **environment).out
        == "nobody has changed anything\n"
    )


async def test_rates(shell):
    environment = with_history(shell)
    history = History(environment["DULY_HISTORY"])

    async def refuse(envelope):
        if envelope.event_name == "orders.export":
            raise duly.Rejected(f"no column {envelope.message_id}")

    async with kept(history):
        async with duly.Scheduler(shell.url, refuse, plugins=[history]) as scheduler:
            for name in ("orders.export", "mail.sent"):
                await scheduler.schedule(Message(name, id=name, scheduled_at=duly.after()))
            await scheduler.drain(raise_failures=False)
    header, mail, orders = shell.ok("events", **environment).out.splitlines()
    assert header.split()[-6:] == ["rate", "failed", "p50", "late", "p99", "late"]
    assert mail.split()[:2] == ["mail.sent", "well"]
    assert "0.0167/min" in mail
    assert orders.split()[:2] == ["orders.export", "dead"]
    first, _ = shell.ok("events", "--json", **environment).records
    assert first["last_hour"]["delivered"] == 1
    assert first["last_hour"]["lateness_p99_seconds"] is not None
    assert "1 failure of it in the last hour" in shell.ok("dead", **environment).out
    assert shell.ok("dead", "--json", **environment).record["failures_last_hour"] == 1


async def test_which_history(shell):
    shell.ok("migrate")
    assert "--history URL, DULY_HISTORY, or a context" in shell.ok("history", "x").out
    url = f"sqlite:///{shell.folder}/history.db"
    shell.ok("pause", "mail", "--history", url)
    shell.ok("context", "add", "here", "--store", shell.url, "--history", url)
    nowhere = Shell(None, shell.folder)
    out = nowhere.ok("changes", "--context", "here").out
    assert "pause" in out
    nowhere.ok("resume", "mail", "--context", "here")
    assert len(nowhere.ok("changes", "--context", "here", "--json").records) == 2
    refused = shell("changes", "--history", "redis://u:secret@h")
    assert (refused.code, "secret" in refused.err) == (2, False)


async def test_a_store_is_told_of_without_its_history(shell):
    async with shell.client() as client:
        await client.schedule(Message("tick", id="a", scheduled_at=duly.after(hours=1)))
    away = {"DULY_HISTORY": "postgresql://127.0.0.1:1/nowhere"}
    shown = shell.ok("show", "a", **away)
    assert "What became of it before is not known: history postgresql:" in shown.err
    assert "It is due" in shown.out
    assert shell.ok("events", **away).err.startswith("Rates are not known")
    refused = shell("cancel", "a", **away)
    assert refused.code == 4
    assert "the change cannot be written down, so nothing was changed" in refused.err
    assert shell.ok("show", "a").out.startswith("It is due")
