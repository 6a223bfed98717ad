"""A scheduler in a process of its own: ``python -m benchmarks.worker URL BATCH``.

It says READY when it is about to claim, and drains on SIGTERM.
"""

import sys

import duly
from benchmarks.load import NoTransport


class Ready:
    """Says when the scheduler runs."""

    @duly.hookimpl
    def duly_started(self, scheduler: duly.Scheduler) -> None:
        print("READY", flush=True)


def main() -> None:
    """Run until told to stop."""
    url, batch = sys.argv[1:]
    duly.Scheduler(url, NoTransport(), batch_size=int(batch), plugins=[Ready()]).run()


if __name__ == "__main__":
    main()
