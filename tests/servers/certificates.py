"""Certificates made for the tests: an authority, a server for the loopback, and a client."""

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest


class Pair(NamedTuple):
    """A certificate and its key, files in PEM."""

    cert: Path
    key: Path


class Certificates:
    """An authority that nobody else trusts, and what it has signed.

    ``server`` is good for ``localhost``, ``127.0.0.1`` and ``::1``. ``client`` has the common name
    ``client``, by which a server may know its user.
    """

    def __init__(self, folder: Path) -> None:
        import trustme  # most tests do without it

        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)
        self.server = self.issue("server", "localhost", "127.0.0.1", "::1")
        self.client = self.issue("client", "client@example.org")

    def issue(self, common_name: str, *names: str) -> Pair:
        """A certificate for hosts, addresses or users of these names."""
        made = self._authority.issue_cert(*names, common_name=common_name)
        pair = Pair(self._folder / f"{common_name}.pem", self._folder / f"{common_name}-key.pem")
        made.cert_chain_pems[0].write_to_path(pair.cert)
        made.private_key_pem.write_to_path(pair.key)
        pair.key.chmod(0o600)  # some servers read no other
        return pair

    def server_context(self, *, ask: bool = False) -> ssl.SSLContext:
        """What a server in Python encrypts with; ``ask``: clients must show a certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(*self.server)
        if ask:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One set for all tests: they only read it."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
