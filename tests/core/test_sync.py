"""The doors for blocking code: the same verbs, from threads, services and scripts."""

import asyncio
import contextvars
import gc
import inspect
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

import duly
import duly.sync
from duly import Filter, MemoryStore, Message, State
from duly.sync._call import Call
from duly.sync._serving import Serving

SECOND = timedelta(seconds=1)
PAIRS = [(duly.Client, duly.sync.Client), (duly.Scheduler, duly.sync.Scheduler)]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "duly-sync"]


def later(id: str | None = None, *, hours: float = 1, **more) -> Message:
    return Message("event", scheduled_at=duly.after(hours=hours), id=id, **more)


def due(id: str | None = None, **more) -> Message:
    return later(id, hours=-1, **more)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threads():
        thread.join(5)
    assert not threads()


@pytest.fixture
def client() -> Iterator[duly.sync.Client]:
    with duly.sync.Client(MemoryStore()) as client:
        yield client


def wait_until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to it")


class TestParity:
    @pytest.mark.parametrize(("ours", "blocking"), PAIRS, ids=lambda each: each.__name__)
    def test_the_verbs_are_the_same(self, ours, blocking):
        def verbs(kind):
            return {name for name in dir(kind) if not name.startswith("_")}

        assert verbs(blocking) == verbs(ours)
        assert hasattr(blocking, "__enter__")

    @pytest.mark.parametrize(("ours", "blocking"), PAIRS, ids=lambda each: each.__name__)
    def test_they_take_the_same(self, ours, blocking):
        names = [name for name in dir(ours) if not name.startswith("_")]
        for name in ["__init__", *names]:
            expected = inspect.signature(getattr(ours, name))
            found = inspect.signature(getattr(blocking, name))
            assert found.parameters == expected.parameters, name

    @pytest.mark.parametrize(("ours", "blocking"), PAIRS, ids=lambda each: each.__name__)
    def test_they_give_the_same(self, ours, blocking):
        for name, verb in vars(ours).items():
            if inspect.iscoroutinefunction(verb) and not name.startswith("_"):
                expected = inspect.signature(verb).return_annotation
                assert inspect.signature(getattr(blocking, name)).return_annotation == expected
                assert not inspect.iscoroutinefunction(getattr(blocking, name))

    @pytest.mark.parametrize("kind", [kind for pair in PAIRS for kind in pair])
    def test_an_unknown_option_is_refused_and_a_near_one_named(self, kind):
        needed = [MemoryStore(), print][
            : 2 if issubclass(kind, (duly.Scheduler, duly.sync.Scheduler)) else 1
        ]
        with pytest.raises(TypeError, match="'max_payloads': did you mean 'max_payload'"):
            kind(*needed, max_payloads=5)
        with pytest.raises(TypeError, match="unexpected keyword argument 'zzz'$"):
            kind(*needed, zzz=5)

    def test_what_a_verb_does_is_told_at_both_doors(self):
        for name in ("schedule", "cancel", "list", "health"):
            assert getattr(duly.sync.Client, name).__doc__ == getattr(duly.Client, name).__doc__

    def test_a_scheduler_is_a_client(self):
        assert issubclass(duly.sync.Scheduler, duly.sync.Client)

    def test_wrong_arguments_are_told_at_once_and_start_nothing(self):
        with pytest.raises(duly.InvalidArgument, match="max_payload"):
            duly.sync.Client("memory://", max_payload=-1)
        with pytest.raises(duly.UnknownScheme):
            duly.sync.Scheduler("nowhere://", print)
        duly.sync.Client("memory://").close()
        assert not threads()


