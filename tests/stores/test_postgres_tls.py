"""Certificates that are renewed while a store is open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.servers.certificates import Certificates, certificates
from tests.servers.postgres import PostgresServer
from tests.stores.postgres_kit import Place, cut, due, refusal

from duly import StoreUnavailable

__all__ = ["certificates"]


class Encrypted:
    """A server that shows a certificate, which can be renewed."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    async def show(self, certificates: Certificates) -> None:
        """Show the certificate of these from now on."""
        data = self.server.folder / "data"
        for file, name in zip(certificates.server, ("server.crt", "server.key"), strict=True):
            shutil.copy(file, data / name)
            if user := self.server.user():
                shutil.chown(data / name, user)
            (data / name).chmod(0o600)
        connection = await asyncpg.connect(self.server.url, ssl=False)
        try:
            await connection.execute("ALTER SYSTEM SET ssl = on")
            await connection.execute("SELECT pg_reload_conf()")
            while await connection.fetchval("SELECT current_setting('ssl')") != "on":
                pass
        finally:
            await connection.close()


@pytest.fixture
def encrypted() -> Iterator[Encrypted]:
    with PostgresServer() as server:
        yield Encrypted(server)


@pytest.fixture
def others(tmp_path: Path) -> Certificates:
    """Those of another authority."""
    (folder := tmp_path / "others").mkdir()
    return Certificates(folder)


async def test_files_are_read_anew_for_each_connection(
    encrypted: Encrypted, certificates: Certificates, others: Certificates, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(certificates.ca, ca)
    await encrypted.show(certificates)
    place, url = Place(encrypted.server.url), encrypted.server.url
    async with place.opened(tls="true", tls_ca=ca) as store:
        assert await store.put([due("a")]) == [None]
        await encrypted.show(others)
        await cut(place)
        with pytest.raises(StoreUnavailable, match="certificate"):
            await store.put([due("b")])
        ca.unlink()
        with pytest.raises(StoreUnavailable, match="TLS cannot be begun"):
            await store.put([due("b")])
        shutil.copy(others.ca, ca)
        assert await store.put([due("b")]) == [None]
    assert "certificate" in await refusal(
        f"{url}?tls=true&tls_ca={certificates.ca}", StoreUnavailable
    )
