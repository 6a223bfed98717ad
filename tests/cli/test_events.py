"""``duly events`` and ``duly controls``: names, how much there is of each, and the rules."""

from tests.cli.kit import Shell, ago, bury

from duly import Control, Limit, Message, NameStats, after
from duly_cli.names import state_of

BARE = """
from duly import Client, MemoryStore

class Bare(MemoryStore):
    names = None  # no index of names

client = Client(Bare())
"""


async def test_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await bury(client, {"x": "no", "y": "no"}, name="orders.export", kind="Rejected")
        await client.schedule(Message("mail.send", scheduled_at=ago(120)))
        await client.schedule(Message("invoices.monthly", scheduled_at=ago(300)))
        await client.schedule(Message("invoices.monthly", scheduled_at=after(hours=1)))
        await client.pause("invoices.*", by="jonas", reason="INV-204")
        await client.limit("mail.send", rate=50)
    invoices, mail, orders = shell.ok("events", "--json").records
    assert (invoices["event_name"], invoices["is"], invoices["late"]) == (
        "invoices.monthly",
        "paused",
        False,
    )
    assert (invoices["scheduled"], invoices["due"]) == (2, 1)
    (rule,) = invoices["rules"]
    assert (rule["rule"], rule["paused"], rule["reason"], rule["by"]) == (
        "invoices.*",
        True,
        "INV-204",
        "jonas",
    )
    assert (mail["is"], mail["late"], mail["rules"][0]["rate_per_second"]) == ("late", True, 50.0)
    assert (orders["is"], orders["dead"], orders["oldest"]) == ("dead", 2, None)


async def test_sorted_for_people(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await bury(client, {"x": "no"}, name="zebra", kind="Rejected")
        await client.schedule(Message("ant", scheduled_at=ago(120)))
        await client.limit("ant", in_flight=4, by="mara", reason="slow")
    header, first, second = on_sqlite.ok("events", "--sort", "dead").out.splitlines()
    assert header.split()[:3] == ["event", "is", "scheduled"]
    assert first.split()[0] == "zebra"
    assert second.split()[:2] == ["ant", "late"]
    assert "ant is limited to 4 in flight by mara (slow)" in second


async def test_a_limit_on_names_is_said(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        for name in "abc":
            await client.schedule(Message(name, scheduled_at=after(hours=1)))
    result = on_sqlite.ok("events", "--limit", "2", "--json")
    assert [each["event_name"] for each in result.records] == ["a", "b"]
    assert result.err == "The first 2 names: there may be more, see --limit.\n"


def test_a_store_that_cannot(on_sqlite: Shell) -> None:
    (on_sqlite.folder / "bare.py").write_text(BARE)
    result = Shell(None, on_sqlite.folder)("events", "--app", "bare:client")
    assert (result.code, result.out) == (3, "")
    assert result.err == "duly: Bare has no index by which to find event names\n"


def test_an_unknown_order(on_sqlite: Shell) -> None:
    result = on_sqlite("events", "--sort", "size")
    assert result.code == 2
    assert "'oldest'" in result.err


async def test_controls(shell: Shell) -> None:
    async with shell.client() as client:
        await client.stats()
    assert shell.ok("controls").out == "nothing is paused or limited\n"
    async with shell.client() as client:
        await client.pause("mail.*", by="mara", reason="INC-81")
        await client.limit("mail.*", rate=2.5, in_flight=3)
        await client.limit("orders", in_flight=9)
    mail, orders = shell.ok("controls", "--json").records
    assert (mail["rule"], mail["paused"], mail["until"]) == ("mail.*", True, None)
    assert (mail["rate_per_second"], mail["in_flight"]) == (2.5, 3)
    assert mail["pause"]["by"] == "mara"
    assert (orders["paused"], orders["in_flight"]) == (False, 9)
    out = shell.ok("controls").out
    assert "INC-81" in out
    assert "2.5/s" in out


def test_what_needs_history_says_so(on_sqlite: Shell) -> None:
    nowhere = Shell(None, on_sqlite.folder)
    assert nowhere.ok("changes").out.startswith("Not kept here: what people did")
    assert nowhere.ok("history", "x").out.startswith("Not kept here: what became of messages")
    assert nowhere.ok("changes", "--json").out == ""
    assert nowhere.ok("history", "x", "--json").out == ""


async def test_those_that_begin_alike_and_those_that_are_late(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        for name in ("orders", "orders.a", "orders.b", "ordinary", "\ue000x"):
            await client.schedule(Message(name, scheduled_at=ago(60)))
        await client.schedule(Message("orders.later", scheduled_at=after(hours=1)))
        await client.pause("orders.b")

    def names(*words: str) -> list[str]:
        return [each["event_name"] for each in on_sqlite.ok("events", "--json", *words).records]

    assert names("--prefix", "orders.") == ["orders.a", "orders.b", "orders.later"]
    assert names("--prefix", "\ue000") == ["\ue000x"]
    assert names("--prefix", "orders.", "--late") == ["orders.a"]
    assert "nothing matches" in on_sqlite.ok("events", "--prefix", "mail.").out


def test_what_a_limit_holds_aside_is_not_late() -> None:
    """As everywhere: late leaves out what a rule holds."""
    stats = NameStats(name="mail.send", due=3, aside=1, oldest=ago(60))
    limit = Limit(since=ago(90), rate=1)
    for controls, word in [({}, "late"), ({"mail.*": Control(limit=limit)}, "aside")]:
        assert state_of(stats, controls, ago(0)) == word


def test_what_stands_aside_is_asked_for_here(on_sqlite: Shell) -> None:
    refused = on_sqlite("list", "--phase", "aside")
    assert refused.code == 2
    assert "`duly events` counts it" in " ".join(refused.err.split())
    assert on_sqlite("list", "--phase", "late").code == 2
