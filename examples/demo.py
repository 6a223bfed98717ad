"""A few hundred real messages, two schedulers, one of them killed in mid-batch: is any lost?

``python demo.py`` takes some fifteen seconds and ends with 0 if none was lost and none was early.
Needs duly, duly-sqlite and rich.
"""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from subprocess import Popen
from typing import Final

from demo_parts import screen
from demo_parts.ledger import Reader
from demo_parts.plan import Occurrence, Plan, make_plan
from demo_parts.verdict import judge
from rich.console import Console

import duly

PROGRAM: Final = Path(__file__).parent / "demo_parts" / "scheduler.py"
PATIENCE: Final = 40.0  # seconds for all of it
POLL: Final = 0.01  # seconds
HELD: Final = 8  # messages in hand that make a kill worth while
PUBLISHED: Final = 2  # of these, messages that are out already


class Process:
    """A scheduler in a process of its own, and what it has noted so far."""

    def __init__(self, number: int, url: str, folder: Path) -> None:
        self.name = f"scheduler {number}"
        self.held: set[Occurrence] = set()
        file = folder / f"scheduler-{number}.jsonl"
        self.ledger = Reader(file)
        self._popen = Popen([sys.executable, str(PROGRAM), url, str(file)])  # noqa: S603  # our own

    async def started(self) -> None:
        """Return when it delivers.

        Raises:
            RuntimeError: it has ended instead.
        """
        while not any(self.ledger.read().of("started")):
            if not self.running:
                raise RuntimeError(f"{self.name} did not start")
            await asyncio.sleep(POLL)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def in_mid_batch(self) -> bool:
        """Whether it has much of a burst in hand, and has published some of that."""
        held = {each for each in self.ledger.in_hand() if each.id.startswith("burst")}
        published = held & {entry.occurrence for entry in self.ledger.of("published")}
        return len(held) >= HELD and len(published) >= PUBLISHED

    def kill(self) -> None:
        """SIGKILL: it gets no chance to do anything about it."""
        self._popen.kill()
        self._popen.wait()
        self.held = self.ledger.read().in_hand()

    def stop(self) -> int:
        """Ask it to drain, and wait; its exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self._popen.wait(20)


async def watch(client: duly.Client, plan: Plan, processes: list[Process], out: Console) -> None:
    """Show what happens; kill one scheduler in mid-batch, take one message back."""
    due, taken_back = plan.due, False
    with screen.progress(out) as bars:
        total = bars.add_task("delivered", total=len(due))
        lines = {
            each.name: bars.add_task(f"  by {each.name}", total=len(due)) for each in processes
        }
        while True:
            await asyncio.sleep(POLL)
            for each in processes:
                each.ledger.read()
                bars.update(lines[each.name], completed=len(_published([each])))
            done = len(_published(processes) & due.keys())
            bars.update(total, completed=done)
            if not taken_back and done > len(due) // 5:
                taken_back = True
                answer = await client.cancel(plan.cancelled)
                out.print(f"cancel({plan.cancelled!r}): {answer.value}")
            victim = next((each for each in processes if each.in_mid_batch()), None)
            if victim is not None and all(each.running for each in processes):
                victim.kill()
                out.print(f"{victim.name} killed with {len(victim.held)} messages in its hands")
                bars.update(lines[victim.name], description=f"  by {victim.name} (killed)")
            if done == len(due):
                stats = await client.stats()
                if not stats.scheduled and not stats.claimed:
                    return


def _published(processes: Iterable[Process]) -> set[Occurrence]:
    return {entry.occurrence for each in processes for entry in each.ledger.of("published")}


async def run(folder: Path, out: Console) -> int:
    """The whole story; the exit code."""
    url = f"sqlite:///{folder / 'messages.db'}"
    async with duly.Client(url) as client:
        processes = [Process(number, url, folder) for number in (1, 2)]
        try:
            for each in processes:
                await each.started()
            plan = make_plan(duly.after(seconds=0.5))
            await client.schedule_many(plan.messages)
            out.print(f"{len(plan.messages)} messages scheduled, two schedulers run")
            try:
                async with asyncio.timeout(PATIENCE):
                    await watch(client, plan, processes, out)
            except TimeoutError:
                out.print(f"not done after {PATIENCE:g} s: {await client.stats()}")
        finally:
            codes = [each.stop() for each in processes if each.running]
    entries = [entry for each in processes for entry in each.ledger.read().entries]
    held = set().union(*(each.held for each in processes))
    verdict = judge(plan, entries, held)
    screen.show(out, verdict)
    return 0 if verdict.promise_kept and held and codes == [0] else 1


def main() -> int:
    """Run it in a temporary folder."""
    out = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder), out))


if __name__ == "__main__":
    sys.exit(main())
