"""The cases for transports, tried on a transport that is right and on many that are not."""

import gc
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.transports.bugs import (
    batches,
    connections,
    content,
    cuts,
    fuzzing,
    headers,
    health,
    lifecycle,
    outages,
    rounds,
    side_by_side,
    silence,
)
from tests.transports.postbox import Postbox, PostboxTransport

from duly.testing import Gate
from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    Bench,
    DeduplicationOutageCases,
    ReadingCases,
    ReceiptCases,
    Received,
    TransportSuite,
)
from duly.transport import Envelope

pytest_plugins = ["duly.testing"]

PASSWORD = "the-password-of-the-box"


class PostboxCases(
    BatchHeaderCases, BatchRefusalCases, BatchOutageCases, DeduplicationOutageCases, ReadingCases,
    ReceiptCases, TransportSuite,
):  # fmt: skip
    """Every case there is."""

    any_event_name = True
    kind: ClassVar[type[PostboxTransport]] = PostboxTransport
    secrets = (PASSWORD,)

    async def listen(self) -> None:
        self.box = Postbox()
        await self.box.start()

    async def drop(self) -> None:
        await self.box.stop()

    async def make_transport(self) -> PostboxTransport:
        return self.kind(self.gate.port, PASSWORD)

    def make_gate(self) -> Gate:
        return Gate(self.box.port)

    async def break_connection(self) -> None:
        await self.box.stop()
        await self.gate.shut()

    async def restore_connection(self) -> None:
        await self.box.start()
        await self.gate.open()

    async def received(self, number: int) -> Sequence[Received]:
        return await self.box.wait_for(number)

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"unacceptable")


class TestPostbox(PostboxCases):
    """A transport that does everything right passes everything."""


MODULES = (
    batches, connections, content, cuts, fuzzing, headers, health, lifecycle, outages, rounds,
    side_by_side, silence,
)  # fmt: skip
BUGS = [
    pytest.param(kind, case, arguments, id=f"{kind.__name__}-{case}")
    for module in MODULES
    for kind in vars(module).values()
    for case, arguments in getattr(kind, "finders", ())
]


@pytest.fixture(scope="class")
def no_leftovers() -> Iterator[None]:
    """What a bug left behind is not to disturb the tests that follow."""
    yield
    gc.collect()


@pytest.mark.usefixtures("no_leftovers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestPlantedBugs:
    @pytest.mark.parametrize(("kind", "case", "arguments"), BUGS)
    async def test_each_is_found(
        self, kind: type[PostboxTransport], case: str, arguments: dict[str, Any]
    ) -> None:
        harness = type(
            "Buggy", (PostboxCases,), {"kind": kind, "patience": 0.3, "standstill": 0.3}
        )()
        bench: Bench = harness.bench()
        work = getattr(harness, case)
        with pytest.raises((Exception, pytest.fail.Exception)):  # whatever the bug leads to
            async with bench as desk:
                await work(desk, **arguments)
        connections.give_up()


@pytest.mark.usefixtures("no_leftovers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_what_blocks_the_event_loop_is_named() -> None:
    kind = silence.BlocksWhileItWaits
    harness = type("Buggy", (PostboxCases,), {"kind": kind, "standstill": 0.3})()
    with pytest.raises(AssertionError, match="stood still for 0.3 s") as told:
        async with harness.bench() as desk:
            await harness.test_nothing_is_accepted_while_nobody_answers(desk)
    assert "time.sleep(1)" in str(told.value)


def test_every_case_finds_something() -> None:
    cases = {name for name, _ in inspect.getmembers(PostboxCases) if name.startswith("test_")}
    assert len(cases) >= 25
    unproved = cases - {bug.values[1] for bug in BUGS}
    assert unproved == set()


USER = """
from duly.testing.transports import TransportSuite

pytest_plugins = ["duly.testing"]


class Unfinished:
    async def open(self): ...
    async def close(self): ...
    async def publish(self, envelope):
        raise NotImplementedError("to be written")


class TestUnfinished(TransportSuite):
    no_outages = "nothing to take away"

    async def make_transport(self):
        return Unfinished()

    async def received(self, number):
        return []
"""

FORGOTTEN = """
from duly.testing.{kind} import {suite}

pytest_plugins = ["duly.testing"]


class TestMine({suite}):
    pass
"""


def run(folder: Path, text: str, *options: str) -> str:
    """What pytest says of a file of a user's, in strict mode, with warnings as errors."""
    folder.joinpath("test_mine.py").write_text(text)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
            "-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function",
            *options, "test_mine.py",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_in_the_hands_of_a_user(tmp_path: Path) -> None:
    """The simplest case is the first that fails, and what is opted out of is said."""
    said = run(tmp_path, USER, "-x", "-rs")
    assert "TestUnfinished.test_a_message_arrives __" in said, said
    assert "1 failed in" in said, said
    said = run(tmp_path, USER, "-rs", "-k", "away or silen or closed_without")
    assert re.search(r"1 passed, \d+ skipped, \d+ deselected in", said), said
    assert "no outages: nothing to take away" in said
    assert "no gate: nothing to take away" in said


@pytest.mark.parametrize(
    ("kind", "suite", "missing"),
    [
        ("transports", "TransportSuite", "write make_transport(), received()"),
        ("stores", "StoreSuite", "write make_store()"),
    ],
)
def test_a_forgotten_method_is_an_error(
    tmp_path: Path, kind: str, suite: str, missing: str
) -> None:
    said = run(tmp_path, FORGOTTEN.format(kind=kind, suite=suite))
    assert f"TestMine is unfinished, so that none of its cases would run: {missing}" in said
    assert "1 error in" in said


def test_outages_are_asked_for(tmp_path: Path) -> None:
    """Whoever neither says how nor why not is told."""
    text = USER.replace('    no_outages = "nothing to take away"\n', "")
    said = run(tmp_path, text, "-k", "opening_while")
    assert "say how the broker is taken away: write make_gate(), or" in said
    assert "make_gate() gives no door, and no_gate does not say why" in said
    assert "2 failed" in said
