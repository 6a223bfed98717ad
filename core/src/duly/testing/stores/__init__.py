"""The cases that hold a store to the contract in :mod:`duly.store`.

A store's own test file needs a dozen lines::

    pytest_plugins = ["duly.testing"]

    class TestMyStore(RecordCases, StoreSuite):
        no_freezes = "the server cannot be frozen"
        secrets = ["the-password"]

        async def make_store(self, namespace, clock):
            return MyStore(f"mine://me:the-password@localhost/{namespace}", clock=clock)

        async def drop(self, namespace): ...     # remove what is left of it
        async def damage(self, namespace, id): ...
        async def age(self, namespace, id): ...

        @contextlib.asynccontextmanager
        async def outage(self, namespace):       # the server is away meanwhile
            yield

        async def connections(self, namespace): ...

If a store lacks something, such as a server that can be away, say so in ``no_outages``,
``no_freezes``, ``no_connections`` or ``no_secrets``: the cases are skipped with that reason.

What not every store can do is in classes of its own. Add them as further bases in front of
:class:`StoreSuite`: :class:`RecordCases`, :class:`WakeupCases`, :class:`PeekingCases`,
:class:`ClaimingAheadCases`, :class:`ListingWithoutPayloadsCases`, :class:`TransactionCases`,
:class:`MigrationCases`, :class:`HealthCases`, :class:`WhereCases`, :class:`EnsureCases`,
:class:`LineCases`, :class:`LineMarkCases`, :class:`LineTransactionCases`,
:class:`ForecastCases`, :class:`DueBetweenCases`, :class:`NameStatsCases`, :class:`OverdueCases`,
:class:`NoteCases`, :class:`TakeoverCases`, :class:`TakeoverTransactionCases` and
:class:`AnyLoopCases`.
While you write a store, start from single themes, such as :class:`FirstStepCases` and
:class:`ClaimingCases`; the simplest cases come first. Sizes are multiplied by ``scale``, for slow
servers.
"""

from duly.testing.stores.abilities import PeekingCases, WakeupCases
from duly.testing.stores.any_loop import AnyLoopCases
from duly.testing.stores.bench import Bench
from duly.testing.stores.caller_as_is import AsIsCases
from duly.testing.stores.caller_list import ListCases, PageCases
from duly.testing.stores.caller_put import PutCases
from duly.testing.stores.caller_repeats import RepeatCases
from duly.testing.stores.caller_replace import ReplaceCases
from duly.testing.stores.caller_reschedule import RescheduleCases
from duly.testing.stores.caller_states import OpenAndCloseCases, StateCases
from duly.testing.stores.caller_stats import StatsCases
from duly.testing.stores.claiming_ahead import ClaimingAheadCases
from duly.testing.stores.claiming_leases import LeaseCases, RenewCases
from duly.testing.stores.claiming_limits import LimitCases
from duly.testing.stores.claiming_order import OrderCases
from duly.testing.stores.claiming_rest import RestCases
from duly.testing.stores.claiming_suspects import SuspectCases
from duly.testing.stores.claiming_unheard import UnheardCases
from duly.testing.stores.declaring import DeclareCases
from duly.testing.stores.due_between import DueBetweenCases
from duly.testing.stores.ensuring_again import EnsureAgainCases
from duly.testing.stores.ensuring_begun import EnsureBegunCases
from duly.testing.stores.ensuring_waiting import EnsureWaitingCases
from duly.testing.stores.ensuring_waking import EnsureWakingCases
from duly.testing.stores.first_steps import FirstStepCases
from duly.testing.stores.forecasts import ForecastCases
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.histories import HistoryCases
from duly.testing.stores.hostile_clients import ManyClientCases
from duly.testing.stores.hostile_interleavings import InterleavingCases
from duly.testing.stores.hostile_newer import RecordCases
from duly.testing.stores.hostile_races import RaceCases
from duly.testing.stores.hostile_replacing import ReplaceRaceCases
from duly.testing.stores.hostile_text import TextCases
from duly.testing.stores.lines_callers import LineCallerCases
from duly.testing.stores.lines_histories import LineHistoryCases
from duly.testing.stores.lines_mark import LineMarkCases
from duly.testing.stores.lines_most import LineMostCases
from duly.testing.stores.lines_moving import LineMovingCases
from duly.testing.stores.lines_races import LineRaceCases
from duly.testing.stores.lines_races_ensuring import LineEnsureRaceCases
from duly.testing.stores.lines_races_moving import LineMoveRaceCases
from duly.testing.stores.lines_settling import LineEnsureCases, LineSettlingCases
from duly.testing.stores.lines_suspects import LineSuspectCases
from duly.testing.stores.lines_telling import LineTellingCases
from duly.testing.stores.lines_turns import LineTurnCases
from duly.testing.stores.lines_within import LineTransactionCases
from duly.testing.stores.listing_without_payloads import ListingWithoutPayloadsCases
from duly.testing.stores.name_stats import NameStatsCases
from duly.testing.stores.notes_apart import NoteApartCases
from duly.testing.stores.notes_comparing import NoteComparingCases
from duly.testing.stores.notes_keeping import NoteKeepingCases
from duly.testing.stores.notes_outages import NoteOutageCases
from duly.testing.stores.notes_races import NoteRaceCases
from duly.testing.stores.opening import ConnectionCases, SecretCases
from duly.testing.stores.outages import OutageCases
from duly.testing.stores.overdue import OverdueCases
from duly.testing.stores.recurring import SeriesCases
from duly.testing.stores.recurring_buried import BuriedOccurrenceCases
from duly.testing.stores.recurring_names import NameCases
from duly.testing.stores.series_histories import SeriesHistoryCases
from duly.testing.stores.settling_deaths import DeathCases, PostponeCases
from duly.testing.stores.settling_early import EarlyCases, SettleAndClaimCases
from duly.testing.stores.settling_fencing import LapsedHolderCases, WithdrawnCases
from duly.testing.stores.settling_outcomes import OutcomeCases, SettleCases
from duly.testing.stores.takeover import TakeoverAloneCases
from duly.testing.stores.takeover_outages import TakeoverOutageCases
from duly.testing.stores.takeover_races import TakeoverRaceCases
from duly.testing.stores.takeover_within import TakeoverTransactionCases
from duly.testing.stores.upkeep import HealthCases, MigrationCases
from duly.testing.stores.where import WhereAloneCases
from duly.testing.stores.where_beside import WhereBesideCases
from duly.testing.stores.within import WithinCases
from duly.testing.stores.within_held import WithinHeldCases
from duly.testing.stores.within_looking import WithinLookCases
from duly.testing.stores.within_races import WithinRaceCases

