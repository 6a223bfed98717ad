"""Each hook, heard from a client or scheduler at work; a test for each is named after it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest

import duly
from duly import plugins
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.store import Group

SOON = timedelta(milliseconds=10)


@attrs.define(eq=False)
class Listener:
    """Notes what every observing hook tells."""

    heard: dict[str, list[Any]] = attrs.field(factory=dict)

    def note(self, hook, told):
        self.heard.setdefault(hook, []).append(told)

    def of(self, hook):
        """All that was told in one list, whatever the batches."""
        return [each for told in self.heard.get(hook, []) for each in told]

    @duly.hookimpl
    def duly_controlled(self, controlled):
        self.note("controlled", controlled)

    @duly.hookimpl
    def duly_started(self, scheduler):
        self.note("started", scheduler)

    @duly.hookimpl
    def duly_stopped(self, scheduler):
        self.note("stopped", scheduler)

    @duly.hookimpl
    def duly_scheduled(self, messages):
        self.note("scheduled", messages)

    @duly.hookimpl
    def duly_cancelled(self, message_ids):
        self.note("cancelled", message_ids)

    @duly.hookimpl
    def duly_claimed(self, messages):
        self.note("claimed", messages)

    @duly.hookimpl
    def duly_delivered(self, deliveries):
        self.note("delivered", deliveries)

    @duly.hookimpl
    def duly_failed(self, failures, verdicts):
        self.note("failed", failures)
        self.note("verdicts", verdicts)

    @duly.hookimpl
    def duly_buried(self, burials):
        self.note("buried", burials)

    @duly.hookimpl
    def duly_rescheduled(self, message_ids, scheduled_at):
        self.note("rescheduled", [(id, scheduled_at) for id in message_ids])

    @duly.hookimpl
    def duly_ensured(self, messages, outcomes):
        both = zip(messages, outcomes, strict=True)
        self.note("ensured", [(each.id, what) for each, what in both])

    @duly.hookimpl
    def duly_replayed(self, message_ids):
        self.note("replayed", message_ids)

    @duly.hookimpl
    def duly_purged(self, message_ids):
        self.note("purged", message_ids)

    @duly.hookimpl
    def duly_closed(self, client):
        self.note("closed", client)

    @duly.hookimpl
    def duly_missed(self, missed):
        self.note("missed", missed)


class Deaf:
    """Raises whenever it is told anything."""

    def __init__(self, error=RuntimeError):
        self.error = error

    def fail(self, *_told):
        raise self.error("deaf")

    for hook, argument in {
        "duly_started": "scheduler", "duly_stopped": "scheduler", "duly_scheduled": "messages",
        "duly_cancelled": "message_ids", "duly_claimed": "messages", "duly_delivered": "deliveries",
        "duly_failed": "failures", "duly_missed": "missed", "duly_closed": "client",
        "duly_buried": "burials", "duly_rescheduled": "message_ids", "duly_purged": "message_ids",
        "duly_replayed": "message_ids", "duly_ensured": "messages", "duly_changed": "change",
    }.items():  # fmt: skip
        exec(f"@duly.hookimpl\ndef {hook}(self, {argument}): self.fail()")


def message(event_name: str = "orders.reminder", **arguments) -> duly.Message:
    return duly.Message(event_name, scheduled_at=duly.after(), **arguments)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # hooks are told on this very loop
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scheduler(handler, *plugins, **arguments) -> AsyncIterator[duly.Scheduler]:
    async with duly.Scheduler(
        MemoryStore(), handler, plugins=plugins, load_plugins=False, **arguments
    ) as made:
        yield made


async def deliver(_envelope: duly.Envelope) -> None:
    pass


async def fail(_envelope: duly.Envelope) -> None:
    raise ValueError("broken")


async def test_duly_stores():
    made: list[str] = []

    class Shop:
        @duly.hookimpl
        def duly_stores(self):
            def make(url):
                made.append(url)
                return MemoryStore()

            return {"shop": make}

    async with duly.Client("shop://here?x=1", plugins=[Shop()]) as client:
        await client.schedule(message())
    assert made == ["shop://here?x=1"]


async def test_duly_transports():
    published = []

    class Radio:
        async def open(self):
            published.append("opened")

        async def close(self):
            published.append("closed")

        async def publish(self, envelope):
            published.append(envelope.event_name)

    class Plugin:
        @duly.hookimpl
        def duly_transports(self):
            return {"radio": lambda _url: Radio()}

    async with scheduler("radio://", Plugin()) as running, running.running():
        await running.schedule(message("news"))
        await until(lambda: "news" in published)
    assert published == ["opened", "news", "closed"]


async def test_duly_codec(install):
    install(
        "import duly\n"
        "class Lines:\n"
        "    content_type = 'text/csv'\n"
        "    def encode(self, rows): return '\\n'.join(rows).encode()\n"
        "    def decode(self, data): return set(data.decode().split())\n"
        "@duly.hookimpl\n"
        "def duly_codec(type):\n"
        "    return Lines() if type == set[str] else None\n",
        hooks=["duly_codec"],
    )
    event = duly.Event("rows", set[str])
    read = []

    async def handler(envelope):
        read.append((envelope.metadata["content-type"], event.read(envelope)))

    async with scheduler(handler) as running, running.running():
        await running.schedule(event.message({"a", "b"}, scheduled_at=duly.after()))
        await until(lambda: read)
    assert read == [("text/csv", {"a", "b"})]


async def test_duly_commands(install):
    module = install(
        "import duly\n@duly.hookimpl\ndef duly_commands(): return []\n", hooks=["duly_commands"]
    )
    async with duly.Scheduler("memory://", deliver) as running, running.running():
        assert (await running.health()).status is duly.Status.HEALTHY
    assert module not in sys.modules  # the command alone asks: see tests/cli/test_plugins.py
    (plugin,) = plugins.installed()
    assert plugin.hooks == ["duly_commands"]
    assert not plugin.is_always_imported
    assert not plugins.flaws_of(plugin.load(), hooks=plugin.hooks)


async def test_duly_started_and_duly_stopped_once_each_run():
    listener = Listener()
    async with scheduler(deliver, listener) as running:
        assert listener.heard == {}
        for run in (1, 2):
            async with running.running():
                assert listener.heard["started"] == [running] * run
                assert len(listener.heard.get("stopped", [])) == run - 1
            assert listener.heard["stopped"] == [running] * run


async def test_duly_started():
    listener = Listener()
    async with scheduler(deliver, listener) as running, running.running():
        assert listener.heard["started"] == [running]


async def test_duly_stopped():
    listener = Listener()
    async with scheduler(deliver, listener) as running:
        async with running.running():
            await running.schedule(message())
            await until(lambda: listener.heard.get("delivered"))
            assert "stopped" not in listener.heard
        assert listener.heard["stopped"] == [running]


async def test_duly_closed():
    listener = Listener()
    client = duly.Client(MemoryStore(), plugins=[listener])
    await client.close()
    assert "closed" not in listener.heard, "it was never open"
    for times in (1, 2):
        async with client:
            assert len(listener.heard.get("closed", [])) == times - 1
        await client.close()
        assert listener.heard["closed"] == [client] * times


async def test_duly_closed_of_a_scheduler_comes_last():
    listener = Listener()
    async with scheduler(deliver, listener) as running, running.running():
        await running.schedule(message())
        await until(lambda: listener.heard.get("delivered"))
    assert listener.heard["closed"] == [running]
    assert [*listener.heard][-2:] == ["stopped", "closed"]


async def test_duly_closed_though_the_store_cannot_be_closed():
    class Stuck(MemoryStore):
        async def close(self):
            raise OSError("disk full")

    class Plugin(Listener):
        @duly.hookimpl
        def duly_stores(self):
            return {"stuck": lambda _url: Stuck()}

    listener = Plugin()
    client = duly.Client("stuck://", plugins=[listener])
    await client.open()
    with pytest.raises(OSError, match="disk full"):
        await client.close()
    assert listener.heard["closed"] == [client]


async def test_duly_scheduled():
    listener = Listener()
    async with duly.Client(MemoryStore(), plugins=[listener]) as client:
        first, *others = [message(id=each) for each in "abcd"]
        await client.schedule(first)
        await client.schedule_many(others)
        assert listener.of("scheduled") == [first, *others]
        assert len(listener.heard["scheduled"]) == 2
        with pytest.raises(duly.DuplicateMessage):
            await client.schedule(message(id="a"))
        with pytest.raises(duly.PartlyScheduled):
            await client.schedule_many([message(id="b"), message(id="e")], atomic=False)
        assert [each.id for each in listener.of("scheduled")] == list("abcde")


class Witness:
    """Notes changes, and refuses those of whom it knows nothing."""

    def __init__(self, refusal=None):
        self.told = []
        self.refusal = refusal

    @duly.hookimpl
    def duly_changing(self, change, owner):
        self.told.append(("begins", change.action, change.target, change.by, change.reason, owner))
        if self.refusal is not None:
            return self._refuse()
        return asyncio.sleep(0)

    @duly.hookimpl
    def duly_changed(self, change, done, error):
        kind = None if error is None else type(error).__name__
        self.told.append(("ended", change.action, done.number, done.outcome, kind))

    async def _refuse(self):
        raise self.refusal


async def test_duly_changing():
    witness = Witness()
    async with duly.Client(MemoryStore(), plugins=[witness]) as client:
        await client.schedule_many([message(id=each) for each in "abc"])
        with duly.acting(by="mara", reason="INC-81"):
            await client.cancel("a")
            await client.pause("orders.*", by="jonas")
        witness.refusal = duly.WrongState("not now")
        with pytest.raises(duly.WrongState, match="not now"):
            await client.cancel("b")
        witness.refusal = ValueError("redis://u:secret@h")
        with pytest.raises(duly.PluginError, match="duly_changing: ValueError: redis") as caught:
            await client.purge(everything=True)
        assert "secret" not in str(caught.value)
        assert (await client.get("b")).id == "b"
    assert [each for each in witness.told if each[0] == "begins"] == [
        ("begins", "cancel", "a", "mara", "INC-81", None),
        ("begins", "pause", "orders.*", "jonas", "INC-81", None),
        ("begins", "cancel", "b", "", "", None),
        ("begins", "purge", "", "", "", None),
    ]
    with pytest.raises(duly.InvalidArgument, match="by must"), duly.acting(by="x" * 256):
        pass


async def test_duly_changed():
    witness = Witness()
    async with duly.Client(MemoryStore(), plugins=[witness, Deaf()]) as client:
        await client.schedule_many([message(id=each) for each in "abcd"])
        await client.fire("a")
        await client.cancel_many(ids=["a", "b", "x"])
        with pytest.raises(duly.MessageNotFound):
            await client.reschedule("x", duly.after())
        assert await client.cancel("x", missing_ok=True) is duly.Cancellation.UNKNOWN
        async with duly.changing(client, "cancel") as change:
            await client.cancel("c")
            await client.cancel_many(duly.Filter(event_name="orders.reminder"))
        assert change.number == 2
        with pytest.raises(duly.InvalidArgument, match=r"takes a duly.Client, not a str"):
            duly.changing("memory://", "cancel")
    assert [each for each in witness.told if each[0] == "ended"] == [
        ("ended", "fire", 1, "", None),
        ("ended", "cancel", 2, "", None),
        ("ended", "reschedule", 0, "", "MessageNotFound"),
        ("ended", "cancel", 0, "unknown", None),
        ("ended", "cancel", 2, "", None),
    ]


def test_who_acts_is_told_of_blocking_code_too():
    witness = Witness()
    with duly.sync.Client(MemoryStore(), plugins=[witness]) as client:
        with duly.acting(by="mara"):
            client.pause("orders.*")
        client.resume("orders.*")
    assert [each[3] for each in witness.told if each[0] == "begins"] == ["mara", ""]


async def test_what_a_witness_raises_afterwards_is_logged(caplog):
    class Forgetful:
        @duly.hookimpl
        def duly_changed(self):
            raise RuntimeError("pen lost")

    async with duly.Client(MemoryStore(), plugins=[Forgetful()]) as client:
        await client.pause("orders.*")
    assert "witness_failed" in caplog.text


async def test_observers_are_told_of_which_scheduler():
    class Owners:
        told = []

        @duly.hookimpl
        def duly_scheduled(self, owner):
            self.told.append(owner)

        @duly.hookimpl
        def duly_delivered(self, owner):
            self.told.append(owner)

        @duly.hookimpl
        def duly_cancelled(self, message_ids, event_names):
            self.told.append((message_ids, event_names))

    owners = Owners()
    async with scheduler(print, owners) as running:
        await running.schedule(message(id="a"))
        async with running.running():
            await until(lambda: len(owners.told) == 2)
            (only,) = await running.schedulers()
        await running.schedule(message(id="b"))
        await running.cancel_many(duly.Filter(event_name="orders.reminder"))
    assert owners.told == [None, only.owner, only.owner, (["b"], ["orders.reminder"])]


async def test_duly_cancelled():
    listener = Listener()
    async with duly.Client(MemoryStore(), plugins=[listener]) as client:
        await client.schedule_many([message(id=each) for each in "abc"])
        await client.cancel("a")
        assert listener.heard["cancelled"] == [["a"]]
        await client.cancel("a", missing_ok=True)
        await client.cancel_many(duly.Filter(event_name="orders.reminder"))
        assert sorted(listener.of("cancelled")) == ["a", "b", "c"]


async def test_duly_cancelled_is_not_told_of_what_came_too_late():
    listener, entered, leave = Listener(), asyncio.Event(), asyncio.Event()

    async def wait(_envelope):
        entered.set()
        await leave.wait()

    async with scheduler(wait, listener) as running, running.running():
        await running.schedule(message(id="a"))
        await entered.wait()
        assert await running.cancel("a") is duly.Cancellation.TOO_LATE
        leave.set()
    assert "cancelled" not in listener.heard


async def test_duly_claimed():
    listener = Listener()
    async with scheduler(deliver, listener) as running:
        await running.schedule_many([message(id=each) for each in "abc"])
        async with running.running():
            await until(lambda: len(listener.of("claimed")) == 3)
    assert {each.id for each in listener.of("claimed")} == {*"abc"}
    assert {each.state for each in listener.of("claimed")} == {duly.State.CLAIMED}


async def test_duly_claimed_is_told_only_of_what_is_about_to_be_published():
    listener = Listener()
    skipping = duly.Every(timedelta(hours=1), missed="skip")
    async with scheduler(deliver, listener) as running:
        ago = duly.after(hours=-2.5)
        expired = ago + timedelta(hours=1)
        await running.schedule(duly.Message("x", id="a", scheduled_at=ago, recurrence=skipping))
        await running.schedule(duly.Message("x", id="b", scheduled_at=ago, expires_at=expired))
        await running.schedule(message(id="c"))
        async with running.running():
            await until(lambda: len(listener.of("missed") + listener.of("failed")) == 2)
            await until(lambda: listener.of("delivered"))
    assert [each.id for each in listener.of("claimed")] == ["c"]


async def test_duly_missed():
    listener = Listener()
    start = duly.after(hours=-3.5)
    async with scheduler(deliver, listener) as running:
        for missed in ("skip", "once", "all"):
            hourly = duly.Every(timedelta(hours=1), missed=missed)
            series = duly.Message("x", id=missed, scheduled_at=start, recurrence=hourly)
            await running.schedule(series)
        async with running.running():
            await until(lambda: len(listener.of("missed")) == 2)
            await until(lambda: len(listener.of("delivered")) == 1 + 4)
        later = await running.get("skip")
    told = {each.message.id: each for each in listener.of("missed")}
    hours = [start + timedelta(hours=number) for number in range(5)]
    assert told["skip"].message.occurrence_count == 0
    assert (told["skip"].first, told["skip"].last, told["skip"].count) == (hours[0], hours[3], 4)
    assert told["skip"].following == later.scheduled_at == hours[4]
    assert (told["once"].first, told["once"].last, told["once"].count) == (hours[0], hours[2], 3)
    assert told["once"].following == hours[3]


async def test_duly_delivered():
    listener = Listener()

    async def receipt(envelope):
        return f"receipt of {envelope.message_id}"

    async with scheduler(receipt, listener) as running, running.running():
        late = duly.Message("orders.reminder", id="late", scheduled_at=duly.after(minutes=-2))
        await running.schedule_many([message(id="a"), late])
        await until(lambda: len(listener.of("delivered")) == 2)
        stats = await running.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (0, 0, 0)
    lateness = {each.message.id: each.lateness for each in listener.of("delivered")}
    assert timedelta(0) <= lateness["a"] < timedelta(seconds=10)
    assert timedelta(minutes=2) <= lateness["late"] < timedelta(minutes=3)


async def test_duly_failed():
    listener = Listener()
    policy = duly.Backoff(initial=SOON, max_retries=1)
    async with scheduler(fail, listener, recovery=policy) as running, running.running():
        await running.schedule(message(id="a"))
        await until(lambda: len(listener.of("failed")) == 2)
        dead = await running.get("a")  # told once what was decided is stored
    assert dead.state is duly.State.DEAD
    assert [(each.message.id, each.attempt, str(each.error)) for each in listener.of("failed")] == [
        ("a", 1, "broken"),
        ("a", 2, "broken"),
    ]
    first, second = listener.of("verdicts")
    assert isinstance(first, duly.Retry)
    assert second == duly.Bury("ValueError: broken")
    assert "delivered" not in listener.heard


async def test_duly_buried():
    listener = Listener()
    policy = duly.Backoff(max_retries=0)
    async with scheduler(fail, listener, recovery=policy) as running, running.running():
        series = duly.Every(timedelta(hours=1))
        await running.schedule_many([message(id="a"), message(id="s", recurrence=series)])
        await until(lambda: len(listener.of("buried")) == 2)
        burials = {each.message.id: each for each in listener.of("buried")}
        for burial in burials.values():
            dead = await running.get(burial.message_id)
            assert dead.state is duly.State.DEAD
            assert (dead.last_error, dead.error_class) == (burial.reason, burial.error_class)
            assert (burial.reason, burial.error_class) == ("ValueError: broken", "ValueError")
    assert burials["a"].message_id == "a"
    assert burials["s"].message_id == burials["s"].message.delivery_id


async def test_duly_rescheduled():
    listener = Listener()
    async with duly.Client("memory://", plugins=[listener], load_plugins=False) as client:
        await client.schedule(message(id="a"))
        at = duly.after(hours=1)
        await client.reschedule("a", at)
        assert await client.reschedule("b", at, missing_ok=True) is False
        with pytest.raises(duly.MessageNotFound):
            await client.reschedule("b", at)
    assert listener.of("rescheduled") == [("a", at)]


async def test_duly_ensured():
    listener = Listener()
    async with duly.Client("memory://", plugins=[listener], load_plugins=False) as client:
        series = duly.Message("tick", id="s", recurrence=duly.Every(timedelta(hours=1)))
        await client.ensure(series)
        await client.declare([series], by="me", generation=1)
    assert listener.of("ensured") == [("s", duly.Ensured.STORED), ("s", duly.Ensured.SAME)]


async def test_duly_replayed():
    listener = Listener()
    async with dead_letters(listener, "a", "b", "c") as running:
        await running.replay("a")
        assert await running.replay_many(duly.Filter(ids=["b"])) == 1
        with pytest.raises(duly.WrongState):
            await running.replay("a")
    assert listener.of("replayed") == ["a", "b"]


async def test_duly_controlled():
    listener = Listener()
    async with duly.Client("memory://", plugins=[listener]) as client:
        await client.pause("a.*", reason="r", by="b")
        assert not await client.resume("b")
        await client.limit("b", rate=1)
        await client.resume("a.*")
    told = [(each.name, each.action, each.reason) for each in listener.heard["controlled"]]
    assert told == [("a.*", "pause", "r"), ("b", "limit", ""), ("a.*", "resume", "")]


async def test_duly_purged():
    listener = Listener()
    async with dead_letters(listener, "a", "b") as running:
        await running.schedule(message(id="c"))
        assert await running.purge(duly.Filter(id_prefix="b")) == 1
        assert await running.purge(everything=True) == 1
        await running.cancel("c")
    assert listener.of("purged") == ["b", "a"]


class Leaving(MemoryStore):
    """Is away for the second call of those that change something."""

    calls = 0

    def _go(self):
        self.calls += 1
        if self.calls == 2:
            raise duly.StoreUnavailable("gone")

    async def cancel(self, ids, **more):
        self._go()
        return await super().cancel(ids, **more)

    async def reschedule(self, id, at, **more):
        self._go()
        return await super().reschedule(id, at, **more)


@pytest.mark.parametrize("verb", ["cancel_many", "cancel_many by ids", "purge", "replay_many"])
async def test_what_was_done_before_the_store_went_away_is_told(verb):
    listener, store = Listener(), Leaving()
    state = duly.State.SCHEDULED if "cancel" in verb else duly.State.DEAD
    ids = [f"{n:03}" for n in range(3 if verb == "replay_many" else 600)]
    stored = [with_changes(message(id=id), state=state) for id in ids]
    await store.put([Group(stored, as_is=True)])
    wanted = duly.Filter(id_prefix="0") if verb == "replay_many" else duly.Filter(state=state)
    async with duly.Client(store, plugins=[listener], load_plugins=False) as client:
        with pytest.raises(duly.StoreUnavailable):
            match verb:
                case "cancel_many":
                    await client.cancel_many(wanted)
                case "cancel_many by ids":
                    await client.cancel_many(ids=ids)
                case "purge":
                    await client.purge(wanted, everything=True)
                case _:
                    await client.replay_many(wanted)
        left = {each.id for each in await client.list(duly.Filter(state=state))}
    (told,) = listener.heard.keys() - {"closed"}
    assert listener.of(told) == [id for id in ids if id not in left]
    assert 0 < len(left) < len(ids)


@asynccontextmanager
async def dead_letters(listener: Listener, *ids: str) -> AsyncIterator[duly.Scheduler]:
    """A scheduler that does not run any more, with dead letters of these ids."""
    async with scheduler(fail, listener, recovery=duly.Backoff(max_retries=0)) as made:
        await made.schedule_many([message(id=id) for id in ids])
        async with made.running():
            await until(lambda: len(listener.of("buried")) == len(ids))
        yield made


class Decider:
    """Answers what it is given, and notes that it was asked."""

    def __init__(self, asked, name, answer=None):
        self.asked, self.name, self.answer = asked, name, answer

    @duly.hookimpl
    def duly_recover(self, failure):
        self.asked.append(self.name)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


async def outcome(*plugins, recovery=None) -> duly.Message | None:
    """What became of a message that fails; None when it was dropped."""
    listener = Listener()
    async with (
        scheduler(fail, *plugins, listener, recovery=recovery) as running,
        running.running(),
    ):
        await running.schedule(message(id="a"))
        await until(lambda: listener.of("failed"))
        found = await running.list()
    return found[0] if found else None


async def test_duly_recover():
    asked: list[str] = []
    deciders = [Decider(asked, "first"), Decider(asked, "second", duly.Bury("enough"))]
    dead = await outcome(*deciders, Decider(asked, "third"))
    assert asked == ["third", "second"]
    assert dead is not None
    assert dead.state is duly.State.DEAD
    assert dead.last_error == "enough"


async def test_duly_recover_may_discard():
    assert await outcome(Decider([], "only", duly.Discard())) is None


async def test_duly_recover_may_retry_when_it_likes():
    waiting = await outcome(Decider([], "only", duly.Retry(timedelta(hours=1))))
    assert waiting is not None
    assert waiting.state is duly.State.SCHEDULED
    assert waiting.retry_count == 1
    assert (
        timedelta(minutes=59)
        < waiting.next_attempt_at - waiting.scheduled_at
        < timedelta(minutes=61)
    )


async def test_duly_recover_is_followed_by_the_policy():
    asked: list[str] = []

    def policy(failure: duly.Failure) -> duly.Verdict | None:
        asked.append("policy")
        assert isinstance(failure.error, ValueError)
        return duly.Bury("by the policy")

    dead = await outcome(Decider(asked, "plugin"), recovery=policy)
    assert asked == ["plugin", "policy"]
    assert dead is not None
    assert dead.last_error == "by the policy"


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("undecided"),
        SystemExit("undecided"),
        asyncio.CancelledError(),
        "retry",
        duly.Discard,
        0,
        False,
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
async def test_duly_recover_that_raises_or_answers_nonsense_has_no_opinion(answer, caplog):
    asked: list[str] = []
    dead = await outcome(
        Decider(asked, "first", duly.Bury("enough")), Decider(asked, "second", answer)
    )
    assert asked == ["second", "first"]
    assert dead is not None
    assert dead.last_error == "enough"
    assert "decider_" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("undecided"), SystemExit("undecided"), asyncio.CancelledError(), "retry", None],
    ids=repr,
)
async def test_a_policy_that_raises_or_answers_nonsense_leaves_it_to_the_default(answer):
    def policy(_failure):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    waiting = await outcome(recovery=policy)
    assert waiting is not None
    assert waiting.state is duly.State.SCHEDULED
    assert waiting.retry_count == 1


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, asyncio.CancelledError])
async def test_observers_that_raise_stop_nothing(caplog, error):
    listener, policy = Listener(), duly.Backoff(max_retries=0)

    async def sometimes(envelope):
        if envelope.message_id == "b":
            raise ValueError("broken")

    async with scheduler(sometimes, Deaf(error), listener, Deaf(error), recovery=policy) as running:
        async with running.running():
            await running.schedule_many([message(id=each) for each in "abc"])
            skipping = duly.Every(timedelta(hours=1), missed="skip")
            ago = duly.after(hours=-1.5)
            await running.schedule(duly.Message("x", id="s", scheduled_at=ago, recurrence=skipping))
            await running.schedule(duly.Message("later", id="d", scheduled_at=duly.after(hours=1)))
            await running.cancel("d")
            await until(lambda: len(listener.of("delivered") + listener.of("failed")) == 3)
            await until(lambda: listener.of("missed"))
    assert {each.message.id for each in listener.of("delivered")} == {"a", "c"}
    assert {*listener.heard} == {
        "started", "stopped", "scheduled", "cancelled", "claimed", "delivered", "failed",
        "verdicts", "buried", "missed", "closed",
    }  # fmt: skip
    told = {name: each for name, each in listener.heard.items() if name != "verdicts"}
    assert caplog.text.count("observer_failed") == 2 * sum(map(len, told.values()))
