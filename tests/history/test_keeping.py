"""How long things are kept, how tables are made, what is refused."""

import os
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.history.kit import START, kept, scene
from tests.servers.postgres import execute

from duly import InvalidArgument, Message, after
from duly.testing.clock import HandClock
from duly_history import History, HistoryError, HistoryUnavailable


async def test_what_is_too_old_goes(history_url):
    async with scene(history_url, keep_changes=timedelta(days=30)) as here:
        await here.schedule("old")
        await here.scheduler.pause("mail")
        await here.drain()
        await here.history.flush()
        await here.store.advance(days=5)
        await here.schedule("new")
        await here.drain()
        await here.history.flush()
        assert len((await here.history.of("old")).entries) == 2
        await here.store.advance(days=3)
        await here.history.flush()
        await here.history.flush()  # what is to be removed is removed behind what waits
        assert (await here.history.of("old")).entries == []
        assert len((await here.history.of("new")).entries) == 2
        assert (await here.history.rates(since=START - timedelta(days=1))).delivered == 1
        assert len((await here.history.changes()).changes) == 1
        await here.store.advance(days=30)
        await here.history.flush()
        await here.history.flush()
        assert (await here.history.changes()).changes == []
        assert (await here.history.search()).entries == []


async def test_whole_days_go_on_postgres(postgres_url):
    schema = "h_days"
    await execute(postgres_url, f"CREATE SCHEMA {schema}")
    async with scene(f"{postgres_url}?schema={schema}") as here:
        await here.schedule("a")
        await here.history.flush()
        days = {"duly_history_entries_day_21915", "duly_history_entries_day_21916"}
        assert days <= tables(here.history, schema)
        await here.store.advance(days=9)
        await here.schedule("b")
        await here.history.flush()
        await here.history.flush()
        assert not days & tables(here.history, schema)
        assert "duly_history_entries_day_21924" in tables(here.history, schema)
    await execute(postgres_url, f"DROP SCHEMA {schema} CASCADE")


async def test_without_partitions_rows_are_deleted(postgres_url):
    schema = "h_none"
    await execute(postgres_url, f"CREATE SCHEMA {schema}")
    url = f"{postgres_url}?schema={schema}"
    async with kept(History(f"{url}&auto_migrate=false")) as none:
        with pytest.raises(HistoryError, match="auto_migrate is false"):
            await none.flush()
        await none.migrate()
    async with scene(f"{url}&auto_migrate=false") as here:
        await here.schedule("a")
        await here.history.flush()
        assert not [each for each in tables(here.history, schema) if "_day_" in each]
        await here.store.advance(days=9)
        await here.history.flush()
        await here.history.flush()
        assert (await here.history.search()).entries == []
    await execute(postgres_url, f"DROP SCHEMA {schema} CASCADE")


async def test_much_is_removed_in_pieces(history_url):
    clock = HandClock(START)
    async with kept(History(history_url, clock=clock)) as history:
        messages = [Message("tick", id=str(n), scheduled_at=START) for n in range(45_000)]
        for start in range(0, 45_000, 5000):
            history.duly_scheduled(messages[start : start + 5000], START, None)
        await history.flush()
        clock.advance(days=9)
        for _ in range(5):
            await history.flush()
        assert (await history.search()).entries == []


async def test_nothing_is_made_by_who_reads(tmp_path, history_url):
    async with kept(History(f"sqlite:///{tmp_path}/nowhere.db")) as none:
        with pytest.raises(HistoryError, match=r"there is no such file: is the path right\?"):
            await none.of("x")
    assert not (tmp_path / "nowhere.db").exists()
    async with kept(History(history_url)) as empty:
        with pytest.raises(HistoryError, match=r"there is no such file|nothing has been kept"):
            await empty.changes()


async def test_tables_of_a_later_version(history_url):
    async with kept(History(history_url)) as history:
        await history.migrate()
        await history.migrate()
        with history._database.transaction() as connection:
            connection.execute(history._database.tables.schema_version.update().values(version=9))
        with pytest.raises(HistoryError, match="are of a later version of duly-history"):
            await history.flush()
        with pytest.raises(HistoryError, match="upgrade this one"):
            await history.of("x")


