"""Bugs in how messages are kept, and the cases that catch them."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from duly.message import Message, with_changes
from duly.testing.stores.model import Model


class _Keeping(Model):
    """What goes wrong with a message on its way into the store."""

    def wrong(self, message: Message) -> Message:
        raise NotImplementedError

    def _add(self, message: Message, due: datetime, **more: bool) -> None:
        super()._add(self.wrong(message), due, **more)


class PayloadsEndAtNul(_Keeping):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, payload=message.payload.split(b"\0")[0])


class TextIsNormalized(_Keeping):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, event_name=unicodedata.normalize("NFC", message.event_name))


class MomentsAreFloats(_Keeping):
    def wrong(self, message: Message) -> Message:
        at = datetime.fromtimestamp(round(message.scheduled_at.timestamp(), 5), UTC)
        return with_changes(message, scheduled_at=at)


class TheTraceIsLost(_Keeping):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, trace_context={})


class OccurrencesForgetTheirDeliveryId(_Keeping):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, _delivery_id=None)


CAUGHT_BY: dict[type[Model], str] = {
    PayloadsEndAtNul: "test_payloads_are_bytes",
    TextIsNormalized: "test_odd_names_through_a_life",
    MomentsAreFloats: "test_every_field_comes_back",
    TheTraceIsLost: "test_every_field_comes_back",
    OccurrencesForgetTheirDeliveryId: "test_a_retried_occurrence_keeps_its_counts",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
