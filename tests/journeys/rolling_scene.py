"""Where hosts of two versions meet: what they schedule, what they ask for, and what is waited for."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from tests.journeys.kit import until
from tests.journeys.neighbours import Host, Neighbours
from tests.journeys.props import Gate

from duly import Every, Filter, State
from duly.record import Record, to_record

HOUR: Final = 3600
OFTEN: Final = {"every": 0.2}
AFTERWARDS: Final = timedelta(milliseconds=300)


def several(name: str, count: int, apart: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    """That many messages, so many seconds apart."""
    return [{"id": f"{name}-{each}", "due": each * apart, **more} for each in range(count)]


class Scene:
    """A shared store. ``wanted`` is how often each one-shot is to be delivered.

    ``newer`` has the ids of what only this version reads, ``killed`` the hosts that were.
    """

    old: Host
    new: Host

    def __init__(self, shared: Neighbours) -> None:
        self.shared = shared
        self.client = shared.client
        self.wanted = Counter[str]()
        self.newer: list[str] = []
        self.killed: list[Host] = []

    async def _fill(self, host: Host, name: str) -> None:
        """Let a host schedule what both versions read."""
        letters = [f"{name}-refused-{each}" for each in range(4)]
        one_shots = several(f"{name}-quick", 12, 0.4)
        one_shots += several(f"{name}-failing", 3, 0.2, event="failing", metadata={"times": "3"})
        self.wanted.update({each["id"]: 1 for each in one_shots})
        await host.schedule(
            *one_shots,
            {"id": f"{name}-every", **OFTEN},
            {"id": f"{name}-cron", "cron": "* * * * * *"},
            *[{"id": each, **self._gated(each, "refused")} for each in letters],
            {"id": f"{name}-purged", **self._gated(f"{name}-purged", "refused.purged")},
            *[{**each, "due": HOUR} for each in several(f"{name}-later", 4)],
            {"id": f"{name}-held", **self._gated(f"{name}-held")},
        )

    async def _meet(self, host: Host, name: str) -> None:
        """Let a host use the verbs of callers on what the other has scheduled."""
        later, refused, held = f"{name}-later", f"{name}-refused", f"{name}-held"
        await self._dead(f"{name}-purged", *[f"{refused}-{n}" for n in range(4)])
        assert await host.ask("get", id=f"{refused}-0") == ["refused", "dead", f"{refused}-0"]
        assert await host.ask("get", id=f"{later}-0") == ["quick", "scheduled", f"{later}-0"]
        assert {f"{refused}-{n}" for n in range(4)} <= {*await host.ask("list", state="dead")}
        assert await host.ask("purge", event="refused.purged") == 1
        assert await host.ask("cancel", id=f"{later}-0") == "cancelled"
        await host.ask("reschedule", id=f"{later}-1")
        await host.schedule({"id": f"{later}-2"}, {"id": f"{refused}-0"}, replace=True)
        self._gate(f"{refused}-1").open()
        await host.ask("replay", id=f"{refused}-1")
        await self._begun(held, 1)
        assert await host.ask("cancel", id=held) == "too late"
        self._gate(held).open()
        await self._noted("done", held)
        again = await host.refuses("schedule", messages=[{"id": f"{later}-3"}])
        assert "DuplicateMessage" in again
        taken = [f"{later}-1", f"{later}-2", f"{refused}-0", f"{refused}-1", held]
        self.wanted.update(dict.fromkeys(taken, 1))

    async def _killed_with(self, host: Host, name: str) -> str:
        """Kill a host while it has a message in hand, a new one; the id of that."""
        for number in range(100):
            id = f"{name}-{number}"
            self.wanted[id] = 1
            await host.schedule({"id": id, **self._gated(name)})
            await self._begun(id, 1)
            if id in host.ids("begun"):
                break
        await host.kill()
        self.killed.append(host)
        return id

    def _gate(self, name: str) -> Gate:
        return Gate(self.shared.folder / f"gate-{name}")

    def _gated(self, name: str, event: str = "gated") -> dict[str, Any]:
        return {"event": event, "metadata": self._gate(name).metadata}

    def _hourly(self, name: str, event: str = "gated") -> dict[str, Any]:
        return {"id": name, "due": 0, "every": HOUR, **self._gated(name, event)}

    async def _noted(self, what: str, *ids: str) -> None:
        """Wait until that was noted of all these, by whichever host."""

        async def all_of_them() -> bool:
            return {*ids} <= self.shared.count(what).keys()

        await until(all_of_them)

    async def _begun(self, id: str, times: int) -> None:
        """Wait until its publish has begun so often."""

        async def often_enough() -> bool:
            return self.shared.count("begun")[id] >= times

        await until(often_enough)

    async def _letters(self) -> set[str]:
        """The ids of all dead letters."""
        return {each.id for each in await self.client.list(Filter(state=State.DEAD))}

    async def _dead(self, *ids: str) -> None:
        """Wait until these are dead letters."""

        async def all_of_them() -> bool:
            return {*ids} <= await self._letters()

        await until(all_of_them)

    async def _dead_fire(self, id: str) -> str:
        """Wait until a fire of that series is a dead letter; the id of that."""

        async def found() -> str | None:
            letters = await self._letters()
            return next((each for each in letters if each.startswith(f"{id}:")), None)

        return await until(found)

    async def _back_in_line(self, id: str) -> None:
        """Wait until nobody has it in hand."""

        async def waits() -> bool:
            return (await self.client.get(id)).state is State.SCHEDULED

        await until(waits)

    async def _buried_anew(self, id: str) -> None:
        """Wait until the version before has buried it, which tells nothing of that."""

        async def so() -> bool:
            letter = await self.client.get(id)
            told = (letter.died_at, letter.error_class)
            return letter.state is State.DEAD and told == (None, None)

        await until(so)

    async def _mixed(self) -> None:
        """Wait until each host has delivered what the other scheduled."""

        async def so() -> bool:
            both = ((self.old, "new-"), (self.new, "old-"))
            return all(any(id.startswith(name) for id in host.ids("done")) for host, name in both)

        await until(so)

    async def _goes_over(self, id: str) -> None:
        """Wait until a series has taken up the rule that followed."""

        async def so() -> bool:
            return (await self.client.get(id)).recurrence == Every(AFTERWARDS, missed="all")

        await until(so)

    async def _records(self, *ids: str) -> Sequence[Record]:
        """These as they are kept, whether or not they are in hand just now."""
        return [to_record(await self.client.get(id)) for id in ids]
