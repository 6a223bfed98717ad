"""``python -m duly_ops ADDRESS --in FOLDER --of N``: the pages of N processes at one address.

Started by ``duly run --processes N --ops ADDRESS``, beside the processes that deliver.
"""

import argparse
import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from duly import DulyError
from duly_ops.addresses import Address
from duly_ops.children import Child
from duly_ops.front import Front
from duly_ops.notifying import Notifying
from duly_ops.serving import Serving

_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes, or whoever has started this is gone; the exit code."""
    parser = argparse.ArgumentParser(prog="duly_ops", description=__doc__)
    parser.add_argument("address", help="host:port")
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="of the sockets")
    parser.add_argument("--of", type=int, required=True, help="how many processes")
    parser.add_argument("--lifeline", type=int, help="a pipe that ends with whoever started this")
    said = parser.parse_args(arguments)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    logging.basicConfig(format="%(asctime)s %(levelname)s %(process)d %(message)s")
    if said.lifeline is not None:
        os.set_inheritable(said.lifeline, False)
        threading.Thread(target=_hold, args=[said.lifeline, said.folder, over], daemon=True).start()
    front = Front([Child(each, said.folder / f"{each}.sock") for each in range(1, said.of + 1)])
    notifying = Notifying(front.stuck, front.unready, lambda: False)
    try:
        serving = Serving(Address.of(said.address), front, notifying.run)
        serving.start()
    except DulyError as error:
        sys.stderr.write(f"duly: {error}\n")
        return _REFUSED
    over.wait()
    notifying.stop()
    serving.stop()
    return 0


def _hold(lifeline: int, folder: Path, over: threading.Event) -> None:
    """Wait until whoever holds the other end is gone, and tidy up in its place."""
    with contextlib.suppress(OSError):
        while os.read(lifeline, 1):
            pass
    shutil.rmtree(folder, ignore_errors=True)
    over.set()


if __name__ == "__main__":
    sys.exit(main())
