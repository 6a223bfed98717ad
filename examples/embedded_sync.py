"""A threaded WSGI service that schedules in its requests, delivered in the background.

The service here is the standard library's, one thread a request, and calls itself three times;
any WSGI server would do. Messages rest in a file; plain functions are the handlers.
Needs duly and duly-sqlite.
"""

import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import duly
import duly.sync

ORDERS = 3

transport = duly.LocalTransport()
reminded = threading.Semaphore(0)


@transport.on("orders.reminder")
def remind(envelope: duly.Envelope) -> None:
    """Called in a thread of the transport when an order is due."""
    print(f"reminder for order {envelope.payload.decode()}")
    reminded.release()


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""


class Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def service(scheduler: duly.sync.Scheduler) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """The application: ``POST /17`` schedules a reminder for order 17."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        order = environ["PATH_INFO"].strip("/")
        message = duly.Message(
            "orders.reminder",
            order.encode(),
            id=f"order-{order}-reminder",
            scheduled_at=duly.after(milliseconds=300),
        )
        scheduler.schedule(message)  # blocks this thread only; it is in the file afterwards
        start_response("201 Created", [])
        return [b""]

    return application


def main() -> None:
    """Serve, place some orders, wait for their reminders."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'orders.db'}"
        with (
            duly.sync.Scheduler(url, transport) as scheduler,
            scheduler.running(),
            make_server("127.0.0.1", 0, service(scheduler), Server, Quiet) as server,
        ):
            threading.Thread(target=server.serve_forever).start()
            for order in range(ORDERS):
                address = f"http://127.0.0.1:{server.server_port}/{order}"
                urllib.request.urlopen(urllib.request.Request(address, method="POST")).close()
            for _ in range(ORDERS):
                reminded.acquire()
            server.shutdown()


if __name__ == "__main__":
    main()
