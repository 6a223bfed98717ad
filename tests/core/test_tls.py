"""TLS by URL: what is taken, what is refused, and a handshake between the two ends."""

import ssl
import subprocess
from pathlib import Path

import pytest

from duly import InvalidArgument
from duly.tls import TLS, take_tls, tls_options
from duly.url import parse


def taken(query: str, *, always: bool = False) -> TLS | None:
    options = parse(f"x://host/{query}").take_options(**tls_options(), other=str)
    tls = take_tls(options, always=always)
    assert options.keys() <= {"other"}
    return tls


@pytest.mark.parametrize("query", ["", "?other=1", "?tls=false"])
def test_none(query):
    assert taken(query) is None


def test_files():
    assert taken("?tls=true") == taken("", always=True) == TLS()
    files = "tls_ca=a.pem&tls_cert=b.pem&tls_key=c.pem"
    assert taken(f"?{files}&tls=true") == TLS(ca="a.pem", cert="b.pem", key="c.pem")
    assert taken(f"?{files}", always=True) == TLS(ca="a.pem", cert="b.pem", key="c.pem")


@pytest.mark.parametrize(
    ("query", "always", "said"),
    [
        ("?tls_ca=a.pem", False, "tls_ca is given without tls=true"),
        ("?tls=false&tls_key=a.pem", False, "tls_key is given without tls=true"),
        ("?tls=true&tls_key=a.pem", False, "tls_key is given without tls_cert"),
        ("?tls=false", True, "this scheme means TLS"),
        ("?tls=maybe", False, "neither true nor false"),
    ],
)
def test_refused(query, always, said):
    with pytest.raises(InvalidArgument, match=said):
        taken(query, always=always)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-out", cert, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def handshake(context: ssl.SSLContext, pair: tuple[Path, Path], name: str) -> None:
    """Both ends in memory."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(*pair)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context.wrap_bio(down, up, server_hostname=name),
        theirs.wrap_bio(up, down, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


def test_the_server_is_checked(pair):
    cert = str(pair[0])
    handshake(TLS(ca=cert).context(), pair, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost|other"):
        handshake(TLS(ca=cert).context(), pair, "other")
    with pytest.raises(ssl.SSLCertVerificationError, match="self.signed"):
        handshake(TLS().context(), pair, "localhost")


def test_a_certificate_of_ones_own(pair):
    cert, key = map(str, pair)
    assert TLS(cert=cert, key=key).context()
    with pytest.raises(InvalidArgument, match="tls_cert: .* cannot be used"):
        TLS(cert=key, key=cert).context()
    with pytest.raises(InvalidArgument, match="tls_cert: .* cannot be used"):
        TLS(cert=cert).context()


def test_files_that_cannot_be_used(tmp_path, pair):
    with pytest.raises(InvalidArgument, match="tls_ca: there is no file"):
        TLS(ca=str(tmp_path / "missing.pem")).context()
    with pytest.raises(InvalidArgument, match="tls_ca: .* no certificate"):
        TLS(ca=str(pair[1])).context()
