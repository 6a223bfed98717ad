"""``duly run``: real processes, really killed."""

import asyncio
import os
import signal

import pytest
from redis import Redis
from tests.cli.kit import Shell, ago
from tests.cli.running import APP, running

from duly import Message, State


async def scheduled(shell: Shell, *ids: str, name: str = "quick") -> None:
    async with shell.client() as client:
        await client.schedule_many([Message(name, id=id, scheduled_at=ago(1)) for id in ids])


@pytest.mark.parametrize("made", ["made", "blocking"])
async def test_one_process_runs_the_scheduler_of_an_app(on_sqlite: Shell, made: str) -> None:
    await scheduled(on_sqlite, *"abc")
    with running(on_sqlite, "--app", f"orders_app:{made}") as run:
        await run.until(lambda: len(run.delivered()) == 3)
        assert await run.end() == 0
    assert sorted(run.delivered()) == [*"abc"]


async def test_of_two_variables_the_app_is_run(on_sqlite: Shell) -> None:
    await scheduled(on_sqlite, *"abc")
    both = {"DULY_STORE": str(on_sqlite.url), "DULY_APP": "orders_app:made"}
    with running(on_sqlite, **both) as run:
        await run.until(lambda: len(run.delivered()) == 3)
        assert await run.end() == 0
    # A transport makes a scheduler of the store, as --store and --transport do.
    refused = on_sqlite("run", DULY_TRANSPORT="nobody://knows", **both)
    assert "nobody" in refused.err


async def test_several_processes_deliver_each_message_once(shell: Shell) -> None:
    ids = [f"{number:03}" for number in range(300)]
    await scheduled(shell, *ids)
    with running(shell, "--app", "orders_app:made", "--processes", "2", "--json") as run:
        await run.until(lambda: len(run.delivered()) >= 300)
        await run.until(lambda: len(run.told("start")) == 2)
        assert await run.end() == 0
        assert not run.pids()
    assert sorted(run.delivered()) == ids
    assert [each["process"] for each in run.told("start")] == [1, 2]
    assert {each["code"] for each in run.told("stop")} <= {0, -signal.SIGTERM}  # one has not begun
    assert not run.told("death")


async def test_without_an_app_it_delivers_to_a_transport(on_sqlite: Shell, redis_url: str) -> None:
    ids = [f"{number:03}" for number in range(50)]
    await scheduled(on_sqlite, *ids)
    stream = f"run:{os.getpid()}:{on_sqlite.folder.name}"
    transport = f"redis+stream{redis_url.removeprefix('redis')}?stream={stream}"
    with Redis.from_url(redis_url) as redis:
        words = ["--transport", transport, "--processes", "2", "--instance", "orders", "--json"]
        more = ["--batch-size", "10", "--stuck-duration", "1m", "--publish-timeout", "5s"]
        with running(on_sqlite, *words, *more, "--max-in-flight", "20") as run:
            await run.until(lambda: redis.xlen(stream) == len(ids))
            async with on_sqlite.client() as client:
                names: set[str | None] = set()
                while names != {"orders-1", "orders-2"}:
                    names = {each.instance for each in await client.schedulers()}
            assert await run.end(signal.SIGINT) == 0
        redis.delete(stream)


async def test_one_that_is_killed_is_replaced(shell: Shell) -> None:
    with running(shell, "--app", "orders_app:made", "--processes", "2", "--json") as run:
        await run.until(lambda: len(run.told("start")) == 2)
        victim = run.told("start")[0]
        os.kill(victim["pid"], signal.SIGKILL)
        await run.until(lambda: len(run.told("start")) == 3)
        (death,) = run.told("death")
        assert (death["pid"], death["code"]) == (victim["pid"], -signal.SIGKILL)
        (again,) = run.told("restart")
        assert again["pause_seconds"] == 0.5
        assert run.told("start")[2]["process"] == victim["process"]
        await scheduled(shell, *"abc")
        await run.until(lambda: len(run.delivered()) == 3)
        assert await run.end() == 0
        assert not run.pids()


async def test_when_the_supervisor_is_killed_its_processes_drain_and_end(on_sqlite: Shell) -> None:
    await scheduled(on_sqlite, "s", name="slow")
    with running(on_sqlite, "--app", "orders_app:made", "--processes", "2", "--json") as run:
        await run.until(lambda: (on_sqlite.folder / "begun").exists() and len(run.pids()) == 2)
        await run.end(signal.SIGKILL)
        await run.until(lambda: len(run.pids()) == 1)  # the other has a message in hand
        (on_sqlite.folder / "go").touch()
        await run.until(lambda: not run.pids())
    assert run.delivered() == ["s"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_the_first_signal_drains(on_sqlite: Shell, number: int, processes: str) -> None:
    await scheduled(on_sqlite, "s", name="slow")
    with running(on_sqlite, "--app", "orders_app:made", "--processes", processes) as run:
        await run.until((on_sqlite.folder / "begun").exists)
        run.process.send_signal(number)
        if processes == "2":
            await run.until(lambda: "has stopped" in run.text)  # the one that has nothing in hand
        assert run.process.poll() is None
        (on_sqlite.folder / "go").touch()
        assert await run.ended() == 0
    assert run.delivered() == ["s"]


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_the_second_signal_waits_no_more(on_sqlite: Shell, processes: str) -> None:
    await scheduled(on_sqlite, "s", name="slow")
    with running(on_sqlite, "--app", "orders_app:made", "--processes", processes) as run:
        await run.until((on_sqlite.folder / "begun").exists)
        while not (on_sqlite.folder / "cut").exists():  # two that come at once may count as one
            run.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.02)
        assert await run.ended() == 0
    async with on_sqlite.client() as client:
        message = await client.get("s")
    assert (message.state, message.retry_count) == (State.SCHEDULED, 0)


async def test_what_cannot_even_start_ends_all(on_sqlite: Shell) -> None:
    with running(on_sqlite, "--app", "orders_app:nothing", "--processes", "3") as run:
        assert await run.ended() == 2
    assert "has no attribute 'nothing'" in run.text
    assert "starts again" not in run.text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--app", "a:b", "--store", "sqlite:///x.db"], "leave --store out"),
        (["--app", "a:b", "--transport", "local://"], "leave --transport out"),
        (["--app", "a:b", "--batch-size", "5", "--instance", "x"], "--instance, --batch-size out"),
        (["--app", "a"], "--app is written module:name"),
        (["--app", "orders_app:looking"], "is a Client, which delivers nothing"),
        ([], "say how messages leave"),
        (["--transport", "local://"], "local:// has no handlers here"),
        (["--transport", "nonsense://"], "no transport serves nonsense://"),
        (["--store", "memory://", "--transport", "redis+pubsub://h"], "dies with its process"),
        (["--transport", "redis+pubsub://h", "--stuck-duration", "soon"], "no length of time"),
        (["--transport", "redis+pubsub://h", "--batch-size", "0"], "batch_size"),
        (["--processes", "0"], "--processes"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_makes_no_sense_is_refused(on_sqlite: Shell, words: list[str], why: str) -> None:
    (on_sqlite.folder / "orders_app.py").write_text(APP)
    result = on_sqlite("run", *words)
    assert result.code == 2
    assert why in result.err
    assert len(result.err.splitlines()) == 1
    assert not list(on_sqlite.folder.glob("*.db*"))
