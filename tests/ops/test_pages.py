"""The pages of one process: probes, health and metrics, with real stores behind them."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.ops.kit import LOCAL, fetch, nothing, page, served, until, until_shown

import duly
from duly import Envelope, InvalidArgument, MemoryStore, Message, PluginError, Scheduler
from duly.testing import Gate
from duly_ops import Ops
from duly_ops.exposition import Exposition
from duly_ops.watched import Watched

NAME = {"messaging_destination_name": "orders.paid"}


async def due(scheduler: Scheduler, name: str = "orders.paid", **more: Any) -> str:
    message = Message(name, scheduled_at=duly.after(seconds=0), **more)
    return await scheduler.schedule(message)


class TestAllIsWell:
    async def test_on_each_store(self, store: str, promtool: Callable[[str], str]) -> None:
        done = asyncio.Event()

        async def deliver(envelope: Envelope) -> None:
            if envelope.metadata.get("fail"):
                raise ValueError("never")
            done.set()

        async with served(store, deliver) as (ops, scheduler):
            await due(scheduler)
            await due(scheduler, metadata={"fail": "yes"})
            await done.wait()
            assert (await until(ops.address, "/livez", 200)).text == "ok\n"
            assert (await until(ops.address, "/readyz", 200)).text == "ok\n"
            health = await page(ops.address, "/healthz")
            assert health.status == 200
            assert health.headers["content-type"] == "application/json"
            assert health.facts["sentence"].startswith("All is well")
            assert health.facts["code"] == "well"
            (one,) = health.facts["schedulers"]
            assert one["liveness"]["alive"]
            assert one["details"]["running"] is True
            assert one["status"] == health.facts["status"] != "unhealthy"
            shown = await until_shown(ops.address, "duly_messages_delivered_total", 1, **NAME)
            assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert shown.value("duly_store_up") == 1
            assert shown.value("duly_slots_limit") == 1000
            assert shown.value("duly_outages_total", duly_outage_of="store") == 0
            assert shown.value("duly_messages_failed_total", **NAME) == 1
            assert shown.value("duly_messages_stored", duly_phase="retrying") is not None
            assert not promtool(shown.text)

    async def test_beside_what_the_application_has(self) -> None:
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        async with served("memory://", meter_provider=provider) as (ops, scheduler):
            await scheduler.schedule(Message("orders.paid", scheduled_at=duly.after(hours=1)))
            shown = await page(ops.address, "/metrics")
            assert shown.value("duly_messages_scheduled_total", **NAME) == 1
        data = reader.get_metrics_data()
        assert data is not None
        names = [each.name for each in data.resource_metrics[0].scope_metrics[0].metrics]
        assert "duly.messages.scheduled" in names

    async def test_two_schedulers_of_a_process(self) -> None:
        ops = Ops(LOCAL)
        async with served("memory://", ops=ops), served(MemoryStore(), ops=ops):
            assert len((await page(ops.address, "/healthz")).facts["schedulers"]) == 2
            samples = (await page(ops.address, "/metrics")).samples
            stores = {each.labels["duly_store"] for each in samples if each.name == "duly_store_up"}
            assert stores == {"memory://", "MemoryStore"}
        assert ops.address is None

    async def test_that_nobody_delivers_is_told(self) -> None:
        async with Scheduler(MemoryStore(), nothing, load_plugins=False) as scheduler:
            await scheduler.schedule(Message("a", scheduled_at=duly.after(minutes=-1)))
            watched = Watched(Exposition())
            watched.add(scheduler, asyncio.get_running_loop())
            await scheduler.stop()
            answer = await watched.health()
        facts = json.loads(answer.body)
        assert (answer.status, facts["status"], facts["code"]) == (200, "degraded", "nobody")
        assert facts["schedulers"][0]["reason"].startswith("nobody delivers: no scheduler is")

    async def test_it_serves_again_when_it_runs_again(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = "127.0.0.1:{1}".format(*free.getsockname())
        ops = Ops(place)
        scheduler = Scheduler("memory://", nothing, plugins=[ops])
        for _ in range(3):
            async with scheduler.running():
                assert ops.address == place
                assert (await page(place, "/livez")).status == 200
        await scheduler.close()

    def test_the_blocking_scheduler_has_it_too(self) -> None:
        ops = Ops(LOCAL)
        with duly.sync.Scheduler("memory://", print, plugins=[ops]) as scheduler:
            with scheduler.running():
                assert fetch(ops.address, "/healthz").status == 200
                assert scheduler.liveness().alive


class TestTrouble:
    async def test_before_the_store_is_there_and_when_it_goes_and_returns(
        self, server: str
    ) -> None:
        parts = urlsplit(server)
        async with Gate(parts.port or {"redis": 6379}.get(parts.scheme, 5432)) as gate:
            login, at, _ = parts.netloc.rpartition("@")
            await gate.shut()
            url = parts._replace(netloc=f"{login}{at}127.0.0.1:{gate.port}").geturl()
            async with served(url, store_timeout=timedelta(seconds=2)) as (ops, scheduler):
                assert (await page(ops.address, "/livez")).status == 200
                answer = await page(ops.address, "/readyz")
                assert (answer.status, answer.text) == (503, "it waits for its store\n")
                health = await page(ops.address, "/healthz")
                assert health.status == 503
                assert health.facts["sentence"].startswith("The store does not answer: ")
                assert health.facts["code"] == "store_away"
                assert "login" not in health.text
                away = {"duly_outage_of": "store"}
                shown = await until_shown(ops.address, "duly_outages_total", 1, **away)
                assert shown.value("duly_store_up") == 0
                await gate.open()
                await until(ops.address, "/readyz", 200)
                shown = await until_shown(ops.address, "duly_messages_pending", 0)
                assert shown.value("duly_store_up") == 1
                await gate.shut()
                await due_soon(scheduler)
                answer = await until(ops.address, "/readyz", 503)
                assert answer.text == "the store is away\n"
                assert (await page(ops.address, "/livez")).status == 200
                shown = await page(ops.address, "/metrics")
                assert shown.value("duly_store_up") == 0
                assert shown.value("duly_messages_pending") is not None, "the last is shown"
                assert shown.value("duly_outages_total", **away) == 2
                await gate.open()
                await until(ops.address, "/readyz", 200)
                await until(ops.address, "/healthz", 200)
                assert (await page(ops.address, "/metrics")).value("duly_store_up") == 1

    async def test_a_loop_that_is_stuck(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("duly._engine.pulse._TURNS_WITHIN", 1.5)
        monkeypatch.setattr("duly._engine.pulse._BESIDE", -100.0)
        seen: list[Any] = []
        looked = threading.Event()

        def look(place: str | None) -> None:
            while (answer := fetch(place, "/livez")).status == 200:
                time.sleep(0.05)
            seen.append(answer.text)
            seen.append(fetch(place, "/metrics").value("duly_loop_turn_age_seconds"))
            seen.append(fetch(place, "/healthz"))
            looked.set()

        async def block(envelope: Envelope) -> None:
            looking = threading.Thread(target=look, args=[ops.address])
            looking.start()
            looking.join(20)  # the whole event loop waits

        async with served("memory://", block) as (ops, scheduler):
            await due(scheduler)
            await asyncio.to_thread(looked.wait, 30)
            await until(ops.address, "/livez", 200)
        text, age, health = seen
        assert text.startswith("the loop has not turned for ")
        assert age > 1.5
        assert health.status == 503
        assert health.facts["sentence"] == "The scheduler does not answer within 5 s."

    async def test_a_transport_that_is_away_leaves_it_alive_and_ready(self) -> None:
        async def gone(envelope: Envelope) -> None:
            raise duly.TransportUnavailable("no broker at amqp://u:geheim@h")

        async with served("memory://", gone) as (ops, scheduler):
            await due(scheduler)
            await until_shown(ops.address, "duly_transport_up", 0)
            assert (await page(ops.address, "/livez")).status == 200
            assert (await page(ops.address, "/readyz")).status == 200
            found = await page(ops.address, "/healthz")
            assert (found.status, found.facts["status"]) == (200, "degraded")
            assert "geheim" not in found.text

    async def test_while_it_drains_it_is_alive_and_not_ready(self) -> None:
        go, begun = asyncio.Event(), asyncio.Event()

        async def slow(envelope: Envelope) -> None:
            begun.set()
            await go.wait()

        async with served("memory://", slow) as (ops, scheduler):
            await due(scheduler)
            await begun.wait()
            stop = asyncio.create_task(scheduler.stop())
            answer = await until(ops.address, "/readyz", 503)
            assert answer.text == "it stops\n"
            assert (await page(ops.address, "/livez")).status == 200
            go.set()
            await stop

    async def test_health_is_asked_for_once_whoever_looks(self) -> None:
        asked = 0

        class Counting(MemoryStore):
            async def stats(self) -> duly.Stats:
                nonlocal asked
                asked += 1
                return await super().stats()

        async with served(Counting()) as (ops, _):
            await until(ops.address, "/readyz", 200)
            before = asked
            await asyncio.gather(*(page(ops.address, "/healthz") for _ in range(20)))
            assert asked - before <= 4  # health and standing, and perhaps the gauges


async def due_soon(scheduler: Scheduler) -> None:
    """Something to claim, so that it is seen that the store is away."""
    with pytest.raises(duly.StoreUnavailable):
        await due(scheduler)


class TestHttp:
    async def test_nothing_but_these_pages_by_get_and_head(self) -> None:
        async with served("memory://") as (ops, _):
            for path in ("/livez", "/readyz", "/healthz", "/metrics", "/"):
                assert (await page(ops.address, path)).status in (200, 503)
                head = await page(ops.address, path, method="HEAD")
                assert head.body == b""
                assert int(head.headers["content-length"]) > 0
                for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                    refused = await page(ops.address, path, method=method, body=b"x" * 10)
                    assert refused.status == 405
                    assert refused.headers["allow"] == "GET, HEAD"
            for path in ("/nope", "/livez/", "/metrics/../livez", "/%6c", "//"):
                assert (await page(ops.address, path)).status == 404

    @pytest.mark.parametrize(
        "request_", [
            b"GET /livez HTTP/1.1\r\nHost: x\r\nlong: " + b"a" * 1_000_000 + b"\r\n\r\n",
            b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"\x16\x03\x01" * 100 + b"\r\n\r\n",
        ],
    )  # fmt: skip
    async def test_what_is_too_long_or_no_http_is_refused(self, request_: bytes) -> None:
        async with served("memory://") as (ops, _):
            assert ops.address is not None
            host, _, port = ops.address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            with_answer = b""
            try:
                writer.write(request_)
                async with asyncio.timeout(20):
                    with_answer = await reader.read()
            except ConnectionError:
                pass
            finally:
                writer.close()
            assert not with_answer or with_answer.split()[1][:1] == b"4"
            assert (await page(ops.address, "/livez")).status == 200

    async def test_openmetrics_where_it_is_asked_for(self) -> None:
        async with served("memory://") as (ops, _):
            assert ops.address is not None
            host, _, port = ops.address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            accept = "accept: application/openmetrics-text; version=1.0.0"
            writer.write(
                f"GET /metrics HTTP/1.1\r\nhost: x\r\n{accept}\r\nconnection: close\r\n\r\n".encode()
            )
            answer = await reader.read()
            writer.close()
            assert b"application/openmetrics-text" in answer
            assert answer.endswith(b"# EOF\n")


class TestAddresses:
    async def test_one_that_is_taken_is_an_error_of_ours(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place = "127.0.0.1:{1}".format(*taken.getsockname())
            scheduler = Scheduler("memory://", nothing, plugins=[Ops(place)])
            with pytest.raises(PluginError, match=f"cannot listen on {place}: something else"):
                await scheduler.start()
            await scheduler.close()

    @pytest.mark.parametrize("place", ["203.0.113.1:9464", "no.such.host.invalid:9464"])
    async def test_one_that_this_host_has_not(self, place: str) -> None:
        scheduler = Scheduler("memory://", nothing, plugins=[Ops(place)])
        with pytest.raises(PluginError, match=f"cannot listen on {place}"):
            await scheduler.start()
        await scheduler.close()

    @pytest.mark.parametrize(
        "place",
        ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:x", "::1:9464", "h:65536", "h:-1", "h:\u0661",
         "unix:relative", "http://127.0.0.1:9464", 9464, None],
    )  # fmt: skip
    def test_what_is_none(self, place: Any) -> None:
        with pytest.raises(InvalidArgument):
            Ops(place)

    def test_notify_is_a_flag(self) -> None:
        with pytest.raises(InvalidArgument, match="notify"):
            Ops(LOCAL, notify="yes")  # type: ignore[arg-type]  # wrong on purpose

    async def test_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "ops.sock"
        for _ in range(2):  # a socket that was left is taken over
            async with served("memory://", ops=Ops(f"unix:{path}")) as (ops, _):
                assert ops.address == f"unix:{path}"
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert (await reader.read()).endswith(b"ok\n")
                writer.close()
                other = Scheduler("memory://", nothing, plugins=[Ops(f"unix:{path}")])
                with pytest.raises(PluginError, match="something else listens there"):
                    await other.start()
                await other.close()

    async def test_by_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from duly_ops import plugin

        plugin._by_variable.cache_clear()
        monkeypatch.setenv("DULY_OPS", LOCAL)
        try:
            async with Scheduler("memory://", nothing, load_plugins=["ops"]) as scheduler:
                async with scheduler.running():
                    ops = plugin._by_variable()
                    assert ops is not None
                    assert (await page(ops.address, "/healthz")).status == 200
            plugin._by_variable.cache_clear()
            monkeypatch.setenv("DULY_OPS", "9464")
            async with Scheduler("memory://", nothing, load_plugins=["ops"]) as scheduler:
                with pytest.raises(InvalidArgument, match="write host:port"):
                    await scheduler.start()
        finally:
            plugin._by_variable.cache_clear()

    async def test_without_the_variable_nothing_is_served_or_measured(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from duly_ops import plugin

        plugin._by_variable.cache_clear()
        monkeypatch.delenv("DULY_OPS", raising=False)
        async with Scheduler("memory://", nothing, load_plugins=["ops"]) as scheduler:
            async with scheduler.running():
                assert not scheduler._telemetry.active
        assert plugin._by_variable() is None


def test_what_health_tells_can_be_written_as_json() -> None:
    from duly_ops.plain import plain

    class Odd:
        def __str__(self) -> str:
            return "odd"

    told = plain({"a": timedelta(seconds=1.5), "b": duly.Status.HEALTHY, "c": [Odd()], 4: None})
    assert json.loads(json.dumps(told)) == {
        "a_seconds": 1.5, "b": "healthy", "c": ["odd"], "4": None
    }  # fmt: skip
