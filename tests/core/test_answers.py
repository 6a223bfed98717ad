"""What counts as delivered, and what a transport's answer that is none leads to."""

import asyncio
from collections import UserList, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    delivering,
    emptied,
    messages,
    until,
)

from duly import Rejected, State, TransportError
from duly._values.answers import outcomes_of, reasons_of, receipt_of
from duly.testing.clock import run_virtually


class Text(str):
    """A text of somebody's own."""

    __slots__ = ()


class Panic(BaseException):
    """What native code may raise."""


class Broken(Sequence[Any]):
    """Says that it has two, and gives none of them."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        raise OSError("the connection is gone")


async def coroutine() -> str:
    return "a receipt"


def generator() -> Iterator[str]:
    yield "a receipt"
    yield "another"


def the_error(outcome: tuple[str | None, Exception | None]) -> str:
    receipt, error = outcome
    assert receipt is None
    assert isinstance(error, TransportError)
    return str(error)


class TestPublish:
    @pytest.mark.parametrize("answer", [None, "", "receipt", Text("receipt")])
    def test_text_or_nothing_is_delivered(self, answer: str | None) -> None:
        assert receipt_of(answer) == (answer, None)

    @pytest.mark.parametrize(
        ("answer", "name"),
        [
            ({"ok": False}, "dict"), (17, "int"), (0, "int"), (False, "bool"), (b"x", "bytes"),
            (["x"], "list"), (Rejected("x"), "Rejected"), (Rejected, "the class Rejected"),
            (object(), "object"),
        ],
    )  # fmt: skip
    def test_anything_else_has_failed_and_is_named(self, answer: object, name: str) -> None:
        assert the_error(receipt_of(answer)) == f"publish() returned {name}, not text or None"

    def test_a_coroutine_that_nobody_awaited_is_closed(self) -> None:
        text = "publish() returned a coroutine that was not awaited, not text or None"
        assert the_error(receipt_of(coroutine())) == text


class TestPublishMany:
    def test_outcomes_of_every_kind(self) -> None:
        refused = Rejected("never")
        answer = [None, "a", Text("b"), refused, ""]
        expected = [(None, None), ("a", None), ("b", None), (None, refused), ("", None)]
        for row in (answer, tuple(answer), deque(answer), UserList(answer)):
            assert list(outcomes_of(row, 5)) == expected
        assert list(outcomes_of([], 0)) == []

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (None, "returned NoneType, not a sequence of outcomes"),
            ({"a": 1, "b": 2}, "returned dict, not a sequence of outcomes"),
            ({"a", "b"}, "returned set, not a sequence of outcomes"),
            ("ab", "returned str, not a sequence of outcomes"),
            (b"ab", "returned bytes, not a sequence of outcomes"),
            (generator(), "returned generator, not a sequence of outcomes"),
            (["a"], "gave 1 outcomes for 2 messages"),
            (["a", "b", "c"], "gave 3 outcomes for 2 messages"),
            ((), "gave 0 outcomes for 2 messages"),
            (Broken(), "returned a Broken that cannot be read: OSError: the connection is gone"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_an_answer_that_makes_no_sense_fails_all(self, answer: object, said: str) -> None:
        outcomes = outcomes_of(answer, 2)
        assert [the_error(each) for each in outcomes] == [f"publish_many {said}"] * 2

    def test_a_coroutine_that_nobody_awaited_is_closed(self) -> None:
        (outcome,) = outcomes_of(coroutine(), 1)
        assert "a coroutine that was not awaited" in the_error(outcome)

    @pytest.mark.parametrize(
        ("answer", "name"),
        [
            ({}, "dict"), (1, "int"), (True, "bool"), (b"", "bytes"), ((None, None), "tuple"),
            (Rejected, "the class Rejected"), (KeyboardInterrupt, "the class KeyboardInterrupt"),
        ],
    )  # fmt: skip
    def test_what_is_no_outcome_fails_its_message_alone(self, answer: object, name: str) -> None:
        first, odd, last = outcomes_of(["a", answer, None], 3)
        assert (first, last) == (("a", None), (None, None))
        text = f"publish_many gave {name} for a message, not text, None or an exception"
        assert the_error(odd) == text

    def test_what_is_no_exception_of_a_message(self) -> None:
        cancelled, panic = outcomes_of([asyncio.CancelledError(), Panic("index 9")], 2)
        assert the_error(cancelled) == "the transport cancelled the publish by itself"
        assert the_error(panic) == "Panic: index 9"


class TestCheck:
    @pytest.mark.parametrize("answer", [[], (), ["a", "b"], ("a",)])
    def test_texts_are_taken(self, answer: Sequence[str]) -> None:
        assert list(reasons_of(answer, "the store")) == list(answer)

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("disk is full", "returned str, not a list of texts: disk is full"),
            (None, "returned NoneType, not a list of texts"),
            ({"a": "b"}, "returned dict, not a list of texts"),
            (17, "returned int, not a list of texts"),
            (["a", None], "returned NoneType among its texts"),
            (Broken(), "returned what cannot be read: OSError: the connection is gone"),
        ],
    )
    def test_anything_else_is_one_reason(self, answer: object, said: str) -> None:
        assert list(reasons_of(answer, "the store")) == [f"the store's check() {said}"]


# --- through the engine


class Answering(Probed):
    """Publishes, and answers what it is told."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self.answer = answer

    async def publish(self, envelope: Any) -> Any:
        await super().publish(envelope)
        return self.answer()


class ManyAnswering(ManyProbed):
    """The same with many."""

    def __init__(self, answer: Callable[[Sequence[Any]], Any]) -> None:
        super().__init__()
        self.answer = answer

    async def publish_many(self, envelopes: Sequence[Any]) -> Any:
        return self.answer(await super().publish_many(envelopes))


def only_the_first(outcomes: Sequence[Any]) -> Sequence[Any]:
    return outcomes[:1]


def as_numbers(outcomes: Sequence[Any]) -> Sequence[Any]:
    return [17 for _ in outcomes]


@pytest.mark.parametrize(
    ("transport", "said"),
    [
        (lambda: Answering(dict), "publish() returned dict, not text or None"),
        (lambda: Answering(coroutine), "publish() returned a coroutine that was not awaited"),
        (lambda: ManyAnswering(as_numbers), "publish_many gave int for a message"),
        (lambda: ManyAnswering(only_the_first), "publish_many gave 1 outcomes for 5"),
        (lambda: ManyAnswering(dict.fromkeys), "publish_many returned dict, not a sequence"),
    ],
)
@run_virtually
async def test_what_was_not_answered_properly_is_not_lost(
    transport: Callable[[], Probed], said: str
) -> None:
    store = WakingStore()
    async with delivering(store, transport(), recovery=None) as running:
        await running.schedule_many(messages(5))
        await until(lambda: running._engine and not running._engine.hands.held and store.settles)
        waiting = await running.list()
        assert [each.state for each in waiting] == [State.SCHEDULED] * 5
        assert all(said in str(each.last_error) for each in waiting)


@run_virtually
async def test_receipts_of_a_kind_of_their_own_are_told() -> None:
    store, transport = WakingStore(), Answering(lambda: Text("7-1"))
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(5))
        await emptied(store)
