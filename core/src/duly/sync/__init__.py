"""The same clients and schedulers for code that is not async: threads, WSGI services, scripts.

A whole program is as short as this::

    import duly.sync

    with duly.sync.Scheduler("sqlite:///orders.db", transport) as scheduler:
        scheduler.schedule(duly.Message("orders.reminder", scheduled_at=duly.after(hours=1)))
        with scheduler.running():
            ...

Each verb does what its namesake of :class:`duly.Client` or :class:`duly.Scheduler` does, with the
same arguments, answers and errors, and returns when it is done. Behind each object runs one event
loop in one daemon thread, from the first call until :meth:`Client.close`: no object holds up
another, and nothing is shared that somebody would have to end. So

- an object may be used from any number of threads at a time;
- plain functions as handlers run in threads and may use the object, ``async`` ones run on its loop
  and must not: SchedulerStateError; neither must observers and recovery policies;
- a thread that is interrupted (Ctrl-C) at any point cancels its call and waits for it to end; a
  signal handler may use the object, whatever it has interrupted;
- ``within=`` takes transactions of blocking code, such as a :class:`sqlite3.Connection`, and is
  carried out in the calling thread, to which they belong; what belongs to an event loop is
  Unsupported, and a thread that runs an event loop itself is a SchedulerStateError;
- once closed it stays closed: SchedulerStateError;
- after a fork, an object used before it cannot be used in the child: SchedulerStateError. Make one
  in each process, or make it before the fork and use it only afterwards;
- in a process whose threads gevent or eventlet has patched no event loop can run:
  SchedulerStateError;
- what is still open when the main thread ends is closed: a scheduler then waits for nothing and
  puts back what it has in hand.
"""

from duly.sync._client import Client
from duly.sync._scheduler import Scheduler

__all__ = ["Client", "Scheduler"]