class TestVerbs:
    def test_schedule_get_and_list(self, client):
        message = later("a", payload=b"body")
        assert client.schedule(message) == "a"
        assert client.get("a") == message
        assert list(client.list(Filter(event_name="event"))) == [message]
        assert client.schedule(later("a", payload=b"new"), replace=True) == "a"
        assert client.get("a").payload == b"new"
        with pytest.raises(duly.DuplicateMessage):
            client.schedule(later("a"))
        with pytest.raises(duly.MessageNotFound, match="'b'"):
            client.get("b")

    def test_cancel_and_reschedule(self, client):
        assert client.schedule_many(later(id) for id in "abc") == [*"abc"]
        at = duly.after(hours=2)
        assert client.reschedule("a", at) is True
        assert client.reschedule("unknown", at, missing_ok=True) is False
        assert client.get("a").scheduled_at == at
        assert client.cancel("a") is duly.Cancellation.CANCELLED
        assert client.cancel("a", missing_ok=True) is duly.Cancellation.UNKNOWN
        assert client.cancel_many(Filter(event_name="event")) == 2

    def test_replay_and_purge(self):
        def refuse(envelope):
            raise duly.Rejected("no")

        with duly.sync.Scheduler("memory://", refuse) as scheduler:
            scheduler.schedule_many([due("a"), due("b")])
            with scheduler.running():
                wait_until(lambda: scheduler.stats().dead == 2)
            scheduler.replay("a", at=duly.after(hours=1))
            assert scheduler.get("a").state is State.SCHEDULED
            assert scheduler.purge(everything=True) == 1

    def test_stats_health_and_migrate(self, client):
        client.schedule(later())
        assert client.stats().scheduled == 1
        assert client.health().status is duly.Status.HEALTHY
        assert list(client.migrate(dry_run=True)) == []

    def test_without_payloads(self, client):
        client.schedule(later("m", payload=b"x"))
        for (found,) in (client.list(payload=False), [*client.iterate(payload=False)]):
            with pytest.raises(duly.InvalidMessage, match="listed without its payload"):
                _ = found.payload

    def test_iterate(self, client):
        number = 1203
        client.schedule_many(later(f"m{each:04}") for each in range(number))
        assert [each.id for each in client.iterate()] == [f"m{each:04}" for each in range(number)]
        assert [each.id for each in client.iterate(Filter(limit=2))] == ["m0000", "m0001"]
        assert len(list(client.iterate(Filter(limit=1000)))) == 1000

    def test_what_is_iterated_over_may_be_left_and_changed(self, client):
        client.schedule_many(later(f"m{each:04}") for each in range(600))
        for message in client.iterate():
            client.cancel(message.id)
            if message.id == "m0504":
                break
        assert client.stats().scheduled == 600 - 505

    def test_iterating_ends_with_the_client(self):
        with duly.sync.Client(MemoryStore()) as client:
            client.schedule_many(later(f"m{each:04}") for each in range(600))
            messages = client.iterate()
            next(messages)
        with pytest.raises(duly.SchedulerStateError):
            list(messages)

    def test_open_is_needed_by_nobody(self):
        client = duly.sync.Client(MemoryStore())
        client.schedule(later())
        client.open()
        client.close()
        client.close()


class TestScheduleMany:
    def test_all_or_none(self, client):
        client.schedule(later("b"))
        with pytest.raises(duly.DuplicateMessage):
            client.schedule_many([later("a"), later("b")])
        assert client.stats().scheduled == 1
        with pytest.raises(duly.InvalidArgument, match="10,000"):
            client.schedule_many(later() for _ in range(10**9))
        with pytest.raises(duly.InvalidArgument, match="iterable"):
            client.schedule_many(later())

    def test_each_on_its_own(self, client):
        client.schedule(later("m0700"))
        with pytest.raises(duly.PartlyScheduled, match="^1199 messages.*'m0700'") as raised:
            client.schedule_many((later(f"m{each:04}") for each in range(1200)), atomic=False)
        assert len(raised.value.stored_ids) == 1199
        assert isinstance(raised.value.__cause__, duly.DuplicateMessage)
        assert client.schedule_many([], atomic=False) == []
        assert client.schedule_many((later() for _ in range(3)), atomic=False, replace=True)
        for wrong in ({"atomic": 1}, {"atomic": False, "replace": 1}):
            with pytest.raises(duly.InvalidArgument):
                client.schedule_many([], **wrong)

    def test_what_makes_the_messages_may_fail_in_the_middle(self, client):
        def source(number: int) -> Iterator[Message]:
            for each in range(number):
                yield later(f"m{each}")
            raise KeyError("no more")

        with pytest.raises(duly.PartlyScheduled, match="no more") as caught:
            client.schedule_many(source(700), atomic=False)
        assert isinstance(caught.value.__cause__, KeyError)
        assert len(caught.value.stored_ids) == client.stats().scheduled == 500
        with pytest.raises(KeyError, match="no more"):
            client.schedule_many(source(0), atomic=False)

    def test_an_unavailable_store_ends_it(self):
        class Away(MemoryStore):
            async def put(self, groups, *, within=None):
                if self.calls == 1:
                    raise duly.StoreUnavailable("away")
                self.calls += 1
                return await super().put(groups)

            calls = 0

        taken = 0

        def messages():
            nonlocal taken
            while True:
                taken += 1
                yield later()

        with duly.sync.Client(Away()) as client:
            with pytest.raises(duly.PartlyScheduled, match="away") as raised:
                client.schedule_many(messages(), atomic=False)
        assert (len(raised.value.stored_ids), taken) == (500, 1000)

    @pytest.mark.parametrize("atomic", [True, False])
    def test_messages_are_made_in_the_calling_thread(self, client, atomic):
        def messages():
            assert threading.current_thread() is threading.main_thread()
            for number in range(3):
                yield later(f"{client.stats().scheduled}-{number}")

        assert client.schedule_many(messages(), atomic=atomic) == ["0-0", "0-1", "0-2"]


