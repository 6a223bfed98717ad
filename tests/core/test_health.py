"""health() answers in time, whatever store and transport do when they are asked."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    delivering,
    down,
    hanging,
    now,
    scheduler,
)

import duly.sync
from duly import Client, InvalidArgument, Status
from duly.health import Doubt, Report, clock_doubts
from duly.memory import MemoryStore
from duly.store import PartlyUnavailable
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)

Check = Callable[[], Awaitable[Any]]


class Panic(BaseException):
    """What native code may raise."""


class Checked(Probed):
    """A transport whose ``check`` does what it is told."""

    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check
        self.asked = 0

    async def check(self) -> Any:
        self.asked += 1
        return await self._check()


class CheckedStore(WakingStore):
    """A store of the same kind."""

    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check

    async def check(self) -> Any:
        return await self._check()


async def hang() -> None:
    await asyncio.Event().wait()


async def ignore_cancellation() -> None:
    for _ in range(3):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


def answering(answer: object) -> Check:
    async def check() -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return check


WRONG = [
    (hang, "did not answer within 5 s"),
    (ignore_cancellation, "did not answer within 5 s"),
    (answering(asyncio.CancelledError()), "CancelledError"),
    (answering(Panic("index 9")), "Panic: index 9"),
    (answering(GeneratorExit()), "GeneratorExit"),
    (answering(ValueError("odd")), "ValueError: odd"),
    (answering("disk is full"), "check() returned str, not a list of texts: disk is full"),
    (answering(None), "check() returned NoneType, not a list of texts"),
    (answering([b"x"]), "check() returned bytes among its texts"),
    (answering(["disk is full"]), "disk is full"),
]


@pytest.mark.parametrize(("check", "said"), WRONG)
@run_virtually
async def test_whatever_a_transports_check_does(check: Check, said: str) -> None:
    async with delivering(WakingStore(), Checked(check)) as running:
        begun = now()
        health = await running.health()
        assert now() - begun <= 5
        assert health.status is Status.DEGRADED
        assert said in health.reason
        assert health.details["scheduled"] == 0


@pytest.mark.parametrize(("check", "said"), WRONG)
@run_virtually
async def test_whatever_a_stores_check_does(check: Check, said: str) -> None:
    client = Client(CheckedStore(check), load_plugins=False)
    begun = now()
    health = await client.health()
    assert now() - begun <= 5
    assert health.status in (Status.DEGRADED, Status.UNHEALTHY)
    assert re.sub("^CancelledError$", "cancelled the call by itself", said) in health.reason


@run_virtually
async def test_who_did_not_answer_is_named() -> None:
    store = CheckedStore(hang)
    async with delivering(store, Checked(hang)) as running:
        reason = (await running.health(timeout=SECOND * 2)).reason
        assert "the store's check did not answer within 2 s; the transport's check did" in reason
        store.faults.append(hanging("stats"))
        health = await running.health(timeout=SECOND * 2)
        assert health.status is Status.UNHEALTHY
        assert health.reason.startswith("the store did not answer within 2 s; the transport's")
        store.faults.clear()


@run_virtually
async def test_store_and_transport_share_the_limit() -> None:
    store = CheckedStore(hang)
    store.faults.append(hanging("stats", "open"))
    client = scheduler(store, Checked(hang))
    for seconds in (0.5, 3):
        begun = now()
        health = await client.health(timeout=seconds * SECOND)
        assert now() - begun == pytest.approx(seconds)
        assert health.status is Status.UNHEALTHY
        assert f"the store did not answer within {seconds:g} s" in health.reason


@pytest.mark.parametrize("limit", [5, None, "5", timedelta(0), -SECOND])
async def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        await Client(MemoryStore(), load_plugins=False).health(timeout=limit)


@run_virtually
async def test_questions_that_go_on_do_not_pile_up() -> None:
    transport = Checked(ignore_cancellation)
    async with delivering(WakingStore(), transport) as running:
        for _ in range(20):
            assert "did not answer" in (await running.health(timeout=SECOND)).reason
        assert transport.asked == 1
        await asyncio.sleep(0.01)
        left = [each for each in asyncio.all_tasks() if each.get_name().startswith("duly-health")]
        assert len(left) <= 1


@run_virtually
async def test_who_answers_again_is_heard() -> None:
    transport = Checked(hang)
    async with delivering(WakingStore(), transport) as running:
        assert "did not answer" in (await running.health(timeout=SECOND)).reason
        transport._check = answering([])
        await asyncio.sleep(0)
        assert "the transport" not in (await running.health(timeout=SECOND)).reason


@run_virtually
async def test_two_who_ask_at_the_same_time_do_not_disturb_each_other() -> None:
    async def slow() -> list[str]:
        await asyncio.sleep(2)
        return []

    async with delivering(WakingStore(), Checked(slow)) as running:
        hasty = asyncio.create_task(running.health(timeout=SECOND))
        gone = asyncio.create_task(running.health())
        patient = asyncio.create_task(running.health())
        await asyncio.sleep(0.5)
        gone.cancel()
        assert "did not answer within 1 s" in (await hasty).reason
        assert "the transport" not in (await patient).reason


@run_virtually
async def test_a_store_that_fails_is_told_once() -> None:
    store = CheckedStore(answering([]))
    store.faults.append(down())
    health = await Client(store, load_plugins=False).health()
    assert health.reason == "the store is unreachable: StoreUnavailable: nobody answers"


def test_in_code_that_is_not_async() -> None:
    with duly.sync.Scheduler("memory://", Checked(hang), load_plugins=False) as running:
        with running.running():
            began = time.monotonic()
            health = running.health(timeout=timedelta(milliseconds=50))
            assert "the transport's check did not answer within 0.05 s" in health.reason
            assert time.monotonic() - began < 60  # nobody waited for ever


@run_virtually
async def test_a_store_that_is_there_in_part_is_degraded_and_says_which_part_is_not() -> None:
    store = CheckedStore(answering(["shelf 2 has not answered since noon"]))
    store.faults.append(down("stats", error=PartlyUnavailable("shelf 2")))
    health = await Client(store, load_plugins=False).health()
    assert health.status is Status.DEGRADED
    assert health.reason == (
        "a part of the store does not answer, and nothing can be counted; "
        "shelf 2 has not answered since noon"
    )


def test_the_reasons_stand_alone_too():
    report = Report()
    report.odd("it is odd")
    report.ill("it is ill")
    health = report.health()
    assert health.reasons == ("it is ill", "it is odd")
    assert health.reason == "it is ill; it is odd"
    assert Report().health().reasons == ()


async def test_a_doubt_of_a_store_keeps_its_parts():
    doubt = Doubt("It loses all", thing="disk", found="none", advice="buy one", breaks=True)
    assert doubt == "It loses all: buy one"

    class Doubting(MemoryStore):
        async def check(self):
            return [doubt]

    async with Client(Doubting()) as client:
        (told,) = (await client.health()).reasons
    assert isinstance(told, Doubt)
    assert (told.means, told.thing, told.found) == ("It loses all", "disk", "none")
    assert (told.advice, told.breaks) == ("buy one", True)
    assert Doubt("It is slow", thing="a", found="b") == "It is slow"


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (-20, "20 s behind this host's"),
        (-5, None),
        (3, None),
        (8, None),
        (29, "24 s ahead of this host's"),
    ],
)
def test_the_clocks_of_server_and_host(seconds, found):
    asked = datetime.now(UTC)
    answered = asked + timedelta(seconds=5)  # it may have read its clock at any moment between
    doubts = clock_doubts("X", asked + timedelta(seconds=seconds), asked, answered)
    assert [each.found for each in doubts] == ([] if found is None else [found])
    assert all(each.startswith("the clock of X is ") for each in doubts)
