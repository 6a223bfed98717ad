"""A transport plugin of one's own: ``spool:///folder`` writes each due message to a file.

Another program takes the files from there, as mail programs do. Needs nothing but duly.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import duly
from duly.hookspecs import TransportFactory
from duly.url import parse


class SpoolTransport:
    """One file for each message, named by its delivery id: a redelivery replaces it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """Called when a scheduler starts to run, and again while the folder is away."""
        if not self._folder.is_dir():
            raise duly.TransportUnavailable(f"there is no folder {self._folder}")

    async def close(self) -> None:
        """There is nothing to give back."""

    async def publish(self, envelope: duly.Envelope) -> str:
        """Return once the disk has the file, with its name as the receipt."""
        return await asyncio.to_thread(self._write, envelope)

    def _write(self, envelope: duly.Envelope) -> str:
        name = hashlib.sha256(envelope.delivery_id.encode()).hexdigest()  # fit for any folder
        path = self._folder / f"{name}.json"
        unfinished = path.with_suffix(f".{os.urandom(4).hex()}")
        content = {
            "event": envelope.event_name,
            "payload": envelope.payload.hex(),
            "headers": dict(envelope.headers),
        }
        try:
            with unfinished.open("w") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)  # in one step: nobody ever sees half a file
        except FileNotFoundError as error:
            raise duly.TransportUnavailable(f"the folder is gone: {error}") from error
        except OSError as error:
            raise duly.TransportError(f"cannot write {path.name}: {error}") from error
        return path.name


@duly.hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """What duly asks of every plugin: the URL schemes it serves."""
    return {"spool": from_url}


def from_url(text: str) -> SpoolTransport:
    """Called with the URL that was given to a scheduler."""
    url = parse(text)
    url.take_options()  # there are none: an unknown one is an error that says so
    if url.hosts or not url.path:
        raise duly.InvalidArgument(f"{url}: write spool:///folder")
    return SpoolTransport(Path(url.path))
