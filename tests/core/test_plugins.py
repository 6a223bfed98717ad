"""Plugins are found, survived, looked up by scheme, asked and told."""

import asyncio
import logging
import re
import sys
import types
from importlib.metadata import PackageNotFoundError

import attrs
import pluggy
import pytest

import duly
from duly._plugins.registry import Plugins
from duly.local import LocalTransport
from duly.memory import MemoryStore

LOOKS_AT_PROPERTIES = pluggy.__version__ < "1.7"
KIND = "import duly\n\n@duly.hookimpl\ndef duly_{kind}s():\n    return {{{schemes}}}\n"


def offers(*schemes: str, kind: str = "store") -> str:
    """The code of a plugin whose factories answer with their scheme and the URL."""
    return KIND.format(
        kind=kind, schemes=", ".join(f"{each!r}: lambda url: ({each!r}, url)" for each in schemes)
    )


class Offer:
    """A plugin given by hand."""

    def __init__(self, *schemes, make=None):
        self.schemes = {scheme: make or (lambda url: (self, url)) for scheme in schemes}

    @duly.hookimpl
    def duly_stores(self):
        return self.schemes


class TestBuiltIn:
    def test_memory_and_local_are_always_there(self, install):
        plugins = Plugins(load=False)
        assert isinstance(plugins.store("memory://"), MemoryStore)
        assert isinstance(plugins.transport("local://"), LocalTransport)
        assert plugins.broken == {}

    def test_each_url_makes_a_store_of_its_own(self):
        plugins = Plugins(load=False)
        assert plugins.store("memory://") is not plugins.store("memory://")


class TestInstalled:
    def test_a_plugin_is_found_by_its_entry_point(self, install):
        install(offers("shop"))
        assert Plugins().store("shop://a") == ("shop", "shop://a")

    def test_schemes_do_not_mind_case(self, install):
        install(offers("Shop"))
        assert Plugins().store("SHOP://a") == ("Shop", "SHOP://a")

    def test_an_entry_point_may_name_an_object(self, install):
        code = "import duly\nclass Shop:\n    @duly.hookimpl\n    def duly_stores(self):\n        return {'shop': str}\n"
        install(code + "plugin = Shop()\n", attribute=":plugin")
        assert Plugins().store("shop://a") == "shop://a"

    def test_one_distribution_may_have_several(self, install):
        install(offers("a"), entry="a")
        install(offers("b", kind="transport"), entry="b")
        plugins = Plugins()
        assert plugins.store("a://") == ("a", "a://")
        assert plugins.transport("b://") == ("b", "b://")

    def test_two_entry_points_of_one_plugin_count_once(self, install):
        module = install(offers("a"), entry="a")
        install(
            f"from {module} import *", entry="again"
        )  # a module of its own without hooks of its own
        install(offers("c"), "duly-other", entry="c")
        assert Plugins(load=["a", "c"]).store("a://") == ("a", "a://")

    def test_what_comes_twice_by_two_names_is_taken_once(self, install, tmp_path):
        module = install(offers("a"), entry="a")
        with (tmp_path / "duly_shop-1.2.dist-info" / "entry_points.txt").open("a") as file:
            file.write(f"alias = {module}\n")
        assert Plugins().store("a://") == ("a", "a://")


