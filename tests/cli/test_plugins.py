"""``duly plugins``: what is installed, and what is wrong with it; and commands of other plugins."""

import importlib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.cli.kit import Result, Shell

import duly.store
import duly.testing.stores
import duly.testing.transports
import duly.transport
from duly_cli.kit_cases import OF_A_STORE, OF_A_TRANSPORT, TOGETHER

STORE = """\
    import duly

    @duly.hookimpl
    def duly_stores():
        return {"shop": str}
"""
PROJECT = """\
    [project]
    name = "acme-shop"
    version = "1.2"
    dependencies = ["duly~=0.1"]

    [project.entry-points.duly]
    shop = "acme_shop.plugin"

    [project.entry-points."duly.stores"]
    shop = "acme_shop.plugin"
"""
# What each class can do is told by the names of its methods alone.
ABLE = """\
    class ShopStore:
        async def open(self): ...
        async def close(self): ...
        async def put(self): ...
        async def cancel(self): ...
        async def reschedule(self): ...
        async def get(self): ...
        async def list(self): ...
        async def claim(self): ...
        async def renew(self): ...
        async def settle(self): ...
        async def stats(self): ...
        async def check(self): ...
        async def where(self): ...
"""
TESTS = """\
    from duly.testing import stores

    class TestShop(stores.HealthCases, stores.StoreSuite):
        pass
"""


