"""Mistakes planted into a store, or into the engine, that random lives must find out.

Each names the rule that it breaks, and must be found within a bounded number of seeds: that a
check can fail is what makes it one.
"""

import math
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest

from duly import Cancellation, transport
from duly._caller.calls import StoreCalls
from duly._engine import claimed_job as _claimed_job
from duly._engine import delivery as _delivery
from duly._engine import settlements as _settlements
from duly._engine import verdicts as _verdicts
from duly._engine.delivery import Deliveries
from duly._engine.verdicts import Verdicts
from duly._engine.workers import Workers
from duly.client import Client
from duly.errors import StoreUnavailable
from duly.memory import MemoryStore
from duly.message import Filter, Message, State, begun, with_changes
from duly.store import Batch, Bury, Claim, Clock, End, Group, Key, Reschedule, Settle, Token
from duly.testing.crashes import MakeStore
from duly.testing.simulation import simulate

SEEDS = 100  # in which a mistake must show
SECOND = timedelta(seconds=1)


def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


def find(make_store: MakeStore, rule: str) -> None:
    with pytest.raises(AssertionError, match=rf"seed \d+: .*{rule}"):
        for seed in range(SEEDS):
            simulate(make_store, seed)


# --- stores that break a rule


class LosesAtOnce(MemoryStore):
    """Forgets at the claim, so that whoever dies takes it along."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        if batch.token is not None:
            await super().cancel([claim.message.id for claim in batch.claims])
        return batch

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return [frozenset() for _ in tokens]


class NeverRecovers(MemoryStore):
    async def claim(self, *, lease: timedelta, **more: Any) -> Batch:
        return await super().claim(lease=timedelta(days=1), **more)


class Early(MemoryStore):
    async def put(self, groups: Sequence[Group], **more: Any) -> Sequence[Exception | None]:
        return await super().put([_changed(group, _hurry) for group in groups], **more)


class RetriesAtOnce(MemoryStore):
    """Keeps when the next attempt is due, and does not wait for it."""

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        hurried = [_each(settle, lambda key, how: _hurried(how)) for settle in settle]
        batch = await super().claim(settle=hurried, **more)
        claims = [
            Claim(claim.key, _due_later(claim.message), claim.lapses) for claim in batch.claims
        ]
        return _batch(batch, claims)


class Unfenced(MemoryStore):
    """Believes every token that it ever gave."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._keys: dict[Token, list[str]] = {}

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        settled = await self.settle(settle)
        batch = await super().claim(**more)
        if batch.token is not None:
            self._keys[batch.token] = [claim.message.id for claim in batch.claims]
        return _batch(batch, batch.claims, settled)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        for each in settles:
            (agreed,) = await super().settle([each])
            if not agreed and each.only is None:
                await self.cancel(self._keys[each.token])
        return [True] * len(settles)


class ImpatientWithLeases(MemoryStore):
    """Lets a lease lapse after half its time."""

    async def claim(self, *, lease: timedelta, **more: Any) -> Batch:
        return await super().claim(lease=lease / 2, **more)

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return await super().renew(tokens, lease / 2)


class ForgetsEarlySettlements(MemoryStore):
    """Agrees to what was delivered and is settled early, and leaves it in the lease."""

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        settled = await self.settle(settle)
        return _batch(batch := await super().claim(**more), batch.claims, settled)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        forgotten = [each.only is not None and not each.exceptions for each in settles]
        outcomes = await super().settle(
            [Settle("") if yes else each for each, yes in zip(settles, forgotten, strict=True)]
        )
        return [yes or agreed for yes, agreed in zip(forgotten, outcomes, strict=True)]


class CountsTwice(MemoryStore):
    """Takes the next fire of a series for one that is over."""

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        return await super().claim(settle=[_each(each, _skipping) for each in settle], **more)


class CancelsNothing(MemoryStore):
    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        found = [await self.get(id) for id in ids]
        return [None if message is None else message.state for message in found]


class CancelsLate(MemoryStore):
    """Cancels what is claimed only once it is given back."""

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, **more: Any
    ) -> Sequence[State | None]:
        found: list[State | None] = []
        for id in ids:
            message = await self.get(id)
            if message is not None and message.state is State.CLAIMED and of_state is None:
                found.append(State.CLAIMED)
            else:
                found += await super().cancel([id], of_state=of_state)
        return found


