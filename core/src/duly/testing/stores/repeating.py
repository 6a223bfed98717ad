"""Asking a store again, as the core does."""

import asyncio
from collections.abc import Sequence
from typing import Any

from duly.store import Group, HeldUp, Store

__all__ = ["stored"]


async def stored(
    store: Store, groups: Sequence[Group], within: Any = None
) -> Sequence[Exception | None]:
    """What becomes of groups in the end: those held up are put again, as the core does."""
    outcomes = list(await store.put(groups, within=within))
    while held := [n for n, outcome in enumerate(outcomes) if isinstance(outcome, HeldUp)]:
        await asyncio.sleep(0.05)
        again = await store.put([groups[number] for number in held])
        for number, outcome in zip(held, again, strict=True):
            outcomes[number] = outcome
    return outcomes