def install(shell: Shell, code: str, requires: str = "duly~=0.1", **says: Sequence[str]) -> None:
    """Put a distribution where Python finds it in that shell."""
    (shell.folder / "acme_shop.py").write_text(textwrap.dedent(code))
    metadata = shell.folder / "acme_shop-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: acme-shop\nVersion: 1.2\nRequires-Dist: {requires}\n"
    )
    lines = ["[duly]", "shop = acme_shop"]
    for group, names in says.items():
        lines += [f"[duly.{group}]", *(f"{each} = acme_shop" for each in names)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")


def duly_of(shell: Shell, *words: str) -> Result:
    """Run it where that distribution is found."""
    return shell(*words, PYTHONPATH=str(shell.folder))


def project(shell: Shell, **files: str) -> Path:
    """A project in a folder; files by their names, ``__`` for a slash."""
    folder = shell.folder / "project"
    told = {"pyproject.toml": PROJECT, "src/acme_shop/__init__.py": ""}
    told |= {"src/acme_shop/plugin.py": STORE}
    told |= {f"{name.replace('__', '/')}.py": text for name, text in files.items()}
    told["pyproject.toml"] = told.pop("pyproject.py", told["pyproject.toml"])
    for name, text in told.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


class TestInstalled:
    def test_they_are_listed_and_not_imported(self, on_sqlite: Shell) -> None:
        install(on_sqlite, "1 / 0", stores=["shop"], hooks=["duly_codec"])
        result = duly_of(on_sqlite, "plugins")
        assert result.code == 0, result
        (line,) = (each for each in result.out.splitlines() if each.startswith("shop "))
        assert line.split() == ["shop", "acme-shop", "1.2", "shop://", "duly_codec"]
        assert "sqlite://" in result.out
        assert not result.err

    def test_for_programs(self, on_sqlite: Shell) -> None:
        install(on_sqlite, "", stores=["sqlite"])
        found = {each["name"]: each for each in duly_of(on_sqlite, "plugins", "--json").records}
        number = found["sqlite"]["version"]
        assert found["shop"] == {
            "name": "shop", "distribution": "acme-shop", "version": "1.2",
            "entry_point": "acme_shop", "stores": ["sqlite"], "transports": [], "hooks": [],
            "flaws": [f"sqlite:// is offered as a store by sqlite (duly-sqlite {number}) too"],
        }  # fmt: skip

    def test_nothing_is_wrong_with_ours(self, on_sqlite: Shell) -> None:
        assert on_sqlite.ok("plugins", "check").out == "nothing is wrong\n"

    @pytest.mark.parametrize(
        ("code", "says", "requires", "why"),
        [
            ("raise OSError('redis://u:geheim@h')", {"stores": ["shop"]}, "duly~=0.1",
             "it cannot be imported: OSError: redis://u:***@h"),
            ("raise SystemExit(0)", {"stores": ["shop"]}, "duly~=0.1",
             "it cannot be imported: SystemExit: 0"),
            (STORE, {"stores": ["post"]}, "duly~=0.1",
             "its entry points tell the scheme of a store post, which it does not have"),
            (STORE, {"stores": ["shop"]}, "duly>=0.1",
             "it requires duly>=0.1, which later versions meet"),
            (STORE, {"stores": ["shop"]}, "attrs", "it does not require duly"),
            ("import time\nbegun = time.process_time()\nwhile time.process_time() < begun + 0.5: pass\n" + textwrap.dedent(STORE), {},
             "duly~=0.1", "each client imports it, which takes"),
        ],
        ids=["import", "exit", "schemes", "pin", "no pin", "slow"],
    )  # fmt: skip
    def test_what_is_wrong_is_told(
        self, on_sqlite: Shell, code: str, says: dict[str, list[str]], requires: str, why: str
    ) -> None:
        install(on_sqlite, code, requires, **says)
        result = duly_of(on_sqlite, "plugins", "check")
        assert result.code == 3, result
        assert f"shop (acme-shop 1.2): {why}" in result.out

    def test_what_is_wrong_for_programs(self, on_sqlite: Shell) -> None:
        install(on_sqlite, STORE, "duly>=0.1", stores=["shop"])
        result = duly_of(on_sqlite, "plugins", "check", "--json")
        assert result.code == 3
        assert result.record["plugin"] == "shop (acme-shop 1.2)"
        assert result.record["about"] == "version"


class TestProject:
    def test_nothing_is_wrong(self, on_sqlite: Shell) -> None:
        result = on_sqlite("plugins", "check", str(project(on_sqlite)))
        assert (result.code, result.out) == (0, "nothing is wrong\n")

    def test_another_version_that_is_installed_is_not_meant(self, on_sqlite: Shell) -> None:
        install(on_sqlite, "1 / 0", stores=["shop"], hooks=["duly_commands"])
        result = duly_of(on_sqlite, "plugins", "check", str(project(on_sqlite)))
        assert (result.code, result.out) == (0, "nothing is wrong\n")
        assert "what acme_shop offers is left out: ZeroDivisionError" in result.err

    @pytest.mark.parametrize(
        ("files", "why"),
        [
            ({"pyproject": PROJECT.replace("~=", ">=")}, "it requires duly>=0.1, which later"),
            ({"pyproject": PROJECT.split('[project.entry-points."', maxsplit=1)[0]}, "declares nothing"),
            ({"pyproject": PROJECT.split("[project.entry", maxsplit=1)[0]}, "it has no entry point"),
            ({"pyproject": PROJECT.replace("shop =", "1shop =")}, "'1shop' is no scheme"),
            ({"pyproject": PROJECT.replace("stores", "hooks").replace("shop =", "duly_stord =")},
             "'duly_stord' is no hook that is called"),
            ({"src__acme_shop__plugin": "import no_such"}, "cannot be imported: ModuleNotFound"),
            ({"src__acme_shop__plugin": STORE.replace("shop", "post")}, "do not tell the scheme"),
            ({"src__acme_shop__plugin": STORE.replace("()", "(x)")}, "duly_stores"),
            ({"src__acme_shop__plugin": STORE.replace("    @duly.hookimpl\n", "")}, "not marked"),
            ({"src__acme_shop__store": ABLE}, "inherits duly.testing.stores.StoreSuite"),
            ({"src__acme_shop__store": ABLE, "tests__test_shop": TESTS},
             "ShopStore is SupportsWhere, but no test inherits WhereCases"),
        ],
        ids=["pin", "declares", "none", "scheme", "hook", "import", "differs", "arguments", "mark",
             "suite", "cases"],
    )  # fmt: skip
    def test_what_is_wrong_is_told(self, on_sqlite: Shell, files: dict[str, str], why: str) -> None:
        result = on_sqlite("plugins", "check", str(project(on_sqlite, **files)))
        assert result.code == 3, result
        assert why in result.out
        assert all(each.startswith("acme-shop: ") for each in result.out.splitlines())

    def test_only_what_is_left_out_is_told(self, on_sqlite: Shell) -> None:
        tests = TESTS.replace("(stores.Health", "(stores.WhereCases, stores.Health")
        files = {"src__acme_shop__store": ABLE, "tests__test_shop": tests}
        result = on_sqlite("plugins", "check", str(project(on_sqlite, **files)))
        assert (result.code, result.out) == (0, "nothing is wrong\n")

    def test_a_folder_without_a_project(self, on_sqlite: Shell) -> None:
        result = on_sqlite("plugins", "check", ".")
        assert result.code == 2
        assert "there is no such file; give the folder of a project" in result.err

    def test_the_cases_of_the_kit_are_known(self) -> None:
        kit = {*duly.testing.stores.__all__, *duly.testing.transports.__all__}
        assert kit.issuperset([*OF_A_STORE.values(), *OF_A_TRANSPORT.values(), *TOGETHER])
        for others in TOGETHER.values():
            assert kit.issuperset(others)
        # Time is moved and limited for tests and outages, without cases of their own.
        apart = {"SupportsMovingTime", "SupportsTimeLimit"}
        abilities = {each for each in duly.store.__all__ if each.startswith("Supports")}
        assert abilities - apart == {*OF_A_STORE}
        assert all(hasattr(duly.transport, each) for each in OF_A_TRANSPORT)


class TestCommands:
    TENANTS = """\
        import click
        import duly
        from duly_cli import verb

        @verb("tenants")
        @click.option("--longest", type=int, default=10)
        async def tenants(desk, *, longest):
            "Says who has messages."
            async for message in desk.client.iterate():
                desk.record({"tenant": message.metadata["tenant"][:longest]})

        @duly.hookimpl
        def duly_commands():
            return [tenants]
    """

    async def test_a_plugin_adds_one(self, shell: Shell) -> None:
        install(shell, self.TENANTS, hooks=["duly_commands"])
        async with shell.client() as client:
            due = duly.after(hours=1)
            await client.schedule(duly.Message("a", scheduled_at=due, metadata={"tenant": "acme"}))
        result = duly_of(shell, "tenants", "--json", "--longest", "2")
        assert result.record == {"tenant": "ac"}
        assert "Says who has messages." in duly_of(shell, "--help").out

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("import no_such", "ModuleNotFoundError"),
            ("def duly_commands(): return ['status']", "which is no click.Command"),
            ("def duly_commands(): 1 / 0", "ZeroDivisionError"),
            ("", "has no attribute 'duly_commands'"),
            (TENANTS.replace('"tenants"', '"plugins"'), "the command plugins of acme_shop is left"),
        ],
        ids=["import", "no command", "raises", "nothing", "taken"],
    )
    def test_one_that_is_broken_is_told_of_and_left_out(
        self, on_sqlite: Shell, code: str, why: str
    ) -> None:
        install(on_sqlite, code, hooks=["duly_commands"])
        result = duly_of(on_sqlite, "plugins")
        assert result.code == 0
        (line,) = result.err.splitlines()
        assert line.startswith("duly: ")
        assert why in line
        assert "acme-shop" in result.out


def test_what_a_command_needs_is_public() -> None:
    assert importlib.import_module("duly_cli").__all__ == ["Desk", "filtered", "verb"]
