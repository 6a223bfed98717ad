"""The cases for transports, tried on a transport that is right and on many that are not."""

import asyncio
import inspect
import os
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import pytest
from tests.transports.postbox import Postbox, PostboxTransport

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.testing.transports import (
    BatchRefusalCases,
    Bench,
    DeduplicationCases,
    HeaderCases,
    OutageCases,
    ReceiptCases,
    Received,
    TransportSuite,
)
from duly.transport import Envelope

pytest_plugins = ["duly.testing"]

PASSWORD = "the-password-of-the-box"


class PostboxCases(
    BatchRefusalCases, DeduplicationCases, HeaderCases, OutageCases, ReceiptCases, TransportSuite
):
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


# --- planted bugs, each with the case that has to find it

BUGS: list[Any] = []


def found_by(case: str, **arguments: Any) -> Any:
    def plant(kind: type[PostboxTransport]) -> type[PostboxTransport]:
        BUGS.append(pytest.param(kind, case, arguments, id=f"{kind.__name__}-{case}"))
        return kind

    return plant


@found_by("test_a_payload_of_any_bytes", kind="empty")
class DropsEmptyPayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(envelope) if envelope.payload else None


@found_by("test_a_payload_of_any_bytes", kind="every byte")
@found_by("test_a_payload_of_any_bytes", kind="not text")
class TakesPayloadsForText(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        text = envelope.payload.decode(errors="replace")
        return await super().publish(attrs.evolve(envelope, payload=text.encode()))


@found_by("test_a_payload_of_any_bytes", kind="line ends")
class StripsPayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(attrs.evolve(envelope, payload=envelope.payload.strip()))


@found_by("test_a_large_payload")
class CutsLargePayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(attrs.evolve(envelope, payload=envelope.payload[: 1 << 19]))


@found_by("test_odd_event_names")
class LowersEventNames(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "name": envelope.event_name.lower()}


@found_by("test_odd_ids", id="größe-\U0001f4e6")
class TakesIdsInLatinOnly(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        envelope.message_id.encode("latin-1")
        return super().record(envelope)


@found_by("test_moments_far_away")
class KnowsNoTimeBefore1970(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        assert envelope.scheduled_at.year >= 1970
        return super().record(envelope)


@found_by("test_an_id_used_again_is_not_dropped")
@found_by("test_occurrences_of_a_series")
class DeduplicatesByMessageId(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": envelope.message_id}


@found_by("test_different_messages_of_the_same_content")
@found_by("test_an_id_used_again_with_the_same_content")
class DeduplicatesByContent(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": str(envelope.payload)}


@found_by("test_attempts_of_one_delivery")
class RefusesRepeats(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if envelope.attempt > 1:
            raise Rejected("had it already")
        return await super().publish(envelope)


@found_by("test_attempts_of_one_delivery_arrive_once")
@found_by("test_also_those_of_another_process")
class DoesNotDeduplicate(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": str(id(envelope))}


@found_by("test_the_envelope_stays_as_it_is")
class WritesIntoTheMetadata(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        receipt = await super().publish(envelope)
        envelope.metadata["receipt"] = receipt  # type: ignore[index]  # the bug
        return receipt


@found_by("test_one_after_the_other")
@found_by("test_a_thousand_at_once")
class SendsTwice(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(attrs.evolve(envelope, delivery_id=f"{envelope.delivery_id}+"))
        return await super().publish(envelope)


@found_by("test_a_thousand_at_once")
class GivesUpInACrowd(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if len(self._waiting) > 500:
            raise TransportError("too busy")
        return await super().publish(envelope)


@found_by("test_a_message_arrives")
class GivesNumbersForReceipts(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(envelope)
        return 200  # type: ignore[return-value]  # the bug


@found_by("test_each_has_a_receipt_of_its_own")
class GivesOneReceiptForAll(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(envelope)
        return "ok"


@found_by("test_cancelled_on_its_way")
@found_by("test_some_of_many_cancelled")
class ForgetsWhoIsNext(PostboxTransport):
    """Takes a cancelled publish out of the line in which answers are expected."""

    async def publish(self, envelope: Envelope) -> str | None:
        answer = self._send(envelope)
        try:
            return await answer
        except asyncio.CancelledError:
            self._waiting.remove(answer)
            raise


@found_by("test_some_of_many_cancelled")
class FailsTheNeighbours(PostboxTransport):
    """Drops the connection, and with it all others, when one publish is cancelled."""

    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except asyncio.CancelledError:
            if self._writer is not None:
                self._writer.transport.abort()
            raise


@found_by("test_a_large_one_cancelled_on_its_way")
class LeavesHalfOfALine(PostboxTransport):
    """Sends in parts and stops in the middle when it is cancelled."""

    async def publish(self, envelope: Envelope) -> str | None:
        assert self._writer is not None
        if len(envelope.payload) > 1000:
            self._writer.write(b'{"payload": "')
            await asyncio.sleep(0)
            self._writer.write(b'", "name": "", "delivery_id": "", "number": 0, "headers": {}}\n')
            self._waiting.append(asyncio.get_running_loop().create_future())
        return await super().publish(envelope)


@found_by("test_closing_one_leaves_the_others")
class SharesOneConnection(PostboxTransport):
    shared: ClassVar[list[PostboxTransport]] = []

    async def open(self) -> None:
        await super().open()
        self.shared.append(self)

    async def close(self) -> None:
        while self.shared:
            await PostboxTransport.close(self.shared.pop())


@found_by("test_opened_twice")
class CannotBeOpenedTwice(PostboxTransport):
    async def open(self) -> None:
        assert self._writer is None
        await super().open()


@found_by("test_opened_by_several_at_the_same_time")
class CannotBeOpenedByTwo(PostboxTransport):
    async def open(self) -> None:
        assert not self._opening.locked()
        await super().open()


@found_by("test_opened_while_it_publishes")
class OpensAnew(PostboxTransport):
    """Makes another connection, and whoever waits on the old one is never answered."""

    async def open(self) -> None:
        self._waiting = []
        await super().open()


@found_by("test_opening_cancelled")
class KeepsTheDoorLocked(PostboxTransport):
    async def open(self) -> None:
        await self._opening.acquire()
        await asyncio.sleep(0)
        self._opening.release()
        await super().open()


@found_by("test_closed_twice")
@found_by("test_closed_without_having_been_opened")
class MustBeOpenToClose(PostboxTransport):
    async def close(self) -> None:
        assert self._writer is not None
        await super().close()


@found_by("test_opened_again_after_close")
class ClosesForGood(PostboxTransport):
    closed = False

    async def open(self) -> None:
        if not self.closed:
            await super().open()

    async def close(self) -> None:
        self.closed = True
        await super().close()


@found_by("test_what_was_accepted_is_sent_before_it_closes")
class AcceptsWhatItHasNotSent(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        asyncio.get_running_loop().call_later(0.01, self._send, envelope)
        return None


@found_by("test_closing_does_not_wait_for_ever_for_a_publish")
class LeavesPublishesHanging(PostboxTransport):
    async def close(self) -> None:
        self._waiting = []
        await super().close()


@found_by("test_it_tells_nobody_what_it_sent_or_knows")
class TellsThePassword(PostboxTransport):
    def __repr__(self) -> str:
        return f"<PostboxTransport {self._password}>"


@found_by("test_it_tells_nobody_what_it_sent_or_knows")
class TellsTheLastMessage(PostboxTransport):
    last: Any = None

    async def publish(self, envelope: Envelope) -> str | None:
        self.last = envelope.payload
        return await super().publish(envelope)

    def __repr__(self) -> str:
        return f"<PostboxTransport {self.last}>"


@found_by("test_no_task_is_left")
class LeavesATask(PostboxTransport):
    left: ClassVar[list[asyncio.Task[None]]] = []

    async def open(self) -> None:
        await super().open()
        self.left.append(asyncio.create_task(asyncio.sleep(60)))


@found_by("test_no_thread_is_left")
class LeavesAThread(PostboxTransport):
    async def open(self) -> None:
        await super().open()
        threading.Thread(target=threading.Event().wait, args=(3,), daemon=True).start()


@found_by("test_no_file_is_left_open")
class LeavesAFileOpen(PostboxTransport):
    async def open(self) -> None:
        await super().open()
        os.dup(0)


@found_by("test_metadata_is_handed_on")
@found_by("test_the_trace_goes_on")
class HandsNoHeadersOn(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        own = {name: text for name, text in envelope.headers.items() if name.startswith("duly-")}
        return {**super().record(envelope), "headers": own}


@found_by("test_metadata_cannot_pose_as_duly")
class LetsMetadataWin(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": {**envelope.headers, **envelope.metadata}}


@found_by("test_every_attempt_is_numbered")
@found_by("test_what_duly_tells")
class NumbersNoAttempts(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return super().record(attrs.evolve(envelope, attempt=1, headers=None))


@found_by("test_values_of_any_text", kind="unicode")
@found_by("test_ids_of_any_text")
class WritesHeadersInLatin(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        latin = {
            name: text.encode("latin-1", "replace").decode("latin-1")
            for name, text in envelope.headers.items()
        }
        return {**super().record(envelope), "headers": latin}


@found_by("test_values_of_any_text", kind="spaces around")
class StripsHeaders(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        bare = {name: text.strip() for name, text in envelope.headers.items()}
        return {**super().record(envelope), "headers": bare}


@found_by("test_odd_names")
class WritesHeaderNamesSmall(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        small = {name.lower(): text for name, text in envelope.headers.items()}
        return {**super().record(envelope), "headers": small}


@found_by("test_many_headers")
class HandsOnTwentyHeaders(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": dict([*envelope.headers.items()][:20])}


@found_by("test_headers_do_not_mix")
class SharesItsHeaders(PostboxTransport):
    headers: ClassVar[dict[str, str]] = {}

    async def publish(self, envelope: Envelope) -> str | None:
        self.headers.update(envelope.headers)
        await asyncio.sleep(0)
        return await super().publish(envelope)

    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": dict(self.headers)}


@found_by("test_a_line_end_starts_no_header", end="\r\n")
@found_by("test_a_line_end_starts_no_header", end="\n")
class WritesHeadersAsLines(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        lines = "\n".join(f"{name}: {text}" for name, text in envelope.headers.items())
        pairs = [line.partition(": ") for line in lines.splitlines()]
        return {**super().record(envelope), "headers": {name: text for name, _, text in pairs}}


@found_by("test_what_can_never_pass_is_rejected")
class CallsARefusalAFailure(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except Rejected as error:
            raise TransportError(str(error)) from error


@found_by("test_its_neighbours_pass")
class CallsARefusalASuccess(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except Rejected:
            return None


@found_by("test_one_outcome_each", number=0)
class CannotTakeAnEmptyBatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        await asyncio.wait([self._send(envelope) for envelope in envelopes])
        return await super().publish_many(envelopes)


@found_by("test_one_outcome_each", number=1000)
class TakesTheFirstHundred(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return await super().publish_many(envelopes[:100])


@found_by("test_refused_within_a_batch", places=[4])
class TellsOutcomesInAnyOrder(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return [*reversed(await super().publish_many(envelopes))]


@found_by("test_refused_within_a_batch", places=[2, 3])
class FailsTheWholeBatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return await asyncio.gather(*map(self._send, envelopes))


@found_by("test_refused_within_a_batch", places=[0])
class TellsOnlyOfWhatPassed(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = await super().publish_many(envelopes)
        return [each for each in outcomes if not isinstance(each, Exception)]


@found_by("test_opening_while_it_is_away")
class TellsTheBareErrorOfTheSystem(PostboxTransport):
    async def open(self) -> None:
        try:
            await super().open()
        except TransportUnavailable as error:
            raise ConnectionRefusedError(str(error)) from error


@found_by("test_publishing_while_it_is_away")
@found_by("test_again_and_again")
class RejectsWhenAway(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable as error:
            raise Rejected(str(error)) from error


@found_by("test_many_in_flight_when_it_goes")
class BlamesTheMessagesInFlight(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        super()._fail(answer, TransportError(str(error)))


@found_by("test_many_in_flight_when_it_goes")
class ForgetsWhatWasInFlight(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        """Nobody is told."""


@found_by("test_publishing_while_it_is_away")
class CallsItAccepted(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable:
            return None


@found_by("test_publishing_while_it_is_away")
class TellsThePasswordWhenAway(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable as error:
            raise TransportUnavailable(f"{self._password}@{self._port}") from error


@found_by("test_again_and_again")
@found_by("test_cancelling_while_it_is_away")
class NeverComesBack(PostboxTransport):
    async def open(self) -> None:
        if self._answers is None:
            await super().open()


@found_by("test_closing_while_it_is_away")
class CannotCloseWhenAway(PostboxTransport):
    async def close(self) -> None:
        if self._writer is None or self._writer.is_closing():
            raise TransportUnavailable("not connected")
        await super().close()


@pytest.mark.parametrize(("kind", "case", "arguments"), BUGS)
async def test_a_planted_bug_is_found(
    kind: type[PostboxTransport], case: str, arguments: dict[str, Any]
) -> None:
    harness = type("Buggy", (PostboxCases,), {"kind": kind, "patience": 0.5})()
    bench: Bench = harness.bench()
    work = getattr(harness, case)
    found = (Exception, pytest.fail.Exception)
    with pytest.raises(found):
        async with bench as desk:
            await work(desk, **arguments)


def test_every_case_finds_something() -> None:
    """But for those that look for what would be hard to do on purpose."""
    cases = {name for name, _ in inspect.getmembers(PostboxCases) if name.startswith("test_")}
    assert len(cases) >= 25
    unproved = cases - {bug.values[1] for bug in BUGS}
    assert unproved == set()