__all__ = [
    "AnyLoopCases",
    "Bench",
    "CallerCases",
    "ClaimingAheadCases",
    "ClaimingCases",
    "ConnectionCases",
    "DueBetweenCases",
    "EnsureCases",
    "FirstStepCases",
    "ForecastCases",
    "HealthCases",
    "HistoryCases",
    "HostileCases",
    "LineCases",
    "LineMarkCases",
    "LineTransactionCases",
    "ListingWithoutPayloadsCases",
    "MigrationCases",
    "NameStatsCases",
    "NoteCases",
    "NoteOutageCases",
    "OutageCases",
    "OverdueCases",
    "PeekingCases",
    "RecordCases",
    "RecurringCases",
    "SecretCases",
    "SettlingCases",
    "StoreHarness",
    "StoreSuite",
    "TakeoverCases",
    "TakeoverOutageCases",
    "TakeoverTransactionCases",
    "TransactionCases",
    "WakeupCases",
    "WhereCases",
]


# pytest runs the cases of the last base first: the simplest stand last.


class CallerCases(
    AsIsCases, OpenAndCloseCases, StatsCases, PageCases, ListCases, RescheduleCases, StateCases,
    ReplaceCases, RepeatCases, PutCases,
):  # fmt: skip
    """What callers who schedule rely on: storing, the table of states, listing, counting."""


class ClaimingCases(
    SuspectCases, UnheardCases, RenewCases, LeaseCases, RestCases, LimitCases, OrderCases
):
    """What a scheduler relies on when it claims: order, leases, suspects, when to look again."""


class SettlingCases(
    WithdrawnCases,
    LapsedHolderCases,
    SettleAndClaimCases,
    EarlyCases,
    PostponeCases,
    DeathCases,
    SettleCases,
    OutcomeCases,
):
    """What a scheduler relies on when it settles: outcomes, early settling, fencing."""


class RecurringCases(BuriedOccurrenceCases, NameCases, SeriesCases):
    """What series rely on: the next fire, its name, occurrences that are buried alone."""


class HostileCases(ManyClientCases, ReplaceRaceCases, RaceCases, InterleavingCases, TextCases):
    """What comes at the wrong time or in the wrong shape: odd text, races, many clients."""


class TransactionCases(WithinHeldCases, WithinRaceCases, WithinLookCases, WithinCases):
    """For stores that are :class:`~duly.store.SupportsTransactions`."""


class EnsureCases(
    SeriesHistoryCases,
    EnsureWakingCases,
    DeclareCases,
    EnsureAgainCases,
    EnsureBegunCases,
    EnsureWaitingCases,
):
    """For stores that are :class:`~duly.store.SupportsEnsure`."""


class LineCases(
    LineHistoryCases, LineEnsureRaceCases, LineRaceCases, LineMoveRaceCases, LineEnsureCases,
    LineSettlingCases, LineCallerCases, LineSuspectCases, LineTurnCases, LineMostCases,
    LineTellingCases, LineMovingCases,
):  # fmt: skip
    """For stores that are :class:`~duly.store.SupportsLines`; these tell where a message is too."""


class NoteCases(
    NoteOutageCases, NoteRaceCases, NoteApartCases, NoteComparingCases, NoteKeepingCases
):
    """For stores that are :class:`~duly.store.SupportsNotes`."""


class TakeoverCases(TakeoverOutageCases, TakeoverRaceCases, TakeoverAloneCases):
    """For stores that are :class:`~duly.store.SupportsTakeover`."""


class WhereCases(WhereBesideCases, WhereAloneCases):
    """For stores that are :class:`~duly.store.SupportsWhere`."""


class StoreSuite(
    OutageCases, ConnectionCases, SecretCases, HistoryCases, HostileCases, RecurringCases,
    SettlingCases, ClaimingCases, CallerCases, FirstStepCases,
):  # fmt: skip
    """All that every store is held to."""
