"""What random histories are made of."""

from collections.abc import Sequence

import attrs
import hypothesis.strategies as st

from duly.message import State
from duly.store import Batch, Claim, Settle, Settlement
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.situations import SECOND
from duly.testing.stores.some_settlements import KINDS, settlement_of

IDS = st.sampled_from(["a", "b", "c", "\u00e9", "\U0001f600"])
NAMES = st.sampled_from(["one", "two", "two.x"])
MOST = st.dictionaries(
    st.sampled_from(["one", "two", "two.x", "two.*", "*"]), st.integers(-1, 3), max_size=3
)
"""Of what names a claim takes how many at most."""
SECONDS = st.integers(-3, 9)
STATES = st.sampled_from([None, *State])
MOVABLE = st.sampled_from([State.SCHEDULED, State.DEAD])
OUTCOMES = st.sampled_from([None, *KINDS])

Said = tuple[Settle, tuple[Lease, dict[Entry, Settlement], Sequence[Entry] | None]]
"""A settlement for the store, and the same for the model."""


@attrs.frozen
class Held:
    """A claimed batch, and the model's counterpart of it."""

    batch: Batch
    lease: Lease

    def claim_of(self, entry: Entry) -> Claim:
        return self.batch.claims[self.lease.claimed.index(entry)]

    def say(self, data: st.DataObject, model: Model) -> Said:
        """A settlement of its batch by a holder."""
        claimed = self.lease.claimed
        only = data.draw(st.none() | st.lists(st.sampled_from(claimed), unique=True))
        exceptions: dict[Entry, Settlement] = {}
        for entry in claimed if only is None else only:
            at = model.now + data.draw(SECONDS) * SECOND
            settlement = settlement_of(self.claim_of(entry).message, data.draw(OUTCOMES), at)
            if settlement is not None:
                exceptions[entry] = settlement
        settle = Settle(
            self.batch.token or "",
            {self.claim_of(entry).key: each for entry, each in exceptions.items()},
            None if only is None else [self.claim_of(entry).key for entry in only],
        )
        return settle, (self.lease, exceptions, only)
