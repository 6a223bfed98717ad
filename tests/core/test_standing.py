"""How things stand, in the sentence that holds first."""

from collections.abc import Sequence
from typing import Any

from tests.core.standing_kit import Shop

from duly import Client, Count, CountKind, Message, State
from duly.errors import StoreUnavailable
from duly.store import Bury, NameStats, Overdue, Settle, Stats


async def codes(store: Shop) -> Sequence[str]:
    async with Client(store, load_plugins=False) as client:
        return [each.code for each in (await client.standing()).findings]


async def sentence(store: Shop) -> str:
    async with Client(store, load_plugins=False) as client:
        standing = await client.standing()
        assert standing.code == standing.findings[0].code
        return standing.sentence


class Away(Shop):
    async def stats(self) -> Stats:
        raise StoreUnavailable("connection refused: redis://u:***@h")


async def test_a_store_that_does_not_answer() -> None:
    assert await sentence(Away()) == (
        "The store does not answer: StoreUnavailable: connection refused: redis://u:***@h. "
        "Nothing leaves, nothing is lost."
    )


async def test_nothing_at_all() -> None:
    store = Shop()
    assert await sentence(store) == "Nothing is scheduled yet."
    await store.announce()
    assert await sentence(store) == "All is well."


async def test_nobody_delivers() -> None:
    store = Shop()
    await store.scheduled("a", 90)
    assert await sentence(store) == (
        "Nobody delivers: no scheduler is alive, 1 message will be due, the next in 1 min 30 s."
    )
    store.seconds = 200
    assert await sentence(store) == (
        "Nobody delivers: no scheduler is alive, what is due waits, the oldest for 1 min 50 s."
    )
    await store.claimed()
    assert (await codes(store))[0] == "nobody"
    assert "end of a lease" in await sentence(store)


async def test_what_is_late() -> None:
    store = Shop()
    for _ in range(3):
        await store.scheduled("mail.send")
    await store.scheduled("orders.export", 100)
    store.seconds = 9
    await store.announce()
    assert (await codes(store)) == ["well"]
    store.seconds = 103
    await store.announce()
    assert await sentence(store) == ("3 messages of mail.send are late, the oldest by 1 min 43 s.")
    async with Client(store, load_plugins=False) as client:
        assert (await client.standing()).late == 3


async def test_what_a_rule_holds_back_is_not_late() -> None:
    store = Shop()
    await store.scheduled("mail.send")
    await store.scheduled("slow")
    await store.claimed(most={"slow": 0, "mail.send": 0})
    await store.scheduled("invoices.send")
    store.seconds = 100
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        await client.pause("invoices.*", by="jonas", until=store.at(3600))
        standing = await client.standing()
    assert standing.late == 0
    assert standing.sentence == (
        "All is well: invoices.* is paused by jonas until 2030-01-01 13:00:00 UTC."
    )


async def test_a_transport_that_is_away_comes_before_what_is_late() -> None:
    store = Shop()
    await store.scheduled("mail.send")
    store.seconds = 50
    await store.announce(instance="orders-0", outage="nobody answers at smtp:25", claimed=1)
    assert await codes(store) == ["away", "late"]
    assert await sentence(store) == (
        "The transport of orders-0 is away: nobody answers at smtp:25. What is due waits, nothing "
        "is counted as failed."
    )


async def test_what_fails_and_is_tried_again() -> None:
    store = Shop()
    await store.announce()
    await store.retried("mail.send", "ConnectionRefused: smtp:25", after=60)
    assert await codes(store) == ["well"]  # one failure is everyday
    await store.retried("mail.send", "ConnectionRefused: smtp:26", after=60, id="last")
    assert await sentence(store) == (
        "2 messages of mail.send failed and are tried again by themselves: ConnectionRefused: "
        "smtp:..."
    )


