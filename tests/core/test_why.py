"""Why a message is where it is, in one sentence."""

import pytest
from tests.core.standing_kit import Shop

from duly import Client, MessageNotFound, Phase
from duly.store import Counters, Reschedule, Settle


async def told(store: Shop, id: str) -> tuple[str, str]:
    async with Client(store, load_plugins=False) as client:
        why = await client.why(id)
        assert why.message.id == id
        return why.code, why.text


async def test_one_that_waits_for_its_time() -> None:
    store = Shop()
    await store.scheduled("a", 4000, id="a")
    code, text = await told(store, "a")
    assert code == "scheduled"
    assert text == "It is due at 2030-01-01 13:06:40 UTC, in 1 h 6 min."


async def test_one_that_is_tried_again() -> None:
    store = Shop()
    await store.retried("a", "nobody answers", after=30, id="a")
    code, text = await told(store, "a")
    assert code == "retrying"
    assert text == (
        "It waits for attempt 2 at 2030-01-01 12:00:30 UTC, in 30 s. The last one failed: "
        "nobody answers."
    )


async def test_a_dead_letter() -> None:
    store = Shop()
    await store.buried("a", "unknown column", id="a")
    code, text = await told(store, "a")
    assert code == "dead"
    assert text == (
        "It is a dead letter since 2030-01-01 12:00:00 UTC, given up after 1 attempt: unknown "
        "column. It stays until it is replayed or purged."
    )


async def test_one_in_the_hands_of_a_scheduler() -> None:
    store = Shop()
    await store.announce("h:1:a", instance="orders-0", claimed=1)
    await store.scheduled("a", id="a")
    await store.claimed(owner="h:1:a")
    async with Client(store, load_plugins=False) as client:
        why = await client.why("a")
        assert (why.code, why.holder, why.until) == ("claimed", "h:1:a", store.at(300))
        assert why.phase is Phase.CLAIMED
        assert why.text == (
            "It is in the hands of orders-0 (h:1:a), whose lease is good until 2030-01-01 "
            "12:05:00 UTC."
        )
        store.seconds = 60  # nothing was heard of it since
        assert (
            "last seen at 2030-01-01 12:00:00 UTC and counts as gone"
            in (await client.why("a")).text
        )
        store.seconds = 301
        assert (await client.why("a")).code == "lapsed"


async def test_one_that_is_due() -> None:
    store = Shop()
    await store.scheduled("a", id="a")
    store.seconds = 75
    code, text = await told(store, "a")
    assert code == "nobody"
    assert text == "It is 1 min 15 s late: no scheduler is alive. Start one."
    await store.announce("h:1:a")
    assert (await told(store, "a"))[0] == "late"
    await store.announce("h:1:a", outage="nobody answers")
    code, text = await told(store, "a")
    assert code == "away"
    assert text == (
        "It is 1 min 15 s late: the transport is away (nobody answers). Nothing is counted."
    )
    await store.announce("h:1:b")  # another one's is not
    assert (await told(store, "a"))[0] == "late"


@pytest.mark.parametrize(("rule", "others"), [("mail.*", "mail.send"), ("mail.send", "mail.*")])
async def test_one_that_a_rule_pauses(rule: str, others: str) -> None:
    store = Shop()
    await store.announce()
    await store.scheduled("mail.send", id="a")
    await store.scheduled("mail.send", 3600, id="b")
    store.seconds = 5
    async with Client(store, load_plugins=False) as client:
        await client.pause(rule, by="jonas", reason="INV-204", until=store.at(7200))
        await client.limit(others, rate=1)
        why = await client.why("a")
        assert (why.code, why.rule, why.until) == ("paused", rule, store.at(7200))
        assert why.text == (
            f"Due since 2030-01-01 12:00:00 UTC, and {rule} is paused by jonas until 2030-01-01 "
            "14:00:00 UTC (INV-204)."
        )
        why = await client.why("b")
        assert (why.code, why.rule) == ("scheduled", rule)
        assert f"By then {rule} is paused by jonas" in why.text
        await client.pause(rule, until=store.at(60))  # over before it is due
        assert "paused" not in (await client.why("b")).text


async def test_one_that_stands_aside() -> None:
    store = Shop()
    await store.announce()
    await store.scheduled("slow", id="a")
    await store.claimed(most={"slow": 0})
    store.seconds = 20
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        why = await client.why("a")
        assert (why.code, why.phase) == ("aside", Phase.ASIDE)
        assert why.text.startswith("Due since 2030-01-01 12:00:00 UTC, it stands aside")
        await client.limit("slow", rate=2)
        why = await client.why("a")
        assert (why.code, why.rule) == ("limited", "slow")


async def test_one_that_nobody_knows() -> None:
    with pytest.raises(MessageNotFound):
        await told(Shop(), "a")


async def test_of_two_pauses_the_one_that_lasts_longer_is_told() -> None:
    store = Shop()
    await store.announce()
    await store.scheduled("mail.send", id="a")
    await store.scheduled("mail.send", 3600, id="b")
    store.seconds = 5
    async with Client(store, load_plugins=False) as client:
        await client.pause("mail.send", reason="INV-204")
        await client.pause("*", until=store.at(60))
        why = await client.why("a")
        assert (why.code, why.rule, why.until) == ("paused", "mail.send", None)
        assert "By then mail.send is paused (INV-204)" in (await client.why("b")).text


async def test_the_rules_that_limit_it_are_told_and_no_others() -> None:
    store = Shop()
    await store.scheduled("mail.send", id="a")
    await store.claimed(most={"mail.send": 0})
    store.seconds = 20
    await store.announce()
    async with Client(store, load_plugins=False) as client:
        await client.limit("*", rate=1000)
        await client.limit("mail.send", rate=0.1)
        why = await client.why("a")
        assert (why.code, why.rule) == ("limited", "mail.send")
        assert "the rule for mail.send limits" in why.text
        await client.limit("*", rate=1000, in_flight=3)
        assert "the rules for mail.send and * limit" in (await client.why("a")).text


async def test_a_dead_letter_that_was_never_tried() -> None:
    store = Shop()
    await store.buried("a", "Expired: expired at 12:00", "Expired", id="a")
    assert "given up before any attempt: Expired" in (await told(store, "a"))[1]


async def test_one_that_is_tried_again_as_its_scheduler_died() -> None:
    store = Shop()
    await store.scheduled("a", id="a")
    batch = await store.claimed()
    (claim,) = batch.claims
    counters = Counters(store.at(0), retry_count=1)
    await store.settle([Settle(batch.token, {claim.key: Reschedule(store.at(30), counters)})])
    assert (await told(store, "a"))[1].endswith("in 30 s. The last one failed.")
