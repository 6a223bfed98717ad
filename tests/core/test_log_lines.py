"""What a scheduler logs: who it is, when it starts and stops, and tracebacks without a flood."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import (
    WakingStore,
    delivering,
    down,
    emptied,
    message,
    messages,
    scheduler,
    until,
)

import duly
from duly import Envelope, Rejected, StoreUnavailable
from duly.logging import JsonFormatter
from duly.testing.clock import run_virtually


def facts(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """What the lines of an event tell."""
    told = [each.duly for each in caplog.records if hasattr(each, "duly")]
    return [dict(each) for each in told if each["event"] == event]


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="duly")


class TestLife:
    @run_virtually
    async def test_it_says_who_it_is_when_it_starts_and_stops(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def deliver(envelope: Envelope) -> None: ...

        store = WakingStore()
        async with delivering(store, deliver, batch_size=7, recovery=duly.Backoff()):
            (started,) = facts(caplog, "scheduler_starting")
            assert not facts(caplog, "scheduler_stopped")
        (stopped,) = facts(caplog, "scheduler_stopped")
        assert stopped == {
            "event": "scheduler_stopped", "owner": started["owner"], "store": "WakingStore"
        }  # fmt: skip
        assert started == {
            "event": "scheduler_starting", "owner": started["owner"], "store": "WakingStore",
            "version": version("duly"), "transport": started["transport"], "instance": None,
            "batch_size": 7, "max_in_flight": 1000, "max_bytes_in_flight": 67_108_864,
            "poll_interval": 0.1, "stuck_duration": 300.0, "publish_timeout": 30.0,
            "store_timeout": 10.0, "recovery": "Backoff", "error_text": False,
        }  # fmt: skip

    @run_virtually
    async def test_one_that_never_ran_has_stopped_too(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = WakingStore()
        store.faults.append(down())
        with pytest.raises(StoreUnavailable):
            await scheduler(store, print, wait_for_store=False).start()
        assert facts(caplog, "scheduler_starting")
        assert facts(caplog, "scheduler_stopped")

    @run_virtually
    async def test_each_line_says_whose_it_is_and_of_which_store(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = WakingStore(), WakingStore()
        async with delivering(one, broken) as first, delivering(two, broken) as second:
            for each in (first, second):
                await each.schedule(message())
            one.faults.append(down())
            await until(lambda: len(facts(caplog, "store_unavailable")) == 1)
            one.faults.clear()
            await until(lambda: len(facts(caplog, "delivery_failed")) >= 2)
        told = [dict(each.duly) for each in caplog.records if hasattr(each, "duly")]
        assert {each["store"] for each in told} == {"WakingStore"}
        owners = {each["owner"] for each in facts(caplog, "scheduler_starting")}
        assert len(owners) == 2
        assert {each["owner"] for each in told} == owners
        assert {each["owner"] for each in facts(caplog, "delivery_failed")} == owners


async def broken(envelope: Envelope) -> None:
    raise ValueError(f"cannot take {envelope.message_id}")


class TestTracebacks:
    @run_virtually
    async def test_once_for_each_error_within_a_minute(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = 0.0
        monkeypatch.setattr("duly._engine.tracebacks.time.monotonic", lambda: clock)

        async def deliver(envelope: Envelope) -> None:
            if envelope.event_name == "other":
                raise KeyError(envelope.message_id)
            await broken(envelope)

        never, store = duly.Backoff(max_retries=0), WakingStore()
        async with delivering(store, deliver, recovery=never) as running:
            await running.schedule_many([*messages(50), *messages(50, "other")])
            await until(lambda: len(facts(caplog, "delivery_failed")) == 100)
            told = facts(caplog, "delivery_traceback")
            assert [each["event_name"] for each in told] == ["event", "other"]
            assert "raise ValueError" in told[0]["traceback"]
            assert all(each.levelno <= logging.WARNING for each in caplog.records)
            clock = 59.0
            await running.schedule(message(id="soon"))
            await until(lambda: len(facts(caplog, "delivery_failed")) == 101)
            assert len(facts(caplog, "delivery_traceback")) == 2
            clock = 60.0
            await running.schedule(message(id="later"))
            await until(lambda: len(facts(caplog, "delivery_failed")) == 102)
        assert facts(caplog, "delivery_traceback")[2]["message_id"] == "later"

    @run_virtually
    async def test_what_is_refused_on_purpose_has_none(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def refuse(envelope: Envelope) -> None:
            raise Rejected("unknown customer")

        async with delivering(store := WakingStore(), refuse) as running:
            await running.schedule(message())
            await emptied(store)
        assert facts(caplog, "delivery_failed")
        assert not facts(caplog, "delivery_traceback")

    @run_virtually
    async def test_nor_has_what_the_user_words(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="duly")
        never = duly.Backoff(max_retries=0)

        def text(error: Exception) -> str:
            return type(error).__name__

        store = WakingStore()
        async with delivering(store, broken, recovery=never, error_text=text) as running:
            await running.schedule(message())
            await emptied(store)
            (letter,) = await running.list()
        assert letter.last_error == "ValueError"
        assert not facts(caplog, "delivery_traceback")
        assert "cannot take" not in caplog.text

    def test_errors_of_many_kinds_are_forgotten(self, caplog: pytest.LogCaptureFixture) -> None:
        from duly._engine.tracebacks import Tracebacks

        tracebacks = Tracebacks()
        for number in range(1000):
            try:
                raise ValueError
            except ValueError as error:
                tracebacks.tell(error, message_id="1", event_name=f"{number}")
        assert len(tracebacks._logged) == 256
        assert len(facts(caplog, "delivery_traceback")) == 1000


class TestJson:
    @pytest.fixture
    def lines(self) -> Iterator[Any]:
        stream, logger = io.StringIO(), logging.getLogger("duly")
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        try:
            yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
        finally:
            logger.removeHandler(handler)

    @run_virtually
    async def _deliver(self) -> None:
        never, store = duly.Backoff(max_retries=0), WakingStore()
        async with delivering(store, broken, recovery=never) as running:
            await running.schedule(message(id="7"))
            await emptied(store)

    def test_one_object_a_line_with_all_facts(self, lines: Any) -> None:
        self._deliver()
        told = lines()
        assert [each["event"] for each in told] == [
            "scheduler_starting", "delivery_failed", "delivery_traceback", "scheduler_stopped"
        ]  # fmt: skip
        failed, traceback = told[1:3]
        assert failed["level"] == "warning"
        assert failed["logger"] == "duly"
        assert failed["message_id"] == "7"
        assert failed["attempt"] == 1
        assert failed["owner"] == told[0]["owner"]
        assert datetime.fromisoformat(failed["time"]).utcoffset() == timedelta(0)
        assert traceback["traceback"].startswith("Traceback (most recent call last):\n")

    def test_lines_of_others_and_facts_of_any_kind(self, lines: Any) -> None:
        log = logging.getLogger("duly.mqtt")

        class Mute:
            def __str__(self) -> str:
                raise RuntimeError

        try:
            raise OSError("cannot reach mqtt://u:geheim@h")
        except OSError:
            log.exception("lost %s", "mqtt://u:geheim@h")
        log.warning(
            "told", extra={"duly": {"event": "told", "level": 3, "at": attrs.NOTHING, "by": Mute()}}
        )
        first, second = lines()
        assert first["event"] == "lost mqtt://u:***@h"
        assert "OSError: cannot reach mqtt://u:***@h" in first["traceback"]
        assert second["level_"] == 3
        assert second["by"] == "<Mute>"

    def test_what_json_cannot_say_is_said_as_text(self) -> None:
        record = logging.makeLogRecord(
            {"name": "duly", "duly": {"event": "x", "late": float("nan"), "far": float("inf")}}
        )
        told = json.loads(JsonFormatter().format(record))
        assert (told["late"], told["far"]) == ("nan", "inf")
        assert sys.maxsize not in told.values()