async def test_a_scheduler_that_is_gone() -> None:
    store = Shop()
    await store.announce("h:1:a", instance="orders-0", claimed=7)
    await store.announce("h:1:b", claimed=0)
    store.seconds = 30
    await store.announce("h:1:c")
    async with Client(store, load_plugins=False) as client:
        (finding,) = (await client.standing()).findings
    assert (finding.act, finding.about) == ("recover", "orders-0")
    assert finding.text == (
        "The scheduler orders-0 is gone: seen 30 s ago, when it held 7 messages, which come back "
        "when its leases end."
    )


async def test_one_that_has_claimed_since_it_was_seen() -> None:
    """On a file nobody writes only to be seen."""
    store = Shop()
    await store.announce("h:1:a", instance="orders-0")
    for number in range(3):
        await store.scheduled("a", id=f"a{number}")
    await store.claimed(owner="h:1:a")
    store.seconds = 20
    await store.announce("h:1:b")
    assert await sentence(store) == (
        "The scheduler orders-0 is gone: seen 20 s ago, and 3 messages in hand may be its own; "
        "they come back when its leases end."
    )
    await store.announce("h:1:b", claimed=3)
    assert await codes(store) == ["well"]


async def test_new_dead_letters_by_their_cause() -> None:
    store = Shop()
    await store.announce()
    await store.buried("old", "something else")
    store.seconds = 3700
    await store.announce()
    assert await sentence(store) == "All is well: 1 dead letter from before the last hour."
    for number in range(3):
        await store.buried("orders.export", f"unknown column 'c{number}'", "Rejected")
    await store.buried("mail.send", "no")
    async with Client(store, load_plugins=False) as client:
        first, second = (await client.standing()).findings
        assert first.filter is not None
        assert (first.filter.state, first.filter.error_class) == (State.DEAD, "Rejected")
        assert await client.count(first.filter) == Count(3, CountKind.EXACT)
    assert first.text == (
        "3 new dead letters of one cause: orders.export, Rejected: unknown column ..."
    )
    assert second.text == "1 new dead letter of one cause: mail.send, ValueError: no."


async def test_all_is_well() -> None:
    store = Shop()
    await store.announce()
    await store.scheduled("a", 0.2)
    async with Client(store, load_plugins=False) as client:
        for name in ("a.*", "b", "c", "d"):
            await client.pause(name)
        standing = await client.standing()
    assert standing.sentence == (
        "All is well: the next is due in 200 ms; a.* is paused; b is paused; c is paused; 1 more "
        "is paused."
    )
    assert standing.stats is not None
    assert standing.stats.scheduled == 1
    assert [each.owner for each in standing.schedulers] == ["h:1:a"]
    assert set(standing.controls) == {"a.*", "b", "c", "d"}


async def test_of_many_names_the_worst() -> None:
    store = Shop()
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            [Message(f"n{each:04}", scheduled_at=store.at(each / 1000)) for each in range(2500)]
        )
        store.seconds = 60
        await store.announce()
        standing = await client.standing()
    assert standing.sentence == (
        "2,500 messages of n0000, n0001, n0002 and others are late, the oldest by 1 min."
    )


async def test_a_name_is_not_late_for_what_a_limit_keeps_aside() -> None:
    store = Shop()
    await store.scheduled("mail.send")
    await store.claimed(most={"mail.send": 0})
    await store.scheduled("mail.send", 100)
    await store.scheduled("orders.export", 50)
    store.seconds = 100
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        await client.limit("mail.*", rate=0.1)
        standing = await client.standing()
    assert standing.late == 1
    assert standing.sentence == "1 message of orders.export is late, the oldest by 50 s."


async def _with_many_old_dead(store: Shop) -> None:
    async with Client(store, load_plugins=False) as client:
        messages = [Message("old", scheduled_at=store.at(0)) for _ in range(2100)]
        await client.schedule_many(messages)
    while (batch := await store.claimed()).claims:
        said = {each.key: Bury("old", error_class="ValueError") for each in batch.claims}
        await store.settle([Settle(batch.token, said)])
    store.seconds = 86_400
    await store.announce()