class TestThreads:
    def test_many_on_one_client(self, client):
        def work(number: int) -> int:
            for each in range(40):
                id = f"{number}-{each}"
                client.schedule(later(id))
                assert client.get(id).id == id
                if each % 2:
                    assert client.cancel(id)
            return len(client.list(Filter(limit=5)))

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(16))) == [5] * 16
        assert client.stats().scheduled == 16 * 20
        assert len(threads()) == 1

    def test_many_first_calls_start_one_loop(self):
        client = duly.sync.Client(MemoryStore())
        start = threading.Barrier(12)

        def first(_):
            start.wait()
            return client.schedule(later())

        with closing(client), ThreadPoolExecutor(12) as pool:
            assert len(set(pool.map(first, range(12)))) == 12
            assert len(threads()) == 1

    def test_a_wsgi_service(self, tmp_path):
        client = duly.sync.Client(f"sqlite:////{tmp_path}/service.db")

        def service(environ, start_response):
            id = client.schedule(later(environ["PATH_INFO"][1:]))
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [id.encode()]

        class Quiet(WSGIRequestHandler):
            def log_message(self, *_):
                pass

        with make_server("127.0.0.1", 0, service, handler_class=Quiet) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            serving.start()
            url = f"http://127.0.0.1:{server.server_port}"

            def ask(number: int) -> str:
                with urllib.request.urlopen(f"{url}/order-{number}") as answer:
                    return answer.read().decode()

            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(ask, range(20))) == [f"order-{each}" for each in range(20)]
            server.shutdown()
            serving.join()
        with client:
            assert client.stats().scheduled == 20

    def test_what_the_caller_has_in_its_context_goes_along(self):
        tenant = contextvars.ContextVar("tenant")
        seen = []

        class Store(MemoryStore):
            async def get(self, id):
                seen.append(tenant.get())
                return await super().get(id)

        tenant.set("seven")
        with duly.sync.Client(Store()) as client:
            with pytest.raises(duly.MessageNotFound):
                client.get("a")
        assert seen == ["seven"]

    def test_a_dropped_client_takes_its_thread_along(self):
        client = duly.sync.Client(MemoryStore())
        client.schedule(later())
        assert len(threads()) == 1
        del client
        gc.collect()
        wait_until(lambda: not threads())


