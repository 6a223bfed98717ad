"""The cases that hold a transport to the contract in :mod:`duly.transport`.

A transport's own test file needs a dozen lines::

    pytest_plugins = ["duly.testing"]

    class TestMyTransport(HeaderCases, TransportSuite):
        async def listen(self): ...              # start a consumer on self.namespace
        async def make_transport(self):
            return MyTransport(f"mine://localhost/{self.namespace}")
        async def received(self, number): ...    # what the consumer got
        async def drop(self): ...                # end it

What not every transport can do is in classes of its own, to be added as further bases in front of
:class:`TransportSuite`: :class:`HeaderCases`, :class:`ReceiptCases`, :class:`DeduplicationCases`,
:class:`RefusalCases`, :class:`BatchCases` and :class:`OutageCases`; for those that are of two
kinds :class:`BatchHeaderCases`, :class:`BatchRefusalCases`, :class:`BatchOutageCases` and
:class:`DeduplicationOutageCases`.
Sizes are multiplied by ``scale``, for slow brokers.
"""

from duly.testing.transports.abilities import (
    BatchCases,
    BatchHeaderCases,
    BatchRefusalCases,
    DeduplicationCases,
    ReceiptCases,
    RefusalCases,
)
from duly.testing.transports.bench import Bench
from duly.testing.transports.crowds import CancelCases, CrowdCases
from duly.testing.transports.harness import Received, TransportHarness
from duly.testing.transports.headers import HeaderCases
from duly.testing.transports.lifecycle import LeftoverCases, LifecycleCases
from duly.testing.transports.outages import (
    BatchOutageCases,
    DeduplicationOutageCases,
    OutageCases,
)
from duly.testing.transports.publishing import PublishCases, RepeatCases

__all__ = [
    "BatchCases",
    "BatchHeaderCases",
    "BatchOutageCases",
    "BatchRefusalCases",
    "Bench",
    "DeduplicationCases",
    "DeduplicationOutageCases",
    "HeaderCases",
    "OutageCases",
    "ReceiptCases",
    "Received",
    "RefusalCases",
    "TransportHarness",
    "TransportSuite",
]


class TransportSuite(
    PublishCases, RepeatCases, CrowdCases, CancelCases, LifecycleCases, LeftoverCases
):
    """All that every transport is held to."""
