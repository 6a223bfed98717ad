"""Ready-made ways to say who asks: tokens, and a proxy in front."""

import base64

import pytest
from starlette.requests import Request
from tests.web.kit import ALL, READS, USERS, served

import duly_web
from duly import InvalidArgument
from duly_web.tokens import Tokens, new_token


def request(authorization: str | None, *, api: bool = False, client: str = "10.0.0.1") -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers, "client": (client, 1), "duly_web.api": api})


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


def test_tokens():
    tokens = Tokens(USERS)
    assert tokens(request(f"Bearer {ALL}", api=True)).name == "mara"
    assert tokens(request(f"bearer {READS}", api=True)).name == "rita"
    assert tokens(request(None)) is None
    for said in (f"Bearer {ALL}x", "Bearer", f"Digest {ALL}", "Bearer ünïcode", "Basic ???", ALL):
        assert tokens(request(said, client=said)) is None
    assert tokens(request(basic("mara", ALL))).name == "mara"
    assert tokens(request(basic("rita", ALL))) is None  # it is not hers
    assert tokens(request(basic("mara", ALL), api=True)) is None  # a browser sends that by itself
    assert ALL not in repr(vars(tokens))


def test_a_file_of_tokens(tmp_path):
    token, kept = new_token()
    file = tmp_path / "tokens.toml"
    file.write_text(
        f'[mara]\ntoken_sha256 = "{kept}"\nrights = ["read", "operate"]\nevents = ["orders.*"]\n'
    )
    user = Tokens.read(file)(request(f"Bearer {token}"))
    assert user == duly_web.User("mara", ["read", "operate"], ["orders.*"])
    for wrong in (
        "", "x", "mara = 1", "[mara]", '[mara]\ntoken = "x"', '[mara]\ntoken_sha256 = "x"',
        f'[a]\ntoken_sha256 = "{kept}"\n[b]\ntoken_sha256 = "{kept}"',
        f'[a]\ntoken_sha256 = "{kept}"\nrights = ["root"]',
    ):  # fmt: skip
        file.write_text(wrong)
        with pytest.raises(InvalidArgument):
            Tokens.read(file)
    with pytest.raises(InvalidArgument):
        Tokens.read(tmp_path / "none")


@pytest.mark.parametrize("users", [
    {}, {"short": USERS[ALL]}, {"sha256:abc": USERS[ALL]}, {ALL: "mara"}, {7: USERS[ALL]},
])  # fmt: skip
def test_tokens_that_are_none(users):
    with pytest.raises(InvalidArgument):
        Tokens(users)


async def test_a_proxy_names_users(client):
    known = {"mara": duly_web.User("mara", ["read"])}
    for proxy in (duly_web.Proxy("X-User", known), duly_web.Proxy("X-User")):
        async with served(client, None, access=proxy) as http:
            assert (await http.get("/health")).status_code == 401
            assert (await http.get("/health", headers={"X-User": "mara"})).status_code == 200
            twice = await http.get("/health", headers=[("X-User", "mara"), ("X-User", "root")])
            assert twice.status_code == 401
            other = await http.get("/health", headers={"X-User": "somebody"})
            assert other.status_code == (401 if proxy._users else 200)
    for header in ("", "X User", "X\n"):
        with pytest.raises(InvalidArgument):
            duly_web.Proxy(header)
