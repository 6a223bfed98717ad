"""PgBouncer, the pooler that most put before PostgreSQL, in its transaction mode."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.finding import lacking
from tests.servers.postgres import unprivileged
from tests.servers.process import Server, program

HINT = "not installed: install Debian's pgbouncer"


class PgBouncer(Server):
    """A pooler of the tests' own before the database of a URL, with ``size`` connections to it."""

    def __init__(self, database: str, *, size: int = 3) -> None:
        if program("pgbouncer") is None:
            lacking("pgbouncer", HINT)
        super().__init__()
        behind = urlsplit(database)
        self._name = behind.path.removeprefix("/")
        self._settings = f"""\
[databases]
{self._name} = host={behind.hostname} port={behind.port} user={behind.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""

    @property
    def url(self) -> str:
        """The address of the database by way of the pooler."""
        return f"postgresql://anybody@127.0.0.1:{self.port}/{self._name}"

    def user(self) -> str | None:
        return unprivileged()

    def command(self) -> Sequence[str | Path]:
        return [program("pgbouncer") or "pgbouncer", self.folder / "pgbouncer.ini"]

    def start(self) -> None:
        (self.folder / "pgbouncer.ini").write_text(self._settings)
        if user := self.user():
            shutil.chown(self.folder, user)
        super().start()