class TestDelivering:
    def test_plain_functions_run_in_threads_and_may_use_the_scheduler(self):
        transport = duly.LocalTransport()
        seen = []

        @transport.on("event")
        def handle(envelope):
            assert threading.current_thread() not in threads()
            scheduler.schedule(Message("follow-up", scheduled_at=duly.after()))

        @transport.on("follow-up")
        async def follow(envelope):
            assert threading.current_thread() in threads()
            seen.append(envelope.event_name)

        with duly.sync.Scheduler("memory://", transport) as scheduler:
            scheduler.schedule_many([due(), due()])
            with scheduler.running() as same:
                assert same is scheduler
                wait_until(lambda: len(seen) == 2)
            assert scheduler.stats().scheduled == 0

    def test_a_function_as_transport(self):
        seen = []
        with duly.sync.Scheduler("memory://", seen.append) as scheduler:
            scheduler.schedule(due("a"))
            with scheduler.running():
                wait_until(lambda: seen)
        assert seen[0].message_id == "a"

    def test_start_blocks_until_it_is_stopped(self):
        seen = []
        with duly.sync.Scheduler("memory://", seen.append) as scheduler:
            scheduler.stop()
            for turn in range(2):
                running = threading.Thread(target=scheduler.start)
                running.start()
                scheduler.schedule(due())
                wait_until(lambda turn=turn: len(seen) > turn)
                for again in (scheduler.start, scheduler.run):
                    with pytest.raises(duly.SchedulerStateError, match="runs already"):
                        again()
                scheduler.schedule(due())  # that refusal ended nothing
                scheduler.stop(SECOND)
                running.join()

    def test_running_drains(self):
        begun, seen = threading.Event(), []

        def slow(envelope):
            begun.set()
            time.sleep(0.05)
            seen.append(envelope)

        with duly.sync.Scheduler("memory://", slow) as scheduler:
            scheduler.schedule(due())
            with scheduler.running():
                begun.wait()
            assert len(seen) == 1

    def test_closing_ends_a_run(self):
        scheduler = duly.sync.Scheduler("memory://", print)
        running = threading.Thread(target=scheduler.start)
        running.start()
        wait_until(lambda: scheduler.health().details["running"])
        scheduler.close()
        running.join()

    def test_run_in_another_thread_until_it_is_stopped(self):
        seen = []
        scheduler = duly.sync.Scheduler(MemoryStore(), seen.append)
        scheduler.schedule(due())
        running = threading.Thread(target=scheduler.run)
        running.start()
        wait_until(lambda: seen)
        scheduler.stop()
        running.join()
        with pytest.raises(duly.SchedulerStateError, match="closed"):
            scheduler.stats()

    def test_what_cannot_be_opened_is_told(self, tmp_path):
        for work in ("start", "run", "open"):
            scheduler = duly.sync.Scheduler(f"sqlite:////{tmp_path}/no/such/folder.db", print)
            with closing(scheduler), pytest.raises(duly.StoreError, match="folder"):
                getattr(scheduler, work)()

    def test_from_its_own_loop_it_would_wait_for_itself(self):
        refused = []

        async def handle(envelope):
            for verb in (scheduler.stats, scheduler.close, scheduler.stop):
                with pytest.raises(duly.SchedulerStateError, match="its own event loop"):
                    verb()
            with duly.sync.Client(MemoryStore()) as other:
                refused.append(other.stats().scheduled)

        with duly.sync.Scheduler("memory://", handle) as scheduler:
            scheduler.schedule(due())
            with scheduler.running():
                wait_until(lambda: scheduler.stats().scheduled + scheduler.stats().claimed == 0)
        assert refused == [0]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_loop_that_dies_keeps_nobody_waiting(self):
        class Deadly(MemoryStore):
            async def stats(self):
                raise SystemExit

            async def get(self, id):
                waiting.set()
                await asyncio.sleep(60)

        def get() -> None:
            with pytest.raises(duly.SchedulerStateError, match="closed while"):
                client.get("a")
            left.set()

        waiting, left = threading.Event(), threading.Event()
        client = duly.sync.Client(Deadly())
        threading.Thread(target=get).start()
        waiting.wait()
        with pytest.raises(SystemExit):
            client.stats()
        assert left.wait(10)
        wait_until(lambda: not threads())
        with pytest.raises(duly.SchedulerStateError, match="has ended"):
            client.stats()
        client.close()


class TestClosed:
    def test_a_closed_client_stays_closed(self):
        client = duly.sync.Client(MemoryStore())
        with client:
            pass
        for verb in (client.open, client.stats):
            with pytest.raises(duly.SchedulerStateError, match="closed: make another"):
                verb()
        client.close()

    def test_what_was_never_used_closes_too(self):
        client = duly.sync.Client(MemoryStore())
        client.close()
        with pytest.raises(duly.SchedulerStateError, match="closed"):
            client.stats()

    def test_calls_under_way_are_told(self):
        class Slow(MemoryStore):
            async def get(self, id):
                asked.set()
                await asyncio.sleep(60)

        asked, told = threading.Event(), []

        def get() -> None:
            try:
                client.get("a")
            except duly.SchedulerStateError as error:
                told.append(str(error))

        client = duly.sync.Client(Slow())
        waiting = threading.Thread(target=get)
        waiting.start()
        asked.wait()
        client.close()
        waiting.join()
        assert told == ["closed while this call was under way"]

    def test_a_store_of_the_callers_stays_open(self):
        store = MemoryStore()
        for _ in range(2):
            with duly.sync.Client(store) as client:
                client.schedule(later())
        with duly.sync.Client(store) as client:
            assert client.stats().scheduled == 2


