"""Processes whose threads a library has replaced by its own."""

import sys

from duly.errors import SchedulerStateError

__all__ = ["refuse_patched_threads"]


def refuse_patched_threads() -> None:
    """Check that threads and locks are real.

    Raises:
        SchedulerStateError: gevent or eventlet has patched them.
    """
    for library, module, ask, names in (
        ("gevent", "gevent.monkey", "is_module_patched", ("threading", "queue", "select")),
        ("eventlet", "eventlet.patcher", "is_monkey_patched", ("thread", "select")),
    ):
        patched = getattr(sys.modules.get(module), ask, None)
        if patched is not None and any(map(patched, names)):
            raise SchedulerStateError(
                f"{library} has patched this process's threads and locks, and "
                "an event loop needs real ones: call duly in a process that is not patched, such "
                "as a worker that uses real threads"
            )