class PraisesItself(MemoryStore):
    """Cancels what is claimed and says that it was not."""

    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        found = await super().cancel(ids, **more)
        return [State.SCHEDULED if state is State.CLAIMED else state for state in found]


class HidesClaims(MemoryStore):
    """Shows what is claimed as if nobody held it, and cancels it as such."""

    async def get(self, id: str) -> Message | None:
        message = await super().get(id)
        claimed = message is not None and message.state is State.CLAIMED
        return with_changes(message, state=State.SCHEDULED) if message and claimed else message

    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        found = await super().cancel(ids, **more)
        return [State.SCHEDULED if state is State.CLAIMED else state for state in found]


class ForgetsLapses(MemoryStore):
    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        return _batch(batch, [Claim(each.key, each.message, 0) for each in batch.claims])


class TidiesUp(MemoryStore):
    """Keeps one dead letter and no more."""

    async def claim(self, **more: Any) -> Batch:
        dead = await self.list(Filter(state=State.DEAD))
        await super().cancel([message.id for message in dead[1:]], of_state=State.DEAD)
        return await super().claim(**more)


class BuriesTheLiving(MemoryStore):
    """Makes dead letters of what was delivered when a series goes on."""

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        buried = [_each(each, lambda key, how: _buried(how)) for each in settle]
        return await super().claim(settle=buried, **more)


class TellsNotWhy(MemoryStore):
    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        silent = [_each(each, lambda key, how: _silent(how)) for each in settle]
        return await super().claim(settle=silent, **more)


class StoresHalf(MemoryStore):
    """Of a group that is refused it keeps what comes before the id that is taken."""

    async def put(self, groups: Sequence[Group], **more: Any) -> Sequence[Exception | None]:
        outcomes = list(await super().put(groups, **more))
        for group, outcome in zip(groups, outcomes, strict=True):
            if outcome is not None:
                for message in group.messages:
                    if (await super().put([Group([message])]))[0] is not None:
                        break
        return outcomes


class LosesTheLast(MemoryStore):
    """Of a group of four it stores three."""

    async def put(self, groups: Sequence[Group], **more: Any) -> Sequence[Exception | None]:
        return await super().put(
            [Group(group.messages[:3], group.replace) for group in groups], **more
        )


class StoresTwice(MemoryStore):
    """Takes a repeat for something new."""

    async def put(self, groups: Sequence[Group], **more: Any) -> Sequence[Exception | None]:
        for group in groups:
            for message in group.messages:
                stored = await self.get(message.id)
                repeated = stored is not None and stored.created_at == message.created_at
                if repeated and not group.replace:
                    await super().cancel([message.id])
        return await super().put(groups, **more)


class KeepsTheDeliveryId(MemoryStore):
    """Stores what replaces another as if it were the same."""

    async def put(self, groups: Sequence[Group], **more: Any) -> Sequence[Exception | None]:
        changed = []
        for group in groups:
            messages = []
            for message in group.messages:
                stored = await self.get(message.id)
                if group.replace and stored is not None:
                    await super().cancel([message.id])
                    message = with_changes(message, created_at=stored.created_at)  # noqa: PLW2901  # it stands for it
                messages.append(message)
            changed.append(Group(messages, group.replace))
        return await super().put(changed, **more)


def _changed(group: Group, change: Callable[[Message], Message]) -> Group:
    return Group([change(message) for message in group.messages], group.replace)


def _hurry(message: Message) -> Message:
    if message.recurrence is not None:
        return message
    return with_changes(message, next_attempt_at=message.scheduled_at - timedelta(milliseconds=1))


def _batch(batch: Batch, claims: Sequence[Claim], settled: Sequence[bool] | None = None) -> Batch:
    return Batch(
        token=batch.token, claims=claims, now=batch.now, next_due=batch.next_due, more=batch.more,
        settled=batch.settled if settled is None else settled,
    )  # fmt: skip


def _each(settle: Settle, change: Callable[[Key, Any], Any]) -> Settle:
    changed = {key: change(key, how) for key, how in settle.exceptions.items()}
    return Settle(settle.token, changed, settle.only)


def _skipping(key: Key, how: Any) -> Any:
    if isinstance(how, Reschedule) and how.counters.occurrence_count:
        old = how.counters
        counters = type(old)(old.scheduled_at, old.retry_count, old.occurrence_count + 1)
        return Reschedule(how.next_attempt_at, counters)
    return how


