"""What happens while hosts of two versions share a store, act by act; see test_before.py."""

from datetime import UTC, datetime
from typing import Final

import pytest
from tests.journeys.rolling_scene import HOUR, OFTEN, Scene, several

from duly import StoreError
from duly.record import FORMAT

SHORT: Final = 2.0  # seconds of the leases of those that are killed
ANCHOR: Final = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
JITTER: Final = {**OFTEN, "rule": {"jitter": 0.1}}
NEWER: Final = [{"id": "jitter", **JITTER}, {"id": "anchor", **OFTEN, "rule": {"anchor": ANCHOR}}]
IN_HAND: Final = ("replaced in hand", "cancelled in hand")
WAITING: Final = ("replaced", "cancelled")


class Rolling(Scene):
    """An upgrade that is rolled out, rolled back and rolled out again."""

    async def the_version_before_alone(self) -> None:
        self.old = await self.shared.host(before=True, lease=SHORT)
        version, files = await self.old.ask("version")
        assert version < FORMAT
        assert all(".whl/" in each for each in files), files
        followed = {"id": "followed", **OFTEN, **self._gated("followed")}
        rejected = self._hourly("buried", "rejected")
        await self.old.schedule({"id": "changed", "every": HOUR}, followed, rejected)
        await self.old.schedule(*[self._hourly(name) for name in (*IN_HAND, *WAITING)])
        await self._fill(self.old, "old")
        await self.old.has("begun", "followed", "buried", *IN_HAND, *WAITING)
        await self.old.has("settled", "old-quick-2", "old-every", "old-cron")

    async def this_one_beside_it(self) -> None:
        if self.shared.by_hand:
            with pytest.raises(StoreError, match="migrate"):
                await self.client.open()
            assert await self.client.migrate()
        await self.client.open()
        self.new = await self.shared.host(lease=SHORT)
        assert (await self.new.ask("version"))[0] == FORMAT
        followed = {"id": "followed", "every": 0.3, **self._gated("followed")}
        assert await self.new.ask("ensure", message=followed) == "follows"
        assert await self.new.ask("ensure", message={"id": "changed", **OFTEN}) == "changed"
        assert await self.new.ask("ensure", message={"id": "buried", **OFTEN}) == "follows"
        for name in (*IN_HAND, *WAITING):
            half = {**self._hourly(name), "every": HOUR / 2, "due": None}
            assert await self.new.ask("ensure", message=half) == "follows"
        for name in ("followed", "buried", *WAITING):
            self._gate(name).open()

    async def what_follows_goes_with_what_it_follows(self) -> None:
        """Where the version before, which knows nothing of it, buries, removes or replaces a series."""
        await self._dead("buried")
        await self.new.ask("ensure", message={"id": "buried", **OFTEN})
        self._buried = await self._dead_fire("buried")
        await self._noted("settled", "buried", *WAITING)
        for replaced, cancelled in (IN_HAND, WAITING):
            await self.old.schedule({"id": replaced}, replace=True)
            found = await self.old.ask("cancel", id=cancelled)
            assert found == ("too late" if cancelled in IN_HAND else "cancelled")
            await self.old.schedule({"id": cancelled})
        for id in (*IN_HAND, *WAITING):
            self._gate(id).open()
            self.wanted[id] = 2

    async def each_meets_what_the_other_stored(self) -> None:
        await self._meet(self.new, "old")
        await self._fill(self.new, "new")
        later = {"every": HOUR, "rule": JITTER["rule"]}
        await self.new.schedule(*NEWER, *[{"id": f"distant-{n}", **later} for n in range(4)])
        self.newer += ["jitter", "anchor", "distant-1", "distant-3"]
        await self._meet(self.old, "new")
        assert "distant-0" in await self.old.ask("list", state="scheduled")
        shown = await self.old.ask("get", id="distant-0")
        assert shown[:2] == ["duly.unreadable", "scheduled"]
        assert await self.old.ask("cancel", id="distant-0") == "cancelled"
        await self.old.schedule({"id": "distant-2"}, replace=True)
        self.wanted["distant-2"] = 1
        await self.old.ask("reschedule", id="distant-1")
        self.wanted["distant-1"] = 1
        await self._mixed()
        await self.new.has("settled", "jitter", "anchor")
        failing = [f"{name}-failing-{each}" for name in ("old", "new") for each in range(3)]
        await self._noted("settled", "distant-1", *failing)
        await self._goes_over("followed")

    async def the_version_before_is_killed(self) -> None:
        held = await self._killed_with(self.old, "held-before")
        await self.new.schedule({"id": "postponed", **self._gated("late", "postponed")})
        self.newer.append("postponed")
        self.wanted["postponed"] = 1
        await self.new.has("begun", "postponed")
        unwanted = {"id": "fire", **OFTEN, "rule": {"jitter": 0.1, "max_occurrences": 1}}
        await self.new.schedule({"id": "unwanted", **self._gated("unwanted", "refused")})
        await self.new.schedule({**unwanted, **self._gated("fire", "refused")})
        await self._dead("unwanted")
        self._fire = await self._dead_fire("fire")
        self.old = await self.shared.host(before=True)
        await self._begun(held, 2)
        self._gate("held-before").open()
        await self._noted("settled", held)

    async def this_one_is_killed(self) -> None:
        await self.new.schedule({"id": "gripped", **JITTER, **self._gated("gripped")})
        self.newer.append("gripped")
        await self.new.has("begun", "gripped")
        self._held = await self._killed_with(self.new, "held-after")
        self._kept = await self._records("gripped", "distant-1", "distant-3")

    async def back_again(self) -> None:
        await self._begun(self._held, 2)
        kept = await self._records(*self.newer)  # no word of the killed one is under way any more
        self._gate("held-after").open()
        await self.old.schedule(*several("back", 3, 0.3))
        self.wanted.update({f"back-{each}": 1 for each in range(3)})
        await self.old.has("settled", self._held, "back-2")
        await self._back_in_line("gripped")
        assert "newer format are waiting" in await self.old.ask("health")
        assert (await self.client.get("unwanted")).died_at is not None
        await self.old.ask("replay", id="unwanted")
        await self._buried_anew("unwanted")
        self._gate("fire").open()
        await self.old.ask("replay", id=self._fire)
        await self.old.has("settled", self._fire)
        self.wanted[self._fire] = 1
        assert await self._records("gripped", "distant-1", "distant-3") == self._kept
        assert await self._records(*self.newer) == kept
        await self.old.stop()

    async def and_forth(self) -> None:
        for name in ("late", "gripped"):
            self._gate(name).open()
        self.new = await self.shared.host()
        series = ["old-every", "old-cron", "new-every", "new-cron", "followed", "changed", "buried"]
        series += ["jitter", "anchor", "gripped"]
        await self.new.has("settled", "postponed", *series)
        for id in [*series, "distant-1", "distant-3", "old-later-3", "new-later-3"]:
            await self.new.ask("cancel", id=id)
        await self.shared.emptied()
        refused = {f"{name}-refused-{each}" for name in ("old", "new") for each in (2, 3)}
        assert await self._letters() == {"unwanted", self._buried, *refused}
        await self.new.stop()