async def test_a_new_dead_letter_behind_very_many_old_ones() -> None:
    store = Shop()
    await _with_many_old_dead(store)
    assert await sentence(store) == (
        "All is well: 2,100 dead letters, of which not all were looked at."
    )
    await store.buried("orders.export", "no", id="new")
    assert await sentence(store) == (
        "At least 1 new dead letter of one cause: orders.export, ValueError: no."
    )


async def test_not_all_that_is_tried_again_was_looked_at() -> None:
    store = Shop()
    await store.announce()
    for number in range(2):
        await store.retried("mail.send", "nobody answers", after=100, id=f"r{number}")
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many([Message("x", scheduled_at=store.at(9)) for _ in range(2100)])
    assert (await sentence(store)).startswith("At least 2 messages of mail.send failed and are")


async def test_rules_that_only_a_newer_version_reads_are_no_store_that_is_silent() -> None:
    store = Shop()
    assert await store.write_note("controls", b'{"format": 9}', None)
    text = await sentence(store)
    assert text.startswith("The store does not tell how things stand: StoreError: the controls")
    assert "upgrade this host" in text


async def test_a_scheduler_that_is_gone_for_so_long_that_its_leases_have_ended() -> None:
    store = Shop()
    await store.announce("h:1:a", claimed=7)  # its lease is a minute
    store.seconds = 30
    await store.announce("h:1:b")
    assert await codes(store) == ["gone"]
    store.seconds = 3600
    await store.announce("h:1:b")
    assert await codes(store) == ["well"]


class Large(Shop):
    """There is more of a name than is counted, and what is due is not among it."""

    overdue: Any = None

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        return [NameStats(name="a", scheduled=most, at_least=True)] if after is None else []


async def test_late_though_what_was_counted_of_its_name_is_not() -> None:
    store = Large()
    await store.scheduled("a")
    store.seconds = 60
    await store.announce()
    assert await sentence(store) == "At least 1 message is late, the oldest by 1 min."


async def test_late_behind_many_names_that_are_not() -> None:
    store = Shop()
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        names = (f"n{each:05}" for each in range(30_000))
        await client.schedule_many(
            (Message(each, scheduled_at=store.at(1000)) for each in names), atomic=False
        )
        await store.scheduled("z")
        store.seconds = 60
        await store.announce()
        standing = await client.standing()
    assert (standing.sentence, standing.late) == (
        "1 message of z is late, the oldest by 1 min.", 1,
    )  # fmt: skip
    assert standing.late_names == ["z"]


async def test_more_is_late_than_is_looked_at() -> None:
    store = Shop()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            (Message("mail", scheduled_at=store.at(each / 10_000)) for each in range(10_001)),
            atomic=False,
        )
        store.seconds = 60
        await store.announce()
        standing = await client.standing()
        assert standing.late == 10_000
        assert standing.sentence == (
            "At least 10,000 messages of mail are late, the oldest by 1 min."
        )


async def test_what_is_paused_stands_first_in_line() -> None:
    store = Shop()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            [Message("slow", scheduled_at=store.at(each / 1000)) for each in range(2000)]
        )
        await store.scheduled("mail.send", 20)
        await client.pause("slow")
        store.seconds = 60
        await store.announce()
        standing = await client.standing()
    assert (standing.sentence, standing.late) == (
        "1 message of mail.send is late, the oldest by 40 s.", 1,
    )  # fmt: skip


async def test_a_store_that_tells_what_is_overdue_in_another_way() -> None:
    for answer in (None, Overdue(names=[None], complete=True)):  # type: ignore[list-item]  # wrong
        store = Shop()

        async def overdue(*_: Any, told: Any = answer, **__: Any) -> Any:
            return told

        store.overdue = overdue  # type: ignore[method-assign]  # a store with a bug
        await store.scheduled("a")
        store.seconds = 60
        await store.announce()
        assert "overdue" in await sentence(store)
