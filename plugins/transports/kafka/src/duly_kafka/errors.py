"""Translates errors of aiokafka and answers of brokers into duly's errors; the only place."""

from typing import Final

from aiokafka import errors

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = [
    "FAILURES",
    "concerns_batch",
    "concerns_broker",
    "concerns_producer",
    "translated",
    "translated_at_start",
]

FAILURES: Final = (errors.KafkaError, errors.IllegalOperation, OSError, AssertionError)
"""All that a call of aiokafka raises when something is wrong with a broker."""

_TOO_LARGE: Final = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.RecordTooLargeError,
)
_BATCH: Final = (
    *_TOO_LARGE,
    errors.CorruptRecordException,
    errors.InvalidTimestampError,
    errors.UnknownError,  # of a newer kind, such as INVALID_RECORD
)
_PRODUCER: Final = (
    errors.InvalidProducerEpoch,
    errors.InvalidProducerIdMapping,
    errors.OutOfOrderSequenceNumber,
    errors.ProducerFenced,
    errors.UnknownProducerId,
)
_BROKER: Final = (
    OSError,
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.KafkaUnavailableError,
    errors.NoBrokersAvailable,
    errors.NodeNotReadyError,
    errors.ProducerClosed,
    errors.RequestTimedOutError,
    errors.StaleMetadata,
)


def concerns_batch(error: Exception) -> bool:
    """Whether the broker may have refused another record of the same batch."""
    return isinstance(error, _BATCH)


def concerns_producer(error: Exception) -> bool:
    """Whether a new producer is all that is needed; the record was not written."""
    return isinstance(error, _PRODUCER)


def concerns_broker(error: Exception) -> bool:
    """Whether a broker was out of reach; others may not be."""
    return isinstance(error, _BROKER)


def translated(error: Exception, place: str) -> TransportError:
    """The error for one record on its way to that place, while there are brokers."""
    text = f"{place}: {_text(error)}"
    if isinstance(error, _TOO_LARGE):
        return Rejected(text)
    return TransportError(text)


def translated_at_start(error: Exception, place: str) -> TransportError:
    """The error when no producer could be started: a refusal is not an outage."""
    text = f"{place}: {_text(error)}"
    if isinstance(error, _BROKER) or getattr(error, "retriable", False):
        return TransportUnavailable(text)
    return TransportError(text)


def _text(error: Exception) -> str:
    return mask(str(error)) or type(error).__name__