class TestWithin:
    @pytest.fixture
    def client(self, tmp_path):
        with duly.sync.Scheduler(f"sqlite:////{tmp_path}/orders.db", print) as client:
            yield client

    @pytest.fixture
    def connection(self, client, tmp_path):
        with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
            yield connection

    def test_it_happens_if_and_only_if_that_commits(self, client, connection):
        assert client.schedule(later("a"), within=connection) == "a"
        assert client.stats().scheduled == 0
        connection.rollback()
        assert client.stats().scheduled == 0
        client.schedule(later("a"), within=connection)
        assert client.schedule_many([later("b"), later("c")], within=connection) == ["b", "c"]
        each = (later(id) for id in "de")
        assert client.schedule_many(each, atomic=False, within=connection) == ["d", "e"]
        client.reschedule("a", duly.after(hours=3), within=connection)
        assert client.cancel("b", within=connection)
        connection.commit()
        assert [each.id for each in client.list()] == [*"cdea"]

    def test_it_looks_in_the_transaction(self, client, connection):
        client.schedule_many([later(f"m{number:03}") for number in range(600)])
        client.schedule(later("new", hours=3), within=connection)
        assert client.get("new", within=connection).id == "new"
        with pytest.raises(duly.MessageNotFound):
            client.get("new")
        assert len(client.list(within=connection)) == 601
        assert len(client.list(payload=False)) == 600
        messages = client.iterate(within=connection)
        assert next(messages).id == "m000"
        client.cancel("m000", within=connection)  # while it goes on
        assert len([each.id for each in messages]) == 600
        messages = client.iterate(within=connection)
        assert next(messages).id == "m001"
        del messages  # left in the middle
        connection.rollback()
        with pytest.raises(duly.MessageNotFound):
            client.get("new", within=connection)

    def test_in_the_thread_that_the_connection_belongs_to(self, client, tmp_path):
        def work(number: int) -> None:
            with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
                client.schedule(later(f"a{number}"), within=connection)
                connection.commit()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(8)))
        assert client.stats().scheduled == 8

    def test_a_connection_of_another_thread_is_refused(self, client, connection):
        with ThreadPoolExecutor(1) as pool, pytest.raises(duly.InvalidArgument, match="thread"):
            pool.submit(client.schedule, later(), within=connection).result()

    def test_while_it_delivers(self, client, connection):
        with client.running():
            client.schedule(due("a"), within=connection)
            connection.commit()
            wait_until(lambda: client.stats().scheduled + client.stats().claimed == 0)

    def test_errors_are_the_same(self, client, connection):
        client.schedule(later("a"))
        with pytest.raises(duly.DuplicateMessage):
            client.schedule(later("a"), within=connection)
        with pytest.raises(duly.MessageNotFound):
            client.cancel("b", within=connection)
        with pytest.raises(duly.InvalidArgument, match="int"):
            client.schedule(later(), within=7)
        with pytest.raises(duly.InvalidArgument, match="int"):
            client.get("a", within=7)
        with duly.sync.Client(MemoryStore()) as memory:
            for refused in (
                lambda: memory.schedule(later(), within=connection),
                lambda: memory.get("a", within=connection),
                lambda: memory.list(within=connection),
                lambda: next(memory.iterate(within=connection)),
            ):
                with pytest.raises(duly.Unsupported):
                    refused()

    def test_what_belongs_to_an_event_loop_is_refused(self, client):
        class Session:
            async def __aenter__(self): ...

        class Connection:
            async def execute(self, statement): ...

        for within in (Session(), Connection()):
            with pytest.raises(duly.Unsupported, match="event loop"):
                client.schedule(later(), within=within)
            with pytest.raises(duly.Unsupported, match="event loop"):
                client.list(within=within)

    def test_a_thread_that_runs_an_event_loop_is_refused(self, client, connection):
        async def main():
            client.schedule(later("a"))  # holds the loop up, but does no harm
            with pytest.raises(duly.SchedulerStateError, match="runs an event loop"):
                client.schedule(later("b"), within=connection)

        asyncio.run(main())
        assert [each.id for each in client.list()] == ["a"]


