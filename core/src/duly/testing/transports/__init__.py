"""The cases that hold a transport to the contract in :mod:`duly.transport`.

A transport's own test file needs a dozen lines::

    pytest_plugins = ["duly.testing"]

    class TestMyTransport(HeaderCases, TransportSuite):
        async def listen(self): ...              # start a consumer on self.namespace
        def make_gate(self):
            return Gate(1234)                    # a proxy before the broker, to shut and freeze
        async def make_transport(self):
            return MyTransport(f"mine://localhost:{self.gate.port}/{self.namespace}")
        async def received(self, number): ...    # what the consumer got
        async def drop(self): ...                # end it

What not every transport can do is in classes of its own. Add them as further bases in front of
:class:`TransportSuite`: :class:`HeaderCases`, :class:`ReceiptCases`, :class:`DeduplicationCases`,
:class:`ReadingCases`, :class:`RefusalCases` and :class:`BatchCases`; if two of them apply, also
:class:`BatchHeaderCases`, :class:`BatchRefusalCases`, :class:`BatchOutageCases` and
:class:`DeduplicationOutageCases`. If you cannot give what the suite asks for, say why in
``no_outages``, ``no_gate`` or ``no_confirmations``: the cases are skipped with that reason.
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
from duly.testing.transports.connections import ConnectionCases
from duly.testing.transports.crowds import CancelCases, CrowdCases
from duly.testing.transports.cuts import CutCases
from duly.testing.transports.fuzzing import FuzzCases
from duly.testing.transports.harness import Received, TransportHarness
from duly.testing.transports.headers import HeaderCases
from duly.testing.transports.health import HealthCases, HealthOutageCases, HealthSilenceCases
from duly.testing.transports.lifecycle import LeftoverCases, LifecycleCases
from duly.testing.transports.outages import (
    BatchOutageCases,
    DeduplicationOutageCases,
    OutageCases,
)
from duly.testing.transports.publishing import PublishCases, RepeatCases
from duly.testing.transports.reading import ReadingCases
from duly.testing.transports.rounds import RoundCases
from duly.testing.transports.silence import SilenceCases

__all__ = [
    "BatchCases",
    "BatchHeaderCases",
    "BatchOutageCases",
    "BatchRefusalCases",
    "Bench",
    "DeduplicationCases",
    "DeduplicationOutageCases",
    "GateCases",
    "HeaderCases",
    "OutageCases",
    "ReadingCases",
    "ReceiptCases",
    "Received",
    "RefusalCases",
    "TransportHarness",
    "TransportSuite",
]


# pytest runs the cases of the last base first: the simplest stand at the end.


class GateCases(HealthSilenceCases, RoundCases, CutCases, ConnectionCases, SilenceCases):
    """Those that need a gate before the broker: silence, cuts, connections left behind."""


class TransportSuite(
    GateCases, HealthOutageCases, OutageCases, LeftoverCases, CancelCases, CrowdCases, FuzzCases,
    HealthCases, LifecycleCases, RepeatCases, PublishCases,
):  # fmt: skip
    """All that every transport is held to."""
