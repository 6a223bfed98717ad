"""``duly dead replay`` and ``duly dead purge``: all dead letters that match."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cli.kit import Shell, ago, bury
from tests.cli.terminal import at_terminal

from duly import Client, Filter, Message, State, after
from duly.store import Bury, Settle

REFUSED = {f"r{n}": f"unknown column {n}" for n in range(12)}
LOST = {f"l{n}": f"connection to host-{n} lost" for n in range(3)}
DEAD = Filter(state=State.DEAD)


async def some(client: Client) -> None:
    await bury(client, REFUSED, name="orders.export", kind="Rejected")
    await bury(client, LOST, name="mail.send", kind="OSError")
    await client.schedule(Message("mail.send", id="alive", scheduled_at=after(hours=1)))


async def left(shell: Shell) -> int:
    async with shell.client() as client:
        return len(await client.list(DEAD))


async def test_replaying_those_of_one_cause(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
    tried = shell.ok("dead", "replay", "--cause", "r3", "--dry-run")
    assert tried.out.startswith("12 dead letters would be replayed; nothing was done.\n")
    assert len(tried.out.splitlines()) == 2 + 10
    assert await left(shell) == 15
    result = shell.ok(
        "dead", "replay", "--cause", "r3", "--rate", "2", "--at", "2999-01-01T00:00Z",
        "--expect", "12",
    )  # fmt: skip
    assert result.out == (
        "12 dead letters are scheduled again, the last one due 2999-01-01 00:00:05 UTC.\n"
    )
    async with shell.client() as client:
        moved = await client.list(Filter(event_name="orders.export", state=State.SCHEDULED))
    assert [each.scheduled_at.microsecond for each in moved] == [0, 500_000] * 6
    assert await left(shell) == 3


async def test_purging(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
    asked = shell("dead", "purge", "--error-class", "OSError")
    assert asked.code == 2
    assert "Purge 3 dead letters, for good, in " in asked.err
    other = shell("dead", "purge", "--error-class", "OSError", "--expect", "4", "--yes")
    assert other.code == 3
    assert "3 dead letters match, and 4 were expected: nothing was done" in other.err
    assert await left(shell) == 15
    done = shell.ok("dead", "purge", "--error-class", "OSError", "--yes")
    assert done.out == "3 dead letters are gone for good.\n"
    assert await left(shell) == 12
    shell.ok("dead", "purge", "--all", "--yes")
    assert await left(shell) == 0
    async with shell.client() as client:
        assert (await client.get("alive")).state is State.SCHEDULED


async def test_what_died_later_is_left_alone(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await bury(client, LOST, name="mail.send", kind="OSError")
        between = datetime.now(UTC)
        await bury(client, {"late": "no"}, name="mail.send", kind="OSError")
    as_of = between.isoformat()
    for act, done in (("replay", 3), ("purge", 0)):
        result = on_sqlite.ok("dead", act, "--all", "--as-of", as_of, "--yes", "--json")
        assert result.record["done"] == done
    assert await left(on_sqlite) == 1


async def test_more_than_were_looked_at(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    few = ("--event", "orders.*", "--look-at", "5", "--yes")
    refused = on_sqlite("dead", "purge", *few, "--expect", "12")
    assert refused.code == 3
    assert "at least 5 dead letters match, more than were looked at: see --look-at" in refused.err
    tried = on_sqlite.ok("dead", "purge", *few, "--dry-run", "--json").record
    assert (tried["matched"], tried["kind"], tried["dry_run"]) == (5, "at_least", True)
    everything = on_sqlite.ok("dead", "purge", "--all", "--look-at", "5", "--dry-run")
    assert everything.out.startswith("15 dead letters would"), "of all the store keeps a count"
    assert on_sqlite.ok("dead", "purge", *few, "--json").record["done"] == 12


async def test_for_programs_and_what_is_left_out(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    record = on_sqlite.ok(
        "dead", "replay", "--event", "mail.send", "--json", "--reason", "INC-81"
    ).record
    assert {**record, "as_of": ""} == {
        "action": "replay", "matched": 3, "kind": "exact", "done": 3, "left_out": 0, "as_of": "",
        "dry_run": False, "reason_kept": False,
    }  # fmt: skip
    none = on_sqlite.ok("dead", "replay", "--event", "mail.send")
    assert none.out == "No dead letter matches: nothing was done.\n"


async def test_what_has_expired_is_left_out(on_sqlite: Shell) -> None:
    lasting, passing = Message("a", id="y", scheduled_at=ago(60)), after(hours=2)
    async with on_sqlite.client() as client:
        await client.schedule_many(
            [lasting, Message("a", id="x", scheduled_at=ago(60), expires_at=passing)]
        )
        store: Any = client._calls.store
        batch = await store.claim(
            limit=9, lease=timedelta(minutes=1), owner="h:1:t", suspects=False, settle=()
        )
        died = {each.key: Bury("no", error_class="OSError") for each in batch.claims}
        await store.settle([Settle(batch.token, died)])
    result = on_sqlite("dead", "replay", "--event", "a", "--at", "+3h")
    assert result.code == 6
    assert result.out.startswith("1 dead letter is scheduled again, due ")
    assert "1 other left out: what has expired" in result.out
    alone = on_sqlite("dead", "replay", "--event", "a", "--at", "+3h", "--json")
    assert alone.code == 3, "nothing at all was done"
    assert (alone.record["done"], alone.record["left_out"]) == (0, 1)


async def test_causes_by_text(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    for text, code in (("connection to", 0), ("n", 3), ("nothing like it", 3)):
        result = on_sqlite("dead", "replay", "--cause", text, "--dry-run")
        assert result.code == code, text
    assert "there is no dead letter and no cause 'nothing like it'" in result.err
    odd = on_sqlite("dead", "replay", "--cause", "r1", "--error", "*")
    assert odd.code == 2
    assert on_sqlite("dead", "replay").code == 2, "all of them has to be meant"
    assert await left(on_sqlite) == 15


async def test_it_is_asked_at_a_terminal(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    no = at_terminal(on_sqlite, "dead", "purge", "--all", answer="n")
    assert no.code == 3
    assert "Purge 15 dead letters, for good, in sqlite://" in no.out
    assert await left(on_sqlite) == 15
    yes = at_terminal(on_sqlite, "dead", "purge", "--all", answer="y")
    assert yes.code == 0
    assert "15 dead letters are gone for good." in yes.out
    assert await left(on_sqlite) == 0
