"""The MongoDB store's connection: TLS, and change streams that break off."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.servers.mongo import MongoServer, mongo_url
from tests.stores.mongo_kit import opened

import duly
from duly import Message, StoreUnavailable, after
from duly.store import Group, Settle
from duly_mongo.clients import store_from_url

__all__ = ["mongo_url"]  # fixtures are found by their names


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and what it signed for a server and for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl(
        folder, "req", "-x509", *KEY, "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"
    )
    for name in ("server", "client"):
        folder.joinpath("names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        request = ("req", *KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "request")
        openssl(folder, *request)
        openssl(
            folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


class GuardedServer(MongoServer):
    """One that speaks TLS alone, to clients that show a certificate."""

    def __init__(self, certificates: Path) -> None:
        super().__init__()
        pem = certificates / "server.pem"
        key, ca = certificates / "server.key", certificates / "ca.pem"
        both = self.folder / "server.pem"
        both.write_bytes(pem.read_bytes() + key.read_bytes())
        if self.real:
            self._settings = (
                "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(both),
                "--tlsCAFile", str(ca),
            )  # fmt: skip
        else:
            self._settings = (
                "--tls-cert-file", str(pem), "--tls-key-file", str(key), "--tls-ca-file", str(ca),
                "--tls-require-client-cert",
            )  # fmt: skip
        self._certificates = certificates

    def direct(self, **options: Any) -> Any:
        both = self.folder / "client.pem"
        parts = (self._certificates / "client.pem", self._certificates / "client.key")
        both.write_bytes(b"".join(part.read_bytes() for part in parts))
        ca = str(self._certificates / "ca.pem")
        return super().direct(tls=True, tlsCAFile=ca, tlsCertificateKeyFile=str(both), **options)


@pytest.fixture(scope="module")
def port(certificates: Path) -> Iterator[int]:
    """That of a server which is guarded like that."""
    with GuardedServer(certificates) as server:
        yield server.port


class TestTLS:
    async def test_with_certificates_of_both_sides(self, certificates: Path, port: int) -> None:
        files = "&".join(
            f"tls_{name}={certificates / file}"
            for name, file in {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}.items()
        )
        async with duly.Client(f"mongodb://localhost:{port}/shop?tls=true&{files}") as client:
            await client.schedule(Message("event", id="a", scheduled_at=after(hours=1)))
            assert await client.cancel("a")

    async def test_key_and_certificate_in_one_file(self, certificates: Path, port: int) -> None:
        both = certificates / "both.pem"
        parts = (certificates / "client.key", certificates / "client.pem")
        both.write_bytes(b"".join(part.read_bytes() for part in parts))
        files = f"tls_ca={certificates / 'ca.pem'}&tls_cert={both}"
        async with duly.Client(f"mongodb://localhost:{port}/shop?tls=true&{files}") as client:
            assert await client.list() == []

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "tls=true&tls_ca={0}/ca.pem",
            "tls=true&tls_cert={0}/client.pem&tls_key={0}/client.key",
        ],
        ids=["without", "nothing to show", "an authority that is not known"],
    )
    async def test_what_does_not_fit(self, certificates: Path, port: int, query: str) -> None:
        patience = "serverSelectionTimeoutMS=500"
        url = f"mongodb://localhost:{port}/shop?{patience}&{query.format(certificates)}"
        with pytest.raises(StoreUnavailable):
            await store_from_url(url.rstrip("&")).open()


class TestWakeups:
    async def test_a_server_that_was_away(self) -> None:
        with MongoServer() as server:
            store = store_from_url(f"{server.url}/shop?serverSelectionTimeoutMS=500")
            await store.open()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await store.wait_for_change()
            server.kill()
            server.start()
            other = store_from_url(f"{server.url}/shop")
            await other.open()
            for number in range(4):
                async with asyncio.timeout(20):
                    waiting = asyncio.create_task(store.wait_for_change())
                    await asyncio.sleep(0.1)
                    message = Message("event", id=f"m{number}", scheduled_at=after())
                    assert [*await other.put([Group([message])])] == [None]
                    await waiting
            await other.close()
            await store.close()

    async def test_two_seconds_of_silence_cost_one_command(self, mongo_url: str) -> None:
        async with opened(mongo_url) as shop:
            waits: list[Any] = []

            async def wait() -> None:
                while True:
                    await shop.store.wait_for_change()

            waiting = asyncio.create_task(wait())
            async with asyncio.timeout(20):
                while not waits:
                    await asyncio.sleep(0.1)
                    waits = [each for each in shop.asked.commands if "getMore" in each]
            waiting.cancel()
            await asyncio.wait([waiting])
            assert {each["maxTimeMS"] for each in waits} == {2000}

    async def test_an_idle_scheduler_asks_at_most_once_a_second(self, mongo_url: str) -> None:
        async def deliver(_: duly.Envelope) -> None:
            pass

        async with opened(mongo_url, by_hand=False) as shop:
            async with duly.Scheduler(shop.store, deliver) as scheduler, scheduler.running():
                loop, asked, seconds = asyncio.get_running_loop(), 1, 0.0
                for _ in range(5):  # until it has settled down
                    shop.asked.take()
                    start = loop.time()
                    await asyncio.sleep(5)
                    asked, seconds = len(shop.asked.take()), loop.time() - start
                    if asked <= seconds:
                        break
                assert asked <= seconds

    async def test_a_claim_and_a_delivery_wake_nobody(self, mongo_url: str) -> None:
        async with opened(mongo_url) as shop:
            assert shop.clock is not None
            message = Message("event", id="a", scheduled_at=shop.clock())
            await shop.store.put([Group([message])])
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(3):
                        await shop.store.wait_for_change()
            batch = await shop.store.claim(limit=9, lease=timedelta(minutes=1), owner="a")
            await shop.store.settle([Settle(batch.token or "")])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await shop.store.wait_for_change()
