"""``duly context``: stores under names, in a file of the user's alone."""

from pathlib import Path

from tests.cli.kit import Shell

REDIS = "redis://ops:geheim@127.0.0.1:1/0"


def kept(shell: Shell) -> Path:
    return shell.folder / "contexts.toml"


def test_a_context_is_used(tmp_path: Path) -> None:
    shell = Shell(None, tmp_path)
    url = f"sqlite:///{tmp_path}/here.db"
    result = shell.ok("context", "add", "here", "--store", url, "--tz", "Europe/Berlin")
    assert "duly context use here makes it the one where nothing else is said." in result.out
    assert kept(shell).stat().st_mode & 0o777 == 0o600
    assert shell("status").code == 2, "none is used by itself"
    shell.ok("context", "use", "here")
    shell.ok("migrate", "--yes")
    shell.ok("schedule", "a", "--at", "2999-07-01 10:00", "--id", "one")
    assert "2999-07-01 10:00:00 CEST" in shell.ok("show", "one").out
    shell.ok("context", "remove", "here")
    assert shell("status").code == 2


def test_passwords_are_kept_and_not_shown(tmp_path: Path) -> None:
    shell = Shell(None, tmp_path)
    kept(shell).with_suffix(".new").touch(mode=0o644)  # of one that was killed
    shell.ok("context", "add", "live ☃ \U0001f550", "--store", REDIS, "--production")
    assert kept(shell).stat().st_mode & 0o777 == 0o600
    for words in (("list",), ("show", "live ☃ \U0001f550")):
        result = shell.ok("context", *words)
        assert "redis://ops:***@127.0.0.1:1/0" in result.out
        assert "geheim" not in result.out + result.err
    assert "geheim" in kept(shell).read_text(encoding="utf-8")


def test_for_programs(tmp_path: Path) -> None:
    shell = Shell(None, tmp_path)
    shell.ok("context", "add", "live", "--store", REDIS, "--production")
    shell.ok("context", "use", "live")
    record = shell.ok("context", "list", "--json").record
    assert record == {
        "name": "live", "store": "redis://ops:***@127.0.0.1:1/0", "transport": None, "app": None,
        "production": True, "tz": None, "history": None, "current": True,
    }  # fmt: skip
    assert shell.ok("context", "show", "--json").record == record


def test_what_cannot_be(tmp_path: Path) -> None:
    shell = Shell(None, tmp_path)
    for words, code in (
        (("add", "a"), 2),
        (("add", "a", "--store", REDIS, "--app", "x:y"), 2),
        (("add", "a", "--store", "memory://"), 2),
        (("add", "a", "--store", REDIS, "--tz", "Nowhere/Land"), 2),
        (("use", "nobody"), 2),
        (("show",), 2),
    ):
        result = shell("context", *words)
        assert result.code == code, words
        assert result.err.count("\n") == 1
        assert "geheim" not in result.err
    assert not kept(shell).exists()
    shell.ok("context", "add", "a", "--store", REDIS)
    assert shell("context", "add", "a", "--store", "redis://127.0.0.1:2").code == 3
    shell.ok("context", "add", "a", "--store", "redis://127.0.0.1:2", "--replace")