def _hurried(how: Any) -> Any:
    if isinstance(how, Reschedule) and how.counters.retry_count:
        return Reschedule(how.next_attempt_at - SECOND, how.counters)
    return how


def _due_later(message: Message) -> Message:
    if message.retry_count:
        return with_changes(message, next_attempt_at=message.next_attempt_at + SECOND)
    return message


def _silent(how: Any) -> Any:
    return Bury("", how.next) if isinstance(how, Bury) else how


def _buried(how: Any) -> Any:
    goes_on = isinstance(how, Reschedule) and not how.counters.retry_count
    return Bury("so it goes", how) if goes_on and how.counters.occurrence_count else how


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (LosesAtOnce, "R1: lost|R3: settled by"),
        (NeverRecovers, "R1: not delivered"),
        (Early, "R2: .* early"),
        (RetriesAtOnce, "R2: .* early"),
        (Unfenced, "R3: settled by|R1: lost"),  # by what comes late, or of that
        (ImpatientWithLeases, "R3: claimed while"),
        (ForgetsEarlySettlements, "R3: [a-z ]+ although (it was )?settled"),
        (CountsTwice, "R3: occurrence"),
        (
            CancelsNothing,
            "R4: claimed although (cancelled|too late)|R3: too late although too late",
        ),
        (CancelsLate, "R3: too late although too late|R4: claimed although too late"),
        (PraisesItself, "R4: found scheduled, and was claimed"),
        (HidesClaims, "R4: (published|delivered) although cancelled"),
        (ForgetsLapses, "R7: 0 lapses, not 1"),
        (TidiesUp, "R8: .* dead, gone"),
        (BuriesTheLiving, "R8: .* dead, (but )?nobody buried it"),
        (TellsNotWhy, "R8: a dead letter without a reason"),
        (StoresHalf, "R14: refused, and yet"),
        (LosesTheLast, "R14: not all was stored"),
        (StoresTwice, "R14: repeated, and yet stored or changed"),
        (
            KeepsTheDeliveryId,
            "R14: (not a new delivery id|.* came under the delivery id of another)",
        ),
    ],
)
def test_a_store_that_breaks_a_rule_is_found_out(broken: type[MemoryStore], rule: str):
    find(lambda clock: broken(clock=clock), rule)


# --- an engine that breaks a rule


def forgets_failures(monkeypatch):
    monkeypatch.setattr(_verdicts, "after_verdict", lambda failure, verdict: None)


def promises_too_much(monkeypatch):
    put = StoreCalls.put

    async def bold(
        self: StoreCalls, groups: Sequence[Group], **more: Any
    ) -> Sequence[Exception | None]:
        try:
            return await put(self, groups, **more)
        except StoreUnavailable:
            return [None] * len(groups)

    monkeypatch.setattr(StoreCalls, "put", bold)


def trusts_its_leases(monkeypatch):
    monkeypatch.setattr(Deliveries, "keep_until", lambda self, sent: math.inf)


def drifts(monkeypatch):
    def next_fire(message: Message) -> Reschedule | End | None:
        following = _settlements.next_fire(message)
        if not isinstance(following, Reschedule):
            return following
        fire = following.counters.scheduled_at + timedelta(microseconds=1)
        counters = type(following.counters)(
            fire, occurrence_count=following.counters.occurrence_count
        )
        return Reschedule(fire, counters)

    monkeypatch.setattr(_delivery, "next_fire", next_fire)


def repeats_an_occurrence(monkeypatch):
    def next_fire(message: Message) -> Reschedule | End | None:
        following = _settlements.next_fire(message)
        if not isinstance(following, Reschedule):
            return following
        counters = type(following.counters)(
            following.counters.scheduled_at, occurrence_count=message.occurrence_count
        )
        return Reschedule(following.next_attempt_at, counters)

    monkeypatch.setattr(_delivery, "next_fire", next_fire)


def delivers_what_was_missed(monkeypatch):
    monkeypatch.setattr(_verdicts, "after_missed", lambda message, now, punctual: None)


def misses_too_much(monkeypatch):
    def after_missed(message: Message, now: Any, punctual: Any) -> Any:
        return _settlements.after_missed(message, now + SECOND / 20, punctual)

    monkeypatch.setattr(_verdicts, "after_missed", after_missed)


