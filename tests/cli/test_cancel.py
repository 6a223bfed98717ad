"""``duly cancel``, ``duly fire`` and ``duly replay``: by ids, and all that match."""

from datetime import timedelta

from tests.cli.kit import Shell, bury
from tests.cli.terminal import at_terminal

from duly import Client, Every, Filter, Message, State, after


async def some(client: Client) -> None:
    await client.schedule_many(
        [Message("orders.paid", id=f"o{n}", scheduled_at=after(hours=n)) for n in range(1, 4)]
    )
    await client.schedule(Message("mail.send", id="m", scheduled_at=after(hours=1)))
    await bury(client, {"dead": "no"}, name="orders.export", kind="Rejected")


async def ids(shell: Shell) -> set[str]:
    async with shell.client() as client:
        return {each.id for each in await client.list()}


async def test_by_ids(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
    result = shell("cancel", "o1", "dead", "nowhere")
    assert result.code == 6
    first, second, third = result.out.splitlines()
    assert first == "o1 is cancelled."
    assert second.startswith("dead is a dead letter")
    assert third.startswith("nowhere is unknown")
    assert shell("cancel", "nowhere").code == 3
    assert await ids(shell) == {"o2", "o3", "m", "dead"}


async def test_all_that_match(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
    tried = shell.ok("cancel", "--event", "orders.*", "--dry-run")
    assert tried.out.startswith("3 messages would be cancelled; nothing was done.\n")
    asked = shell("cancel", "--event", "orders.*")
    assert asked.code == 2
    assert "say --yes if that is meant" in asked.err
    other = shell("cancel", "--event", "orders.*", "--yes", "--expect", "4")
    assert other.code == 3
    assert "3 messages match, and 4 were expected: nothing was done" in other.err
    assert len(await ids(shell)) == 5
    done = shell.ok("cancel", "--event", "orders.*", "--yes", "--expect", "3")
    assert done.out == "3 messages are cancelled.\n"
    assert await ids(shell) == {"m", "dead"}


async def test_what_is_in_hand_is_told(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule_many(
            [Message("a", id=id, scheduled_at=after(seconds=-60)) for id in ("x", "y")]
        )
        store = client._calls.store
        await store.claim(
            limit=1, lease=timedelta(hours=1), owner="h:1:t", suspects=False, settle=()
        )
        result = on_sqlite("cancel", "--event", "a", "--yes", "--json")
        assert result.code == 6
        assert (result.record["done"], result.record["in_hand"]) == (1, 1)
        again = on_sqlite("cancel", "x", "y")
        assert again.code == 3


async def test_for_programs(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    result = on_sqlite("cancel", "o1", "dead", "--json")
    assert result.records == [
        {"id": "o1", "outcome": "cancelled"},
        {"id": "dead", "outcome": "dead"},
    ]
    record = on_sqlite.ok("cancel", "--all", "--yes", "--json").record
    assert (record["matched"], record["kind"], record["done"]) == (3, "exact", 3)
    assert await ids(on_sqlite) == {"dead"}


async def test_what_must_be_said(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    for words, text in (
        ((), "say which messages, as --event orders.*, or --all"),
        (("--all", "--event", "a"), "--all and a filter cannot go together"),
        (("--phase", "dead"), "duly dead purge removes them"),
        (("--due-before", "yesterday"), "is no moment"),
    ):
        result = on_sqlite("cancel", *words, "--yes")
        assert result.code == 2, words
        assert text in result.err
    assert len(await ids(on_sqlite)) == 5


async def test_a_file_that_is_not_there_is_not_made(on_sqlite: Shell) -> None:
    result = on_sqlite("cancel", "o1")
    assert result.code == 3
    assert "there is no such file" in result.err
    assert not list(on_sqlite.folder.glob("*.db*"))


async def test_it_is_asked_at_a_terminal(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await some(client)
    no = at_terminal(on_sqlite, "cancel", "--event", "orders.*", answer="n")
    assert no.code == 3
    assert "Cancel 3 messages in sqlite://" in no.out
    assert "nothing was done" in no.out
    assert len(await ids(on_sqlite)) == 5
    yes = at_terminal(on_sqlite, "cancel", "--event", "orders.*", answer="y")
    assert yes.code == 0
    assert "3 messages are cancelled." in yes.out
    assert await ids(on_sqlite) == {"m", "dead"}


async def test_firing(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
        await client.schedule(Message("s", id="s", recurrence=Every(timedelta(days=1))))
    assert shell.ok("fire", "m").out == "m is due now.\n"
    record = shell.ok("fire", "s", "--json").record
    assert record["delivered_as"] != "s"
    assert shell("fire", "nowhere").code == 3
    assert shell("fire", "dead").code == 3
    async with shell.client() as client:
        assert (await client.get("m")).scheduled_at < after(seconds=1)
        assert (await client.get(record["delivered_as"])).event_name == "s"


async def test_replaying_by_ids(shell: Shell) -> None:
    async with shell.client() as client:
        await some(client)
    tried = shell("replay", "dead", "m", "--dry-run")
    assert tried.code == 6
    assert "dead would be due at once." in tried.out
    result = shell("replay", "dead", "m", "--at", "2999-01-01T00:00Z", "--json")
    assert result.code == 6
    assert [each["outcome"] for each in result.records] == ["replayed", "WrongState"]
    assert shell("replay", "nowhere").code == 3
    async with shell.client() as client:
        assert not await client.list(Filter(state=State.DEAD))
        assert (await client.get("dead")).scheduled_at.year == 2999
