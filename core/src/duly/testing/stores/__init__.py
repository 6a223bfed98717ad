"""The cases that hold a store to the contract in :mod:`duly.store`.

A store's own test file needs a dozen lines::

    pytest_plugins = ["duly.testing"]

    class TestMyStore(RecordCases, StoreSuite):
        async def make_store(self, namespace, clock):
            return MyStore(f"/tmp/{namespace}.db", clock=clock)

        async def drop(self, namespace): ...     # remove what is left of it
        async def damage(self, namespace, id): ...
        async def age(self, namespace, id): ...

What not every store can do is in classes of its own, to be added as further bases in front of
:class:`StoreSuite`: :class:`RecordCases`, :class:`WakeupCases`, :class:`PeekingCases`,
:class:`ClaimingAheadCases` and :class:`TransactionCases`. A store in the making may start from
single themes, such as :class:`ClaimingCases`. Sizes are multiplied by ``scale``, for slow servers.
"""

from duly.testing.stores.abilities import PeekingCases, TransactionCases, WakeupCases
from duly.testing.stores.bench import Bench
from duly.testing.stores.caller_list import ListCases, PageCases
from duly.testing.stores.caller_put import PutCases
from duly.testing.stores.caller_replace import ReplaceCases
from duly.testing.stores.caller_reschedule import RescheduleCases
from duly.testing.stores.caller_states import OpenAndCloseCases, StateCases
from duly.testing.stores.caller_stats import StatsCases
from duly.testing.stores.claiming_ahead import ClaimingAheadCases
from duly.testing.stores.claiming_leases import LeaseCases, RenewCases
from duly.testing.stores.claiming_limits import LimitCases
from duly.testing.stores.claiming_order import OrderCases
from duly.testing.stores.claiming_suspects import SuspectCases
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.histories import HistoryCases
from duly.testing.stores.hostile_clients import ManyClientCases
from duly.testing.stores.hostile_interleavings import InterleavingCases
from duly.testing.stores.hostile_races import RaceCases
from duly.testing.stores.hostile_records import RecordCases
from duly.testing.stores.hostile_text import TextCases
from duly.testing.stores.recurring import SeriesCases
from duly.testing.stores.recurring_buried import BuriedOccurrenceCases
from duly.testing.stores.settling_early import EarlyCases, SettleAndClaimCases
from duly.testing.stores.settling_fencing import LapsedHolderCases, WithdrawnCases
from duly.testing.stores.settling_outcomes import OutcomeCases, SettleCases

__all__ = [
    "Bench",
    "CallerCases",
    "ClaimingAheadCases",
    "ClaimingCases",
    "HistoryCases",
    "HostileCases",
    "PeekingCases",
    "RecordCases",
    "RecurringCases",
    "SettlingCases",
    "StoreHarness",
    "StoreSuite",
    "TransactionCases",
    "WakeupCases",
]


class CallerCases(
    PutCases, ReplaceCases, StateCases, RescheduleCases, ListCases, PageCases, StatsCases,
    OpenAndCloseCases,
):  # fmt: skip
    """What those who schedule rely on: storing, the table of states, listing, counting."""


class ClaimingCases(OrderCases, LimitCases, LeaseCases, RenewCases, SuspectCases):
    """What a scheduler relies on when it takes: order, leases, suspects, when to look again."""


class SettlingCases(
    OutcomeCases, SettleCases, EarlyCases, SettleAndClaimCases, LapsedHolderCases, WithdrawnCases
):
    """What a scheduler relies on when it gives back: outcomes, early settling, fencing."""


class RecurringCases(SeriesCases, BuriedOccurrenceCases):
    """What the series rely on: the next fire, occurrences that are buried alone."""


class HostileCases(TextCases, InterleavingCases, RaceCases, ManyClientCases):
    """What comes at the wrong time or in the wrong shape: odd text, races, many clients."""


class StoreSuite(
    CallerCases, ClaimingCases, SettlingCases, RecurringCases, HostileCases, HistoryCases
):
    """All that every store is held to."""