def never_misses_with_jitter(monkeypatch):
    def has_begun(message: Message) -> bool:
        return bool(message.retry_count) or message.next_attempt_at != message.scheduled_at

    monkeypatch.setattr(_settlements, "begun", has_begun)


def misses_by_the_grid(monkeypatch):
    def after_missed(message: Message, now: Any, punctual: Any) -> Any:
        rule = message.recurrence
        if rule is not None and rule.jitter and not begun(message):
            plain = attrs.evolve(rule, jitter=timedelta(0))
            message = with_changes(message, recurrence=plain, next_attempt_at=message.scheduled_at)
        return _settlements.after_missed(message, now, punctual)

    monkeypatch.setattr(_verdicts, "after_missed", after_missed)


def buries_at_once(monkeypatch):
    def after_verdict(failure: Any, verdict: Any) -> Any:
        return Bury("sorry", _settlements.next_fire(failure.message))

    monkeypatch.setattr(_verdicts, "after_verdict", after_verdict)


def knows_no_expiry(monkeypatch):
    monkeypatch.setattr(Verdicts, "expired", lambda self, hand, claim, now: False)


def expires_too_soon(monkeypatch):
    expired = Verdicts.expired

    def hasty(self: Verdicts, hand: Any, claim: Claim, now: Any) -> bool:
        return expired(self, hand, claim, now + 2 * SECOND)

    monkeypatch.setattr(Verdicts, "expired", hasty)


def always_says_cancelled(monkeypatch):
    cancel = Client.cancel

    async def glad(self: Client, *args: Any, **more: Any) -> Cancellation:
        await cancel(self, *args, **more)
        return Cancellation.CANCELLED

    monkeypatch.setattr(Client, "cancel", glad)


def mixes_payloads_up(monkeypatch):
    def envelope_of(message: Message, attempt: int) -> Any:
        return made(with_changes(message, payload=b"1"), attempt)

    made = transport.envelope_of
    monkeypatch.setattr(_claimed_job, "envelope_of", envelope_of)


def asks_nobody_before_publishing(monkeypatch):
    def start(self: Any, now: float) -> Any:
        outage = self._deliveries.outage  # which would never end without what follows
        self.probe = outage.number if outage.active else 0
        self.attended = outage.attended
        outage.probes += bool(self.probe)
        return transport.envelope_of(self.claim.message, 1)

    monkeypatch.setattr(_claimed_job.ClaimedJob, "start", start)


def lets_publishes_last(monkeypatch):
    monkeypatch.setattr(Workers, "tick", lambda self: None)


def publishes_twice(monkeypatch):
    submit = Workers.submit
    monkeypatch.setattr(
        Workers, "submit", lambda self, jobs, **more: submit(self, [*jobs, *jobs], **more)
    )


def puts_back_behind_the_others(monkeypatch):
    def after_interruption(claim: Claim, now: Any, pause: float) -> Any:
        return _settlements.after_interruption(claim, now, pause or 0.001)

    monkeypatch.setattr(_verdicts, "after_interruption", after_interruption)


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (forgets_failures, "R1: deleted, but not delivered"),
        (promises_too_much, "R1: its caller was told that it is stored"),
        (trusts_its_leases, "R3: published by .*, claimed by|R5: "),
        (drifts, "R3: occurrence"),
        (repeats_an_occurrence, "R3: occurrence"),
        (delivers_what_was_missed, "R9: published, but it was found missed"),
        (misses_too_much, "R3: occurrence"),
        (never_misses_with_jitter, "R9: published, but it was found missed"),
        (misses_by_the_grid, "R3: occurrence"),
        (buries_at_once, "R8: buried, but nobody decided so"),
        (knows_no_expiry, "R13: published .* after it had expired"),
        (expires_too_soon, "R13: taken for expired"),
        (always_says_cancelled, "R4: its caller was told cancelled"),
        (mixes_payloads_up, "R14: '1' came under the delivery id of another"),
        (asks_nobody_before_publishing, "R3: published by|R4: published twice|R13: published"),
        (lets_publishes_last, "R5: "),
        (puts_back_behind_the_others, "R11: interrupted and put back"),
        (publishes_twice, "R4: published twice under one claim|R5: published while itself"),
    ],
)
def test_an_engine_that_breaks_a_rule_is_found_out(
    monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None], rule: str
):
    mistake(monkeypatch)
    find(memory, rule)
