"""The cases for transports, tried on a transport that is right and on many that are not."""

import gc
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
from tests.transports.bugs import batches, content, headers, lifecycle, outages, side_by_side
from tests.transports.postbox import Postbox, PostboxTransport

from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    Bench,
    DeduplicationOutageCases,
    ReceiptCases,
    Received,
    TransportSuite,
)
from duly.transport import Envelope

pytest_plugins = ["duly.testing"]

PASSWORD = "the-password-of-the-box"


class PostboxCases(
    BatchHeaderCases, BatchRefusalCases, BatchOutageCases, DeduplicationOutageCases, ReceiptCases,
    TransportSuite,
):  # fmt: skip
    """Every case there is."""

    kind: ClassVar[type[PostboxTransport]] = PostboxTransport
    secrets = (PASSWORD,)

    async def listen(self) -> None:
        self.box = Postbox()
        await self.box.start()

    async def drop(self) -> None:
        await self.box.stop()

    async def make_transport(self) -> PostboxTransport:
        return self.kind(self.box.port, PASSWORD)

    async def received(self, number: int) -> Sequence[Received]:
        return await self.box.wait_for(number)

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"unacceptable")

    async def break_connection(self) -> None:
        await self.box.stop()

    async def restore_connection(self) -> None:
        await self.box.start()


class TestPostbox(PostboxCases):
    """A transport that does everything right passes everything."""


BUGS = [
    pytest.param(kind, case, arguments, id=f"{kind.__name__}-{case}")
    for module in (batches, content, headers, lifecycle, outages, side_by_side)
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
        harness = type("Buggy", (PostboxCases,), {"kind": kind, "patience": 0.2})()
        bench: Bench = harness.bench()
        work = getattr(harness, case)
        with pytest.raises((Exception, pytest.fail.Exception)):  # whatever the bug leads to
            async with bench as desk:
                await work(desk, **arguments)


def test_every_case_finds_something() -> None:
    cases = {name for name, _ in inspect.getmembers(PostboxCases) if name.startswith("test_")}
    assert len(cases) >= 25
    unproved = cases - {bug.values[1] for bug in BUGS}
    assert unproved == set()
