"""What the dead letters died of: errors that differ in ids, numbers and quoted parts are one."""

import pytest
from tests.core.standing_kit import Shop

from duly import Client, Filter, Message, State
from duly._values.causes import common_text


@pytest.mark.parametrize(
    ("errors", "common"),
    [
        (["unknown column 'a'", "unknown column 'b c'"], "unknown column ..."),
        (["timed out after 10 s", "timed out after 2.5 s"], "timed out after ... s"),
        (["host 10.0.0.1:80 is away", "host 10.0.0.2:8080 is away"], "host ... is away"),
        (
            ["no order 0b0e8a9e-7a50-4f0e-9bb2-0a3a3d7a7b01", "no order 17"],
            "no order ...",
        ),
        (["token abcdef0123456789abcd is old", "token 0123456789abcdefabcd is old"],
         "token ... is old"),
        (["can't read\nTraceback ..."], "can't read..."),
        (["it isn't there, and wasn't"], "it isn't there, and wasn't"),
        (["key [a] *?"], "key [a] *?"),
        (['"a" is not "b"'], "... is not ..."),
        (["x" * 500], "x" * 200 + "..."),
        ([""], ""),
    ],
)  # fmt: skip
def test_what_errors_have_in_common(errors: list[str], common: str) -> None:
    assert {common_text(each) for each in errors} == {common}


async def test_dead_letters_of_two_causes() -> None:
    store = Shop()
    for number in range(5):
        await store.buried("orders.export", f"Rejected: unknown column 'c{number}'", "Rejected")
    store.seconds = 60
    for number, name in enumerate(["mail.send", "mail.send", "mail.bounce"]):
        await store.buried(name, f"nobody answers at 10.0.0.{number} [smtp]", id=f"m{number}")
    async with Client(store, load_plugins=False) as client:
        found = await client.causes()
        assert (found.looked_at, found.complete) == (8, True)
        export, mail = found.causes
        assert (export.number, export.error_class) == (5, "Rejected")
        assert export.text == "Rejected: unknown column ..."
        assert export.event_names == ["orders.export"]
        assert (export.first, export.last) == (store.at(0), store.at(0))
        assert (mail.number, mail.text) == (3, "nobody answers at ... [smtp]")
        assert mail.event_names == ["mail.bounce", "mail.send"]
        assert mail.example == "m2"
        assert mail.first == store.at(60)

        # Its filter finds what it counted, and only that.
        assert {each.id for each in await client.list(mail.filter)} == {"m0", "m1", "m2"}
        assert await client.replay_many(mail.filter) == 3
        (left,) = (await client.causes()).causes
        assert left.number == 5
        assert await client.purge(left.filter) == 5
        assert (await client.causes()).causes == []


async def test_only_of_what_matches() -> None:
    store = Shop()
    await store.buried("a.one", "no")
    await store.buried("b.one", "no")
    await store.retried("c.one", "not yet 1", after=100)
    async with Client(store, load_plugins=False) as client:
        (cause,) = (await client.causes(Filter(state=State.DEAD, event_name="a.*"))).causes
        assert (cause.number, cause.event_names) == (1, ["a.one"])
        assert len(await client.list(cause.filter)) == 1
        (retried,) = (await client.causes(Filter(state=State.SCHEDULED))).causes
        assert (retried.text, retried.error_class) == ("not yet ...", None)
        assert retried.first == store.at(100)


async def test_not_more_than_10_000_are_looked_at() -> None:
    store = Shop()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            [Message("a", scheduled_at=store.now) for _ in range(10_001)], atomic=False
        )
        found = await client.causes(Filter())
        assert (found.causes, found.looked_at, found.complete) == ([], 10_000, False)


async def test_its_filter_finds_no_other_than_what_was_asked_about() -> None:
    store = Shop()
    await store.buried("x", "no user 'alice'", id="alice")
    await store.buried("x", "no user 'bob'", id="bob")
    async with Client(store, load_plugins=False) as client:
        (cause,) = (await client.causes(Filter(state=State.DEAD, error="*alice*"))).causes
        assert [each.id for each in await client.list(cause.filter)] == ["alice"]


async def test_its_filter_takes_an_error_to_its_end() -> None:
    store = Shop()
    for error in ["no", "no room", "", "  blank", "blank \n"]:
        await store.buried("x", error, id=f"of {error!r}")
    async with Client(store, load_plugins=False) as client:
        for cause in (await client.causes()).causes:
            found = await client.list(cause.filter)
            assert len(found) == cause.number, cause.text
            assert cause.example in {each.id for each in found}
