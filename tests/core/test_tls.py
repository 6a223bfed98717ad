"""TLS by URL: what is taken, what is refused, and a handshake between the two ends."""

import ssl

import pytest
from tests.servers.certificates import Certificates, Pair

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


def handshake(context: ssl.SSLContext, pair: Pair, name: str) -> None:
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


def test_the_server_is_checked(certificates: Certificates):
    pair, ca = certificates.server, str(certificates.ca)
    handshake(TLS(ca=ca).context(), pair, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost|other"):
        handshake(TLS(ca=ca).context(), pair, "other")
    with pytest.raises(ssl.SSLCertVerificationError, match="local issuer"):
        handshake(TLS().context(), pair, "localhost")


def test_a_certificate_of_ones_own(certificates: Certificates):
    cert, key = map(str, certificates.client)
    assert TLS(cert=cert, key=key).context().check_hostname
    with pytest.raises(InvalidArgument, match="tls_cert: .* cannot be used"):
        TLS(cert=key, key=cert).context()
    with pytest.raises(InvalidArgument, match="tls_cert: .* cannot be used"):
        TLS(cert=cert).context()


def test_files_that_cannot_be_used(tmp_path, certificates: Certificates):
    with pytest.raises(InvalidArgument, match="tls_ca: there is no file"):
        TLS(ca=str(tmp_path / "missing.pem")).context()
    with pytest.raises(InvalidArgument, match="tls_ca: .* no certificate"):
        TLS(ca=str(certificates.client.key)).context()