class TestBroken:
    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("import no_such_driver", "ModuleNotFoundError: No module named 'no_such_driver'"),
            ("raise RuntimeError('too old')", "RuntimeError: too old"),
            ("raise SystemExit('no')", "SystemExit: no"),
            ("def broken(:", "SyntaxError"),
            ("", "it implements no hook"),
            (KIND.format(kind="store", schemes="1: str"), "duly_stores: TypeError"),
            (KIND.format(kind="store", schemes="'shop': 1"), "duly_stores: TypeError"),
            (KIND.format(kind="store", schemes="'shop': 1/0"), "duly_stores: ZeroDivisionError"),
            (
                KIND.format(kind="transport", schemes="'shop': 1/0"),
                "duly_transports: ZeroDivisionError",
            ),
            (KIND.replace("return", "").format(kind="store", schemes=""), "duly_stores: TypeError"),
        ],
        ids=lambda each: each[-40:],
    )
    def test_it_is_survived_warned_of_and_quoted(self, install, caplog, code, why):
        install(code)
        install(offers("other"), "duly-other", entry="other")
        plugins = Plugins()
        assert plugins.store("other://") == ("other", "other://")
        assert plugins.broken.keys() == {"shop (duly-shop 1.2)"}
        assert why in plugins.broken["shop (duly-shop 1.2)"]
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("plugin_broken plugin='shop (duly-shop 1.2)' reason=")
        with pytest.raises(duly.UnknownScheme) as caught:
            plugins.store("shop://")
        assert (
            f"shop (duly-shop 1.2) could not be loaded: {plugins.broken['shop (duly-shop 1.2)']}"
            in str(caught.value)
        )

    def test_an_entry_point_without_a_module_is_survived(self, install):
        install("", attribute=":missing")
        assert "AttributeError" in Plugins().broken["shop (duly-shop 1.2)"]

    def test_what_else_it_offers_is_there(self, install):
        install(KIND.format(kind="store", schemes="'x': 1/0") + offers("y", kind="transport"))
        plugins = Plugins()
        assert plugins.transport("y://") == ("y", "y://")
        assert len(plugins.broken) == 1

    def test_its_reason_shows_no_password(self, install, caplog):
        install("raise OSError('cannot reach redis://u:geheim@h')")
        (reason,) = Plugins().broken.values()
        assert reason == "OSError: cannot reach redis://u:***@h"
        assert "geheim" not in caplog.text

    def test_ctrl_c_in_the_middle_of_an_import_goes_outwards(self, install):
        install("raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            Plugins()


IMPL = "import duly\n@duly.hookimpl\n"
OBJECT = "import duly\nclass Shop:\n    {}\n    @duly.hookimpl\n    def duly_stores(self): return {{'shop': str}}\n"


class TestMisdeclaredAndInstalled:
    @pytest.mark.parametrize(
        ("code", "why"),
        [
            (IMPL + "def duly_delivred(deliveries): ...", "did you mean duly_delivered"),
            (IMPL + "def duly_dreamt(dreams): ...", "unknown hook 'duly_dreamt'; one of a later"),
            (IMPL + "def duly_delivered(delivery): ...", "duly_delivered.*delivery"),
            (IMPL + "async def duly_delivered(deliveries): ...", "is a coroutine function"),
            ("def duly_delivered(deliveries): ...", "duly_delivered is not marked"),
            (
                "class Shop:\n    @staticmethod\n    def duly_delivered(deliveries): ...\nplugin = Shop",
                "duly_delivered is not marked",
            ),
            (OBJECT.format("") + "plugin = Shop", "give an instance instead of the class"),
            (OBJECT.format("odd = property(lambda self: 1 / 0)") + "plugin = Shop()", None),
            (
                IMPL + "def __dir__(): raise SystemExit('no')",
                "it cannot be looked into: SystemExit: no",
            ),
            (offers("a shop"), "'a shop' is no scheme"),
            (offers("shop://"), "'shop://' is no scheme"),
            (offers("shop", "Shop"), "the scheme shop is offered twice"),
            ("class No(BaseException): ...\nraise No('panic')", "No: panic"),
            ("class No(BaseException):\n    def __str__(self): raise No\nraise No", "No"),
        ],
        ids=lambda each: each and each[-40:],
    )
    def test_it_stops_nobody_and_is_told(self, install, code, why):
        install(code, attribute=":plugin" if "plugin = " in code else "")
        install(offers("other"), "duly-other", entry="other")
        plugins = Plugins()
        assert plugins.store("other://") == ("other", "other://")
        if why is None and LOOKS_AT_PROPERTIES:
            why = "it cannot be looked into: ZeroDivisionError"
        if why is None:
            assert plugins.broken == {}
            return
        assert re.search(why, plugins.broken["shop (duly-shop 1.2)"])
        with pytest.raises(duly.UnknownScheme, match=why):
            plugins.store("shop://")

    def test_it_is_told_by_health(self, install):
        install(IMPL + "def duly_delivred(deliveries): ...")
        health = asyncio.run(duly.Client("memory://").health())
        assert health.status is duly.Status.DEGRADED
        assert (
            "plugin shop (duly-shop 1.2) is broken: unknown hook 'duly_delivred'" in health.reason
        )

    def test_one_that_compares_in_a_way_of_its_own_harms_no_other(self, install):
        odd = "\n    def __eq__(self, other): raise RuntimeError\n    __hash__ = object.__hash__\n"
        install(OBJECT.format(odd) + "plugin = Shop()", attribute=":plugin")
        install(offers("other"), "duly-other", entry="other")
        plugins = Plugins([Offer("third")])
        assert plugins.store("shop://") == "shop://"
        assert plugins.store("other://") == ("other", "other://")
        assert plugins.broken == {}


class TestRequirement:
    @pytest.fixture(autouse=True)
    def version(self, monkeypatch):
        monkeypatch.setattr("duly._plugins.installed.version", lambda _name: "0.1.0")

    def test_one_made_for_another_version_is_set_aside_unseen(self, install):
        requires = ["attrs>=25", "duly[testing]>=0.2", "duly~=0.1"]
        install("raise RuntimeError('imported')", requires=requires, stores=["shop"])
        install(offers("other"), "duly-other", entry="other", requires=["duly~=0.1"])
        plugins = Plugins()
        why = "it requires duly[testing]>=0.2, this is duly 0.1.0"
        assert plugins.broken == {"shop (duly-shop 1.2)": why}
        assert plugins.store("other://") == ("other", "other://")
        with pytest.raises(duly.UnknownScheme, match=re.escape(f"could not be loaded: {why}")):
            plugins.store("shop://")

    def test_our_own_version_may_be_unknown(self, install, monkeypatch):
        def missing(name):
            raise PackageNotFoundError(name)

        monkeypatch.setattr("duly._plugins.installed.version", missing)
        install(offers("shop"), requires=["duly>=99"])
        assert Plugins().store("shop://") == ("shop", "shop://")


class TestSaying:
    """Entry points tell what a plugin offers, so that it is imported when that is asked for."""

    NOISY = "import builtins\nbuiltins.loaded.append(__name__)\n"
    OBSERVING = "import duly\n@duly.hookimpl\ndef duly_{}({}): builtins.loaded.append('{}')\n"

    @pytest.fixture(autouse=True)
    def loaded(self, monkeypatch):
        loaded: list[str] = []
        monkeypatch.setattr("builtins.loaded", loaded, raising=False)
        return loaded

    def test_it_is_imported_when_its_scheme_is_asked_for(self, install, loaded):
        module = install(self.NOISY + offers("shop", "cart"), stores=["shop", "cart"])
        plugins = Plugins()
        assert plugins.store("memory://")
        assert isinstance(plugins.transport("local://"), LocalTransport)
        assert loaded == []
        assert plugins.store("shop://a") == ("shop", "shop://a")
        assert plugins.store("cart://a") == ("cart", "cart://a")
        assert plugins.store("SHOP://b") == ("shop", "SHOP://b")
        assert loaded == [module]
        assert plugins.broken == {}

    @pytest.mark.parametrize("written", ["shop+fast", "shop_fast", "Shop_Fast"])
    def test_an_underscore_stands_for_a_plus_sign(self, install, loaded, written):
        install(self.NOISY + offers("shop+fast", kind="transport"), transports=[written])
        plugins = Plugins()
        assert loaded == []
        assert plugins.transport("shop+fast://") == ("shop+fast", "shop+fast://")
        assert plugins.broken == {}

    def test_it_may_offer_both_kinds(self, install, loaded):
        code = self.NOISY + offers("shop") + offers("post", kind="transport")
        install(code, stores=["shop"], transports=["post"])
        plugins = Plugins()
        assert plugins.transport("post://") == ("post", "post://")
        assert plugins.store("shop://") == ("shop", "shop://")
        assert len(loaded) == 1
        assert plugins.broken == {}

    def test_the_group_of_all_plugins_may_be_left_out(self, install):
        module = install(offers("shop"), entry="", stores=["shop"])
        assert Plugins(load=["duly_shop"]).store("shop://") == ("shop", "shop://")
        with pytest.raises(duly.UnknownScheme, match=rf"{module} \(duly-shop 1.2\)"):
            Plugins(load=False).store("shop://")

    def test_one_that_says_nothing_is_imported_always(self, install, loaded):
        module = install(self.NOISY + offers("shop"))
        Plugins(deliveries=False)
        assert loaded == [module]

    @pytest.mark.parametrize(
        ("hook", "argument", "by_clients"),
        [
            ("scheduled", "messages", True),
            ("cancelled", "message_ids", True),
            ("rescheduled", "message_ids", True),
            ("replayed", "message_ids", True),
            ("purged", "message_ids", True),
            ("closed", "client", True),
            ("delivered", "deliveries", False),
            ("buried", "burials", False),
        ],
    )
    def test_it_is_imported_when_its_hook_will_be_called(
        self, install, loaded, hook, argument, by_clients
    ):
        code = self.NOISY + self.OBSERVING.format(hook, argument, "told") + offers("shop")
        install(code, hooks=[f"duly_{hook}"], stores=["shop"])
        client = duly.Client("memory://")
        assert len(loaded) == by_clients
        assert client._plugins.observed(f"duly_{hook}") is by_clients
        loaded.clear()
        sys.modules.pop("plugin_shop_duly_shop", None)
        plugins = duly.Scheduler("memory://", print)._plugins
        assert len(loaded) == 1
        plugins.tell(f"duly_{hook}", **{argument: []})
        assert loaded[1:] == ["told"]
        assert plugins.store("shop://") == ("shop", "shop://")
        assert plugins.broken == {}

    def test_what_it_says_and_does_not_have_is_told(self, install):
        install(offers("shop"), stores=["shop", "cart"], transports=["post"], hooks=["duly_failed"])
        plugins = Plugins(deliveries=False)
        assert plugins.broken == {}
        with pytest.raises(duly.UnknownScheme, match="tell the scheme of a store cart, which it"):
            plugins.store("cart://")
        assert plugins.broken["shop (duly-shop 1.2)"] == (
            "its entry points tell the scheme of a store cart, which it does not have; "
            "its entry points tell the scheme of a transport post, which it does not have; "
            "its entry points tell the hook duly_failed, which it does not have"
        )
        assert plugins.store("shop://") == ("shop", "shop://")
        with pytest.raises(duly.UnknownScheme):
            plugins.transport("post://")

    def test_what_it_has_and_does_not_say_is_told_and_not_used(self, install, loaded):
        code = self.NOISY + offers("shop", "cart") + self.OBSERVING.format("failed", "", "told")
        install(code, stores=["shop"])
        plugins = Plugins()
        assert plugins.store("shop://") == ("shop", "shop://")
        assert plugins.broken["shop (duly-shop 1.2)"] == (
            "its entry points do not tell the scheme of a store cart, which is not used; "
            "its entry points do not tell the hook duly_failed, which is not used"
        )
        assert not plugins.observed("duly_failed")
        with pytest.raises(duly.UnknownScheme):
            plugins.store("cart://")

    @pytest.mark.parametrize(
        ("says", "why"),
        [
            ({"stores": ["shop", "a shop"]}, "'a shop' in the group duly.stores is no scheme"),
            ({"transports": ["1st"]}, "'1st' in the group duly.transports is no scheme"),
            (
                {"hooks": ["duly_delivred"]},
                "'duly_delivred' in the group duly.hooks is no hook that is called: did",
            ),
            ({"hooks": ["duly_stores"]}, "'duly_stores' in the group duly.hooks is no hook"),
        ],
        ids=repr,
    )
    def test_what_cannot_be_is_told_at_once(self, install, loaded, says, why):
        install(self.NOISY + offers("shop"), **says)
        plugins = Plugins()
        assert plugins.broken["shop (duly-shop 1.2)"].startswith(why)
        assert loaded == []
        with pytest.raises(duly.UnknownScheme):
            plugins.store("shop://")

    @pytest.mark.parametrize("code", ["import no_such_driver", "raise SystemExit", "", IMPL])
    def test_one_that_fails_when_it_is_needed_says_why(self, install, code, caplog):
        install(code, stores=["shop"])
        for _ in range(2):  # the next client tries anew
            plugins = Plugins()
            assert plugins.broken == {}
            assert caplog.records == []
            with pytest.raises(duly.UnknownScheme, match=r"shop \(duly-shop 1.2\) could not be"):
                plugins.store("shop://")
            assert plugins.broken.keys() == {"shop (duly-shop 1.2)"}
            with pytest.raises(duly.UnknownScheme, match=r"shop \(duly-shop 1.2\) could not be"):
                plugins.store("shop://")
            assert caplog.text.count("plugin_broken") == 1
            caplog.clear()

    def test_whose_offer_fails_says_why(self, install):
        install(KIND.format(kind="store", schemes="'shop': 1/0"), stores=["shop"])
        with pytest.raises(duly.UnknownScheme, match="duly_stores: ZeroDivisionError"):
            Plugins().store("shop://")

    def test_errors_tell_who_would_serve_without_importing_it(self, install, loaded):
        install(self.NOISY + offers("shop"), stores=["shop"])
        install(self.NOISY + offers("post", kind="transport"), "duly-post", transports=["post"])
        plugins = Plugins()
        with pytest.raises(duly.UnknownScheme) as caught:
            plugins.store("shopp://")
        assert "did you mean shop://?" in str(caught.value)
        assert "shop:// (shop (duly-shop 1.2))" in str(caught.value)
        with pytest.raises(
            duly.UnknownScheme, match=r"transport, served by shop \(duly-post 1.2\)"
        ):
            plugins.store("post://")
        assert loaded == []

    def test_an_error_speaks_only_of_those_that_might_serve(self, install):
        install("import no_such_driver", stores=["shop"])
        install(offers("cart"), "duly-cart", entry="cart", stores=["cart"], requires=["duly"])
        install(offers("far"), "duly-far", entry="far", stores=["far"])
        plugins = Plugins(load=["shop", "cart"])
        with pytest.raises(duly.UnknownScheme):
            plugins.store("shop://")
        with pytest.raises(duly.UnknownScheme) as caught:
            plugins.store("car://")
        assert "no_such_driver" not in str(caught.value)
        assert "left out" not in str(caught.value)
        with pytest.raises(duly.UnknownScheme, match="left out by load_plugins: far"):
            plugins.store("far://")

    def test_one_given_by_hand_as_well_is_asked_there(self, install):
        module = install(offers("shop"), stores=["shop", "cart"])
        plugins = Plugins([__import__(module)])
        assert plugins.store("shop://") == ("shop", "shop://")
        with pytest.raises(duly.UnknownScheme):
            plugins.store("cart://")
        assert plugins.broken == {}


class TestUnreadable:
    """What another distribution has written cannot be read: ours are found all the same."""

    def test_entry_points(self, install, tmp_path, caplog):
        install(offers("shop"))
        odd = tmp_path / "odd-1.0.dist-info"
        odd.mkdir()
        (odd / "METADATA").write_text("Name: odd\nVersion: 1.0\n")
        (odd / "entry_points.txt").write_text("[duly]\nno equals sign\n")
        assert Plugins().store("shop://") == ("shop", "shop://")
        assert caplog.text == "" or "entry_points_unreadable distribution='odd 1.0'" in caplog.text

    def test_metadata(self, install, tmp_path):
        install(offers("shop"))
        (tmp_path / "duly_shop-1.2.dist-info" / "METADATA").unlink()
        assert Plugins().store("shop://") == ("shop", "shop://")

    def test_a_reference_that_is_none(self, install):
        install("", attribute=" is not one")
        assert len(Plugins().broken) == 1


class TestLoading:
    NOISY = "import builtins\nbuiltins.loaded.append(__name__)\n"

    @pytest.fixture(autouse=True)
    def three(self, install, monkeypatch):
        self.loaded: list[str] = []
        monkeypatch.setattr("builtins.loaded", self.loaded, raising=False)
        install(self.NOISY + offers("one"), "duly-shop", entry="one")
        install(self.NOISY + offers("two"), "duly-shop", entry="two")
        install(self.NOISY + offers("three"), "Duly_Other.Things", entry="third")

    @pytest.mark.parametrize(
        ("load", "schemes"),
        [
            (True, ["one", "two", "three"]),
            (False, []),
            ([], []),
            (["one"], ["one"]),
            pytest.param({"two", "third"}, ["two", "three"], id="a set"),
            (("duly-shop",), ["one", "two"]),
            (["duly_shop"], ["one", "two"]),
            (["DULY.SHOP"], ["one", "two"]),
            (["duly-other-things", "one"], ["one", "three"]),
        ],
        ids=repr,
    )
    def test_only_what_is_named_is_imported(self, load, schemes):
        plugins = Plugins(load=load)
        assert len(self.loaded) == len(schemes)
        for scheme in ["one", "two", "three"]:
            if scheme in schemes:
                assert plugins.store(f"{scheme}://")
            else:
                with pytest.raises(
                    duly.UnknownScheme, match="installed but left out by load_plugins: .*(?i:duly)"
                ):
                    plugins.store(f"{scheme}://")

    def test_a_name_that_nothing_has_is_an_error_that_lists_what_there_is(self):
        with pytest.raises(
            duly.PluginError, match=r"names 'for'.*not installed.*one \(duly-shop 1.2\), third"
        ):
            Plugins(load=["one", "for"])
        assert self.loaded == []

    @pytest.mark.parametrize(
        "load", ["one", b"one", None, 1, [1], [None], ["one", b"two"]], ids=repr
    )
    def test_what_is_no_collection_of_names_is_refused(self, load):
        with pytest.raises(duly.InvalidArgument, match="load_plugins must"):
            Plugins(load=load)

    def test_nothing_installed_is_said_too(self, monkeypatch):
        monkeypatch.setattr(sys, "path", [])
        with pytest.raises(duly.PluginError, match="installed are: none"):
            Plugins(load=["one"])


class TestGiven:
    def test_an_object_will_do(self, install):
        offer = Offer("shop")
        assert Plugins([offer]).store("shop://a") == (offer, "shop://a")

    def test_a_module_will_do(self, install):
        module = types.ModuleType("shop")
        exec(offers("shop"), vars(module))
        assert Plugins((module,)).store("shop://") == ("shop", "shop://")

    def test_a_class_with_static_methods_will_do(self, install):
        class Shop:
            @staticmethod
            @duly.hookimpl
            def duly_stores():
                return {"shop": str}

        assert Plugins([Shop]).store("shop://") == "shop://"

    def test_a_class_that_needs_an_object_will_not(self):
        with pytest.raises(duly.PluginError, match="duly_stores needs an object: give an instance"):
            Plugins([Offer], load=False)

    def test_installed_and_given_it_counts_as_given(self, install):
        module = install(offers("shop"))
        plugins = Plugins([__import__(module)])
        assert plugins.store("shop://") == ("shop", "shop://")

    def test_one_given_twice_is_an_error(self):
        offer = Offer("shop")
        with pytest.raises(duly.PluginError, match=r"plugins\[1\] \(Offer\) is given twice"):
            Plugins([offer, offer], load=False)

    def test_two_of_a_kind_are_two(self):
        told = []
        plugins = Plugins([Observer(told, 1), Observer(told, 2)], load=False)
        plugins.tell("duly_claimed", messages=[])
        assert told == [2, 1]

    def test_two_that_are_equal_are_an_error_that_says_so(self):
        @attrs.frozen
        class Equal:
            name: str

            @duly.hookimpl
            def duly_claimed(self, messages):
                pass

        with pytest.raises(duly.PluginError, match="eq=False"):
            Plugins([Equal("a"), Equal("a")], load=False)
        Plugins([Equal("a"), Equal("b")], load=False)

    @pytest.mark.parametrize(
        "plugin",
        [
            None,
            5,
            "duly_sqlite",
            pytest.param(object(), id="object"),
            dict,
            types.ModuleType("empty"),
        ],
        ids=repr,
    )
    def test_one_without_a_hook_is_an_error(self, plugin):
        with pytest.raises(
            duly.PluginError, match=r"plugins\[0\].*implements no hook.*@duly.hookimpl"
        ):
            Plugins([plugin], load=False)

    @pytest.mark.parametrize(
        "plugins",
        [None, "duly_sqlite", 5, {"a": 1}, pytest.param(Offer("x"), id="offer")],
        ids=repr,
    )
    def test_what_is_no_list_is_refused(self, plugins):
        with pytest.raises(duly.InvalidArgument, match="plugins must be a list"):
            Plugins(plugins, load=False)

    def test_what_its_offer_raises_is_an_error(self, install):
        class Bad:
            @duly.hookimpl
            def duly_stores(self):
                raise OSError("cannot reach redis://u:geheim@h")

        with pytest.raises(
            duly.PluginError, match=r"plugins\[0\] \(Bad\): duly_stores: OSError: .*u:\*\*\*@h"
        ):
            Plugins([Bad()])


class TestMisdeclared:
    def check(self, hook, match):
        plugin = types.ModuleType("shop")
        setattr(plugin, hook.__name__, hook)
        with pytest.raises(duly.PluginError, match=match):
            Plugins([plugin], load=False)

    def test_a_misspelt_hook(self):
        @duly.hookimpl
        def duly_delivred(deliveries):
            pass

        self.check(duly_delivred, "unknown hook 'duly_delivred'.*the hooks: .*duly_delivered")

    def test_an_unknown_argument(self):
        @duly.hookimpl
        def duly_delivered(messages):
            pass

        self.check(duly_delivered, "(?s)duly_delivered.*messages")

    def test_a_forgotten_mark(self):
        def duly_delivered(deliveries):
            pass

        self.check(duly_delivered, "duly_delivered is not marked with @duly.hookimpl")

    def test_a_coroutine_function(self):
        @duly.hookimpl
        async def duly_delivered(deliveries):
            pass

        self.check(
            duly_delivered, "duly_delivered is a coroutine function: hooks are plain functions"
        )

    def test_an_asynchronous_generator(self):
        @duly.hookimpl
        async def duly_delivered(deliveries):
            yield

        self.check(duly_delivered, "duly_delivered is a coroutine function")

    def test_a_wrapper(self):
        @duly.hookimpl(wrapper=True)
        def duly_delivered(deliveries):
            return (yield)

        self.check(duly_delivered, "duly_delivered is a wrapper")

    def test_a_hook_of_a_later_version_may_be_marked_optional(self):
        plugin = types.ModuleType("shop")
        exec("import duly\n@duly.hookimpl(optionalhook=True)\ndef duly_dreamt(): ...", vars(plugin))
        exec(offers("shop"), vars(plugin))
        assert Plugins([plugin], load=False).store("shop://") == ("shop", "shop://")


class TestUnknownScheme:
    @pytest.mark.parametrize(
        ("url", "distribution"),
        [
            ("sqlite:///x.db", "duly-sqlite"),
            ("redis://h", "duly-redis"),
            ("rediss+cluster://h", "duly-redis"),
            ("redis+sentinel://h/m", "duly-redis"),
            ("postgresql://h/d", "duly-postgres"),
            ("postgres://h/d", "duly-postgres"),
            ("postgresql+asyncpg://h/d", "duly-postgres"),
            ("mongodb://h/d", "duly-mongo"),
            ("mongodb+srv://h/d", "duly-mongo"),
        ],
    )
    def test_a_store_to_install(self, install, url, distribution):
        with pytest.raises(
            duly.UnknownScheme, match=f"install it with: pip install {distribution};"
        ):
            Plugins().store(url)

    @pytest.mark.parametrize(
        ("url", "distribution"),
        [
            ("redis+stream://h", "duly-redis-streams"),
            ("redis+pubsub://h", "duly-redis-streams"),
            ("nats://h", "duly-nats"),
            ("jetstream://h", "duly-nats"),
            ("http://h", "duly-webhook"),
            ("https://h", "duly-webhook"),
            ("amqp://h", "duly-rabbitmq"),
            ("amqps://h", "duly-rabbitmq"),
            ("kafka://h", "duly-kafka"),
            ("mqtt://h", "duly-mqtt"),
            ("mqtts://h", "duly-mqtt"),
        ],
    )
    def test_a_transport_to_install(self, install, url, distribution):
        plugins = Plugins()
        with pytest.raises(
            duly.UnknownScheme, match=f"no transport serves.*pip install {distribution};"
        ):
            plugins.transport(url)
        with pytest.raises(
            duly.UnknownScheme, match=f"it is the scheme of a transport of {distribution}"
        ):
            plugins.store(url)

    def test_given_in_the_wrong_place(self, install):
        install(offers("mail", kind="transport"))
        with pytest.raises(
            duly.UnknownScheme, match=r"scheme of a transport, served by shop \(duly-shop 1.2\)"
        ):
            Plugins().store("mail://h")
        with pytest.raises(
            duly.UnknownScheme, match="it is the scheme of a store, served by duly.memory"
        ):
            Plugins().transport("memory://")
        with pytest.raises(duly.UnknownScheme, match="it is the scheme of a store of duly-mongo"):
            Plugins().transport("mongodb://h")

    @pytest.mark.parametrize(
        ("url", "meant"),
        [("postgre://h", "postgres"), ("reddis://h", "redis"), ("shopp://", "shop")],
    )
    def test_a_typing_error(self, install, url, meant):
        install(offers("shop"))
        with pytest.raises(duly.UnknownScheme, match=f"did you mean {meant}://"):
            Plugins().store(url)

    def test_what_is_served_and_by_whom(self, install):
        install(offers("shop", "cart"))
        with pytest.raises(duly.UnknownScheme) as caught:
            Plugins().store("carrier-pigeon://coop")
        assert str(caught.value) == (
            "no store serves carrier-pigeon://; served are cart:// (shop (duly-shop 1.2)), "
            "memory:// (duly.memory), shop:// (shop (duly-shop 1.2))"
        )

    def test_of_very_many_the_most_similar_are_told(self, install):
        install(offers(*(f"shop{number}" for number in range(40)), "cart", "card"))
        with pytest.raises(duly.UnknownScheme) as caught:
            Plugins().store("carts://h")
        said = str(caught.value)
        assert said.startswith(
            "no store serves carts://; did you mean cart://?; served are "
            "cart:// (shop (duly-shop 1.2)), card:// (shop (duly-shop 1.2)), "
        )
        assert said.endswith(" and 37 more")
        assert said.count("://") == 8

    def test_what_is_installed_but_broken_is_not_to_be_installed(self, install):
        install("import no_such_driver", "duly-redis", entry="redis")
        with pytest.raises(duly.UnknownScheme) as caught:
            Plugins().store("redis://h")
        assert "pip install" not in str(caught.value)
        assert "redis (duly-redis 1.2) could not be loaded: ModuleNotFoundError" in str(
            caught.value
        )

    def test_another_one_with_a_longer_name_is_no_reason_not_to(self, install):
        install("import no_such_driver", "duly-redis-streams", entry="redis-streams")
        with pytest.raises(duly.UnknownScheme, match="pip install duly-redis;"):
            Plugins().store("redis://h")

    def test_what_is_left_out_is_not_to_be_installed(self, install):
        install(offers("redis"), "duly-redis", entry="redis")
        with pytest.raises(duly.UnknownScheme) as caught:
            Plugins(load=False).store("redis://h")
        assert "pip install" not in str(caught.value)
        assert "installed but left out by load_plugins: redis (duly-redis 1.2)" in str(caught.value)

    def test_no_password_shows(self, install):
        with pytest.raises(duly.UnknownScheme) as caught:
            Plugins().store("nowhere://u:geheim@h?token=geheim")
        assert "geheim" not in str(caught.value)

    @pytest.mark.parametrize("url", ["orders.db", None, 5, b"memory://", ""])
    def test_what_is_no_url_is_refused(self, url):
        with pytest.raises(duly.InvalidArgument):
            Plugins(load=False).store(url)


class TestConflict:
    def test_both_plugins_are_named(self, install):
        install(offers("redis"), "duly-redis", entry="redis")
        install(offers("redis", "other"), "acme-redis", entry="acme")
        plugins = Plugins()
        with pytest.raises(
            duly.SchemeConflict,
            match=r"redis:// is served as a store by (acme \(acme-redis 1.2\) and redis \(duly-redis 1.2\)|"
            r"redis \(duly-redis 1.2\) and acme \(acme-redis 1.2\)): uninstall all but one",
        ):
            plugins.store("redis://h")
        assert plugins.store("other://h") == ("other", "other://h")
        assert Plugins(load=["duly-redis"]).store("redis://h") == ("redis", "redis://h")

    @pytest.mark.parametrize("says", [{}, {"stores": ["redis"]}], ids=["silent", "telling"])
    def test_it_is_told_before_anybody_asks(self, install, says, caplog):
        install(offers("redis"), "duly-redis", entry="redis", **says)
        install(offers("redis"), "acme-redis", entry="acme", **says)
        plugins = Plugins()
        assert plugins.broken == {
            "acme (acme-redis 1.2)": "redis:// is offered as a store by redis (duly-redis 1.2) too",
            "redis (duly-redis 1.2)": "redis:// is offered as a store by acme (acme-redis 1.2) too",
        }
        assert caplog.text.count("plugin_broken") == 2
        with pytest.raises(duly.SchemeConflict):
            plugins.store("redis://h")

    def test_an_installed_one_does_not_take_over_what_is_built_in(self, install):
        install(offers("memory", "shop"))
        plugins = Plugins()
        assert isinstance(plugins.store("memory://"), MemoryStore)
        assert plugins.store("shop://") == ("shop", "shop://")
        assert plugins.broken == {
            "shop (duly-shop 1.2)": "memory:// is offered as a store by duly.memory too"
        }

    @pytest.mark.parametrize("scheme", ["memory", "redis"])
    def test_by_hand_wins(self, install, scheme):
        install(offers("redis", "shop"), "duly-redis", entry="redis")
        install(offers("redis"), "acme-redis", entry="acme", stores=["redis"])
        fake = Offer(scheme)
        plugins = Plugins([fake])
        assert plugins.store(f"{scheme}://h") == (fake, f"{scheme}://h")
        assert plugins.store("shop://h") == ("shop", "shop://h")
        assert bool(plugins.broken) is (scheme == "memory")  # of the two others one has to go

    def test_twice_by_hand_is_an_error_at_once(self):
        with pytest.raises(
            duly.SchemeConflict,
            match=r"shop:// is offered as a store by plugins\[0\] \(Offer\) and plugins\[1\]",
        ):
            Plugins([Offer("shop"), Offer("shop", "cart")], load=False)


class TestFactory:
    def test_its_own_errors_come_through(self):
        def refuse(_url):
            raise duly.InvalidArgument("no such option")

        with pytest.raises(duly.InvalidArgument, match="^no such option$"):
            Plugins([Offer("shop", make=refuse)], load=False).store("shop://")

    def test_any_other_is_a_plugin_error_with_a_cause(self):
        def fail(_url):
            raise RuntimeError("driver too old")

        with pytest.raises(
            duly.PluginError,
            match="failed to make a store of shop://u:\\*\\*\\*@h: RuntimeError: driver too old",
        ) as caught:
            Plugins([Offer("shop", make=fail)], load=False).store("shop://u:geheim@h")
        assert isinstance(caught.value.__cause__, RuntimeError)

    def test_a_driver_that_quotes_the_password_is_not_quoted(self):
        def fail(url):
            raise ValueError(f"bad URL {url}")

        with pytest.raises(duly.PluginError) as caught:
            Plugins([Offer("shop", make=fail)], load=False).store("shop://u:geheim@h")
        assert "geheim" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class Observer:
    def __init__(self, told, name, error=None):
        self.told, self.name, self.error = told, name, error

    @duly.hookimpl
    def duly_claimed(self, messages):
        self.told.append(self.name)
        if self.error:
            raise self.error


class TestTelling:
    def test_one_that_raises_silences_nobody(self, caplog):
        told: list[int] = []
        plugins = Plugins(
            [
                Observer(told, 1),
                Observer(told, 2, ValueError("redis://u:geheim@h")),
                Observer(told, 3),
            ],
            load=False,
        )
        plugins.tell("duly_claimed", messages=[])
        assert told == [3, 2, 1]
        (record,) = caplog.records
        assert (
            "observer_failed hook=duly_claimed plugin='plugins[1] (Observer)'"
            in record.getMessage()
        )
        assert "Traceback" in record.getMessage()
        assert "ValueError: redis://u:***@h" in record.getMessage()
        assert "geheim" not in caplog.text

    @pytest.mark.parametrize(
        "error",
        [SystemExit(1), asyncio.CancelledError(), GeneratorExit(), pytest.fail.Exception("no")],
        ids=repr,
    )
    def test_nor_does_one_that_raises_what_is_no_exception(self, error, caplog):
        told: list[int] = []
        plugins = Plugins([Observer(told, 1), Observer(told, 2, error)], load=False)
        plugins.tell("duly_claimed", messages=[])
        assert told == [2, 1]
        assert caplog.text.count("observer_failed") == 1

    def test_ctrl_c_goes_outwards_when_all_have_heard(self):
        told: list[int] = []
        plugins = Plugins([Observer(told, 1), Observer(told, 2, KeyboardInterrupt())], load=False)
        with pytest.raises(KeyboardInterrupt):
            plugins.tell("duly_claimed", messages=[])
        assert told == [2, 1]

    def test_whether_anybody_listens_is_known_beforehand(self):
        plugins = Plugins([Observer([], 1)], load=False)
        assert plugins.observed("duly_claimed")
        assert not plugins.observed("duly_delivered")
        plugins.tell("duly_delivered", deliveries=[])

    def test_an_observer_takes_what_arguments_it_likes(self):
        class Idle:
            calls = 0

            @duly.hookimpl
            def duly_claimed(self):
                self.calls += 1

        idle = Idle()
        Plugins([idle], load=False).tell("duly_claimed", messages=[])
        assert idle.calls == 1


def test_a_plugin_of_anothers_cannot_be_changed_from_outside(install):
    install("import no_such_driver")
    plugins = Plugins()
    with pytest.raises(TypeError):
        plugins.broken["x"] = "y"