async def test_no_secret_is_told():
    url = "postgresql://mara:hunter2@127.0.0.1:1/shop?tls=false"
    async with kept(History(url)) as history:
        assert "hunter2" not in repr(history)
        with pytest.raises(HistoryUnavailable) as caught:
            await history.of("x")
        assert "hunter2" not in str(caught.value)
        assert "127.0.0.1:1" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://localhost", "a history is kept at sqlite:///... or postgresql://..."),
        ("history.db", "is not a URL"),
        ("sqlite:///:memory:", "a history is kept in a file"),
        ("sqlite:///", "a history is kept in a file"),
        ("sqlite://host/x.db", "a file has no host"),
        ("sqlite:///x.db?kep=3", "unknown option 'kep'; known: audit, auto_migrate, keep"),
        ("sqlite:///x.db?prefix=Robert'); --", "is no name of small letters"),
        ("sqlite:///x.db?keep=0", "keep must be a timedelta above 0"),
        ("sqlite:///x.db?keep=soon", "is not a number of seconds"),
        ("sqlite:///x.db?of=a*b", "'a*b' is no prefix"),
        ("sqlite:///x.db?most_waiting=0", "most_waiting must be a whole number from 1"),
        ("postgresql://h/a/b", "the path is the name of one database"),
    ],
)
def test_a_url_that_cannot_be_used(url, told):
    with pytest.raises(InvalidArgument) as caught:
        History(url)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"keep": 7}, {"keep_changes": timedelta(0)}, {"of": "orders.*"}, {"of": [""]},
     {"messages": 1}, {"audit": None}, {"most_waiting": True}],
)  # fmt: skip
def test_an_argument_that_cannot_be_used(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        History("sqlite:///x.db", **options)


def run(code, **environment):
    kept_ = {name: each for name, each in os.environ.items() if not name.startswith("DULY_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, check=False, env=kept_ | environment,
    )  # fmt: skip


async def test_by_the_environment(tmp_path):
    code = """
        import asyncio, sys
        import duly

        async def main():
            async with duly.Client("memory://") as client:
                await client.schedule(duly.Message("tick", id="a", scheduled_at=duly.after(hours=1)))
                await client.cancel("a")
                print("duly_history" in sys.modules, (await client.health()).reason)

        asyncio.run(main())
    """
    done = run(code)
    assert done.stdout.startswith("False "), done
    url = f"sqlite:///{tmp_path}/history.db"
    done = run(code, DULY_HISTORY=url)
    assert done.stdout.startswith("True "), done
    async with kept(History(url)) as history:
        found = (await history.of("a")).entries
        assert [each.what.value for each in found] == ["scheduled", "cancelled"]
        assert [each.action for each in (await history.changes()).changes] == ["cancel"]
    done = run(code, DULY_HISTORY="redis://localhost")
    assert "a history is kept at sqlite:///" in done.stdout, done


async def test_one_given_by_hand_comes_before_that_of_the_environment(tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    code = """
        import asyncio, os
        import duly
        from duly_history import History

        async def main():
            history = History(os.environ["DULY_HISTORY"])
            async with duly.Client("memory://", plugins=[history]) as client:
                await client.schedule(duly.Message("tick", id="a", scheduled_at=duly.after(hours=1)))
                await client.pause("tick")

        asyncio.run(main())
    """
    done = run(code, DULY_HISTORY=url)
    assert done.returncode == 0, done
    async with kept(History(url)) as history:
        assert len((await history.of("a")).entries) == 1
        assert len((await history.changes()).changes) == 1


async def test_one_that_is_only_read_keeps_nobody_silent(tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    code = """
        import asyncio, os
        import duly
        from duly_history import History

        async def main():
            reader = History(os.environ["DULY_HISTORY"])
            async with duly.Client("memory://") as client:
                await client.pause("tick")
            print(len((await reader.changes()).changes))
            await reader.close()

        asyncio.run(main())
    """
    done = run(code, DULY_HISTORY=url)
    assert done.stdout == "1\n", done


async def test_after_a_fork(tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    code = """
        import asyncio, os, sys
        import duly
        from duly_history import History

        history = History(sys.argv[1] if len(sys.argv) > 1 else os.environ["URL"])

        async def work(id):
            async with duly.Client("memory://", plugins=[history]) as client:
                await client.schedule(duly.Message("tick", id=id, scheduled_at=duly.after(hours=1)))
                await history.flush()

        asyncio.run(work("parent"))
        if os.fork() == 0:
            asyncio.run(work("child"))
            os._exit(0)
        os.wait()
        asyncio.run(work("again"))
    """
    done = run(code, URL=url)
    assert done.returncode == 0, done
    async with kept(History(url)) as history:
        found = (await history.search()).entries
        assert {each.message_id for each in found} == {"parent", "child", "again"}
        assert len({each.source for each in found}) == 2


def tables(history, schema):
    with history._database.transaction() as connection:
        return {*sa.inspect(connection).get_table_names(schema=schema)}


async def test_of_very_many_holes_none_is_left_out(history_url):
    began = int(after(seconds=-2000).timestamp())

    def hole(number: int, count: int | None) -> dict[str, object]:
        at = (began + number) * 1_000_000
        return {"source": f"host:{number}:a", "from_at": at, "to_at": at + 1, "number": count,
                "reason": "the queue was full"}  # fmt: skip

    async with kept(History(history_url)) as history:
        await history.flush()
        database = history._database
        table = database.tables.holes
        for rows in ([hole(number, 2) for number in range(1003)], [hole(-1, None)]):
            with database.transaction() as connection:
                connection.execute(table.insert(), rows)
            first, *others = (await history.search()).holes
            assert len(others) == 1000
            assert others[0].source == "host:3:a"
            count = 3 if rows[0]["number"] else 4
            assert first.reason == f"the first {count} of more holes"
            assert first.number == (6 if rows[0]["number"] else None)
            assert first.to_at < others[0].from_at