def script(code: str, tmp_path: Path) -> subprocess.Popen[str]:
    """A process that runs this with a scheduler's usual names at hand."""
    head = f"""
        import os, signal, sys, threading, time
        import duly, duly.sync
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
        url = "sqlite:////{tmp_path}/orders.db"
        def due(): return duly.Message("event", scheduled_at=duly.after(hours=-1))
        def say(word): os.write(1, str(word).encode() + bytes([10]))  # whatever other threads say
    """
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word, process.communicate()


def left(tmp_path: Path) -> duly.Stats:
    with duly.sync.Client(f"sqlite:////{tmp_path}/orders.db") as client:
        return client.stats()


class TestSignals:
    SLOW = """
        def slow(envelope):
            say("begun"); time.sleep(SECONDS); say("done")
        scheduler = duly.sync.Scheduler(url, slow)
        scheduler.schedule(due())
    """

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_run_drains_at_the_first(self, tmp_path, number):
        code = self.SLOW.replace("SECONDS", "0.3") + "    scheduler.run(); say('over')"
        with script(textwrap.dedent(code), tmp_path) as process:
            heard(process, "begun")
            process.send_signal(number)
            try:
                assert process.communicate(timeout=60) == ("done\nover\n", "")
            finally:
                process.kill()
        assert process.returncode == 0
        assert left(tmp_path) == duly.Stats(scheduled=0, claimed=0, dead=0)

    def test_a_signal_that_another_thread_caught_is_heard(self, tmp_path):
        code = (
            self.SLOW.replace("SECONDS", "0.3")
            + """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # by this thread alone
        scheduler.run(); say('over')
        """
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            heard(process, "begun")
            heard(process, "done")
            process.send_signal(signal.SIGTERM)
            try:
                assert process.communicate(timeout=30) == ("over\n", "")
            finally:
                process.kill()
        assert process.returncode == 0

    def test_a_signal_that_comes_before_it_starts_is_heard(self, tmp_path):
        code = (
            self.SLOW.replace("SECONDS", "0")
            + """
        begin = scheduler._thread.begin
        def interrupted(function, *arguments):
            if function.__name__ == "start":
                os.kill(os.getpid(), signal.SIGTERM)
            return begin(function, *arguments)
        scheduler._thread.begin = interrupted
        scheduler.run(); say('over')
        """
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            try:
                assert process.communicate(timeout=60)[0].endswith("over\n")
            finally:
                process.kill()
        assert process.returncode == 0

    def test_run_does_not_wait_after_the_second(self, tmp_path):
        code = (
            self.SLOW.replace("SECONDS", "60")
            + """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # again when it is over
        scheduler.run(); say('over'); os._exit(7)
        """
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            heard(process, "begun")
            while process.poll() is None:
                process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
            assert process.communicate() == ("over\n", "")
        assert process.returncode == 7
        assert left(tmp_path).scheduled == 1

    AWAY = """
        class Away(duly.MemoryStore):
            async def open(self):
                say("asked")
                raise duly.StoreUnavailable("nobody there")
    """

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("door", ["duly", "duly.sync"])
    def test_run_waits_for_a_store_that_is_away_until_the_first(self, tmp_path, door, number):
        code = (
            self.AWAY
            + f"    {door}.Scheduler(Away(), print, load_plugins=False).run(); say('over')"
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            for _ in range(3):
                heard(process, "asked")
            process.send_signal(number)
            told, errors = process.communicate()
        assert told.replace("asked\n", "") == "over\n"
        (line,) = errors.splitlines()
        assert line.startswith("store_unavailable error='StoreUnavailable: nobody there' owner=")
        assert process.returncode == 0

    @pytest.mark.parametrize("door", ["duly", "duly.sync"])
    def test_run_does_not_wait_if_told_so(self, tmp_path, door):
        code = (
            self.AWAY
            + f"    {door}.Scheduler(Away(), print, load_plugins=False, wait_for_store=False).run()"
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            told, errors = process.communicate()
        assert told == "asked\n"
        assert "StoreUnavailable: nobody there" in errors.splitlines()[-1]
        assert process.returncode == 1

    def test_a_block_waits_for_a_store_that_is_away(self, tmp_path):
        code = (
            self.AWAY
            + """
        scheduler = duly.sync.Scheduler(Away(), print, load_plugins=False)
        for block in (scheduler, scheduler.running()):
            try:
                with block:
                    say("never")
            except KeyboardInterrupt:
                say("interrupted")
        scheduler.close()
        """
        )
        with script(code, tmp_path) as process:
            for _ in range(2):
                for _ in range(3):
                    heard(process, "asked")
                process.send_signal(signal.SIGINT)
                while (line := process.stdout.readline()) == "asked\n":
                    pass
                assert line == "interrupted\n"
            assert process.wait() == 0

    def test_start_drains_when_it_is_interrupted(self, tmp_path):
        code = (
            self.SLOW.replace("SECONDS", "0.3")
            + """
        try:
            scheduler.start()
        except KeyboardInterrupt:
            say("interrupted")
        say(scheduler.stats().claimed)
        """
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            heard(process, "begun")
            process.send_signal(signal.SIGINT)
            assert process.communicate() == ("done\ninterrupted\n0\n", "")
        assert process.returncode == 0

    def test_interrupted_again_it_leaves_at_once(self, tmp_path):
        code = (
            self.SLOW.replace("SECONDS", "60")
            + """
        try:
            scheduler.start()
        except KeyboardInterrupt:
            say("interrupted")
        scheduler.close()
        os._exit(7)
        """
        )
        with script(textwrap.dedent(code), tmp_path) as process:
            heard(process, "begun")
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.communicate() == ("interrupted\n", "")
        assert process.returncode == 7

    def test_an_interrupted_call_is_cancelled(self, tmp_path):
        code = """
        import asyncio
        class Slow(duly.MemoryStore):
            async def get(self, id):
                say("asked")
                try:
                    await asyncio.sleep(60)
                finally:
                    say("cancelled")
        with duly.sync.Client(Slow()) as client:
            try:
                client.get("a")
            except KeyboardInterrupt:
                say("interrupted")
            say(client.stats().scheduled)
        """
        with script(code, tmp_path) as process:
            heard(process, "asked")
            process.send_signal(signal.SIGINT)
            assert process.communicate() == ("cancelled\ninterrupted\n0\n", "")
        assert process.returncode == 0

    @pytest.mark.parametrize("posted", [True, False])
    def test_a_call_interrupted_while_it_is_being_begun_leaves_nothing_behind(
        self, monkeypatch, posted
    ):
        asked, ended = threading.Event(), []

        class Slow(duly.MemoryStore):
            async def get(self, id):
                asked.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    ended.append(id)

        def interrupted(serving, call):
            if posted:
                begin(serving, call)
                asked.wait()
            raise KeyboardInterrupt

        begin = Serving.begin
        with duly.sync.Client(Slow()) as client:
            client.stats()
            with monkeypatch.context() as patched:
                patched.setattr(Serving, "begin", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    client.get("a")
            assert client.stats().scheduled == 0
        assert ended == (["a"] if posted else [])


class TestExit:
    @pytest.mark.parametrize("kind", ["def", "async def"])
    @pytest.mark.parametrize("then", ["pass", "scheduler.stats()", "time.sleep(0.5)"])
    def test_a_handler_that_ends_the_process_ends_the_block_that_runs_it(self, kind, then):
        begun = threading.Event()
        space = {"begun": begun, "sys": sys}
        exec(f"{kind} handle(envelope):\n    begun.set()\n    sys.exit(3)", space)  # ours
        with (
            pytest.raises(SystemExit) as told,
            duly.sync.Scheduler("memory://", space["handle"]) as scheduler,
        ):
            scheduler.schedule(due())
            with scheduler.running():
                assert begun.wait(10)
                exec(then, {"scheduler": scheduler, "time": time})  # ours
        assert told.value.code == 3
        assert not threads()

    def test_a_block_that_is_left_as_the_loop_ends_tells_what_has_ended_it(self, monkeypatch):
        ending, left = threading.Event(), threading.Event()
        close, checked = asyncio.Runner.close, Serving.raise_ending

        def close_late(runner):  # the loop is about to run once more, to cancel what is under way
            ending.set()
            assert left.wait(10)
            close(runner)

        def begin(serving, call):
            serving.loop.call_soon_threadsafe(serving._begin, call)
            left.set()

        looks = iter([lambda _: None])  # it was looked at a moment before there was anything

        def looked(serving):
            next(looks, checked)(serving)

        monkeypatch.setattr(asyncio.Runner, "close", close_late)
        scheduler = duly.sync.Scheduler("memory://", lambda envelope: sys.exit(3))
        with pytest.raises(SystemExit), scheduler.running():
            scheduler.schedule(due())
            assert ending.wait(10)
            monkeypatch.setattr(Serving, "begin", begin)
            monkeypatch.setattr(Serving, "raise_ending", looked)
        scheduler._thread.end()

    def test_what_has_ended_the_loop_is_told_although_nothing_else_is_asked(self):
        scheduler = duly.sync.Scheduler("memory://", lambda envelope: sys.exit(3))
        with pytest.raises(SystemExit), scheduler:
            block = scheduler._inner.running()
            scheduler._thread.call(block.__aenter__)
            serving = scheduler._thread._serving
            scheduler.schedule(due())
            serving.thread.join(10)
        scheduler.close()

    @pytest.mark.parametrize("how", ["pass", "sys.exit(3)", "1 / 0"])
    def test_a_client_without_close(self, tmp_path, how):
        code = f"""
        client = duly.sync.Client(url)
        client.schedule(due())
        {how}
        """
        with script(code, tmp_path) as process:
            _, errors = process.communicate(timeout=30)
        assert process.returncode == {"pass": 0, "sys.exit(3)": 3, "1 / 0": 1}[how]
        assert errors.count("Traceback") == (how == "1 / 0"), errors
        assert left(tmp_path).scheduled == 1

    @pytest.mark.parametrize("kind", ["def", "async def"])
    def test_a_scheduler_without_close_puts_back_what_it_holds(self, tmp_path, kind):
        nap = "await asyncio.sleep(60)" if kind == "async def" else "time.sleep(2)"
        code = f"""
        import asyncio
        begun = []
        {kind} slow(envelope):
            say("begun"); begun.append(envelope); {nap}
        scheduler = duly.sync.Scheduler(url, slow)
        scheduler.schedule_many([due(), due()])
        threading.Thread(target=scheduler.start).start()
        while len(begun) != 2: time.sleep(0.01)
        """
        with script(code, tmp_path) as process:
            assert process.communicate(timeout=30) == ("begun\nbegun\n", "")
        assert process.returncode == 0
        assert left(tmp_path).scheduled == 2

    def test_a_loop_that_is_held_up_holds_up_nobody_else(self, tmp_path):
        code = """
        async def rude(envelope):
            say("begun"); time.sleep(60)
        scheduler = duly.sync.Scheduler("memory://", rude)
        scheduler.schedule(due())
        threading.Thread(target=scheduler.start, daemon=True).start()
        time.sleep(0.3)
        """
        with script(code, tmp_path) as process:
            assert process.communicate(timeout=30) == ("begun\n", "")
        assert process.returncode == 0


class TestFork:
    def test_a_child_is_told_and_does_not_hang(self, tmp_path):
        code = """
        client = duly.sync.Client(url)
        unused = duly.sync.Client(url)
        with client:
            client.schedule(due())
            if os.fork() == 0:
                try:
                    client.schedule(due())
                except duly.SchedulerStateError as error:
                    say(str(error)[:39])
                say(unused.schedule(due()) != "")
                unused.close()
                client.close()
                sys.exit(5)
            say(os.waitstatus_to_exitcode(os.wait()[1]))
            say(client.stats().scheduled)
        """
        with script(code, tmp_path) as process:
            out, errors = process.communicate(timeout=30)
        assert out == "used before this process was forked off\nTrue\n5\n2\n"
        assert (process.returncode, errors) == (0, "")


def test_what_ends_the_loop_is_kept_though_other_threads_begin_calls_meanwhile():
    async def ends() -> None:
        asyncio.get_running_loop().call_soon(sys.exit, 3)

    async def nothing() -> None:
        pass

    class Joined(Call[None]):
        def raised(self, error: BaseException) -> bool:
            serving.calls.add(Call(nothing, serving.calls))
            return super().raised(error)

    serving = Serving()
    serving.start()
    serving.calls.update(Joined(nothing, serving.calls) for _ in range(3))
    serving.begin(Call(ends, serving.calls))
    serving.thread.join(10)
    with pytest.raises(SystemExit):
        serving.raise_ending()
