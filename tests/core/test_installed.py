"""What a tool can ask about plugins: what is installed, and what is wrong with one."""

import importlib
import sys
import types

import pytest

import duly
from duly import plugins

STORE = "import duly\n@duly.hookimpl\ndef duly_stores(): return {'shop': str}\n"


def module(code: str) -> types.ModuleType:
    made = types.ModuleType("made")
    exec(code, vars(made))
    return made


class TestInstalled:
    def test_it_is_known_without_being_imported(self, install):
        name = install("1 / 0", stores=["shop", "shop_fast"], hooks=["duly_codec"])
        (plugin,) = plugins.installed()
        assert (plugin.name, plugin.distribution, plugin.version) == ("shop", "duly-shop", "1.2")
        assert plugin.entry_point.value == name
        assert (plugin.stores, plugin.transports) == (["shop", "shop+fast"], [])
        assert plugin.hooks == ["duly_codec"]
        assert plugin.flaws == []
        assert plugin.declares
        assert not plugin.is_always_imported
        with pytest.raises(ZeroDivisionError):
            plugin.load()

    def test_one_that_declares_nothing_is_always_imported(self, install):
        install(STORE)
        (plugin,) = plugins.installed()
        assert not plugin.declares
        assert plugin.is_always_imported

    def test_one_that_is_told_things_is_always_imported(self, install):
        install("", hooks=["duly_delivered"])
        (plugin,) = plugins.installed()
        assert plugin.is_always_imported

    def test_one_that_waits_for_a_variable(self, install, monkeypatch):
        monkeypatch.delenv("ACME_LOG", raising=False)
        code = "import duly\n@duly.hookimpl\ndef duly_closed(client): pass\n"
        name = install(code, hooks=["duly_closed"], variables=["ACME_LOG"])
        (plugin,) = plugins.installed()
        assert (plugin.variables, plugin.flaws) == (["ACME_LOG"], [])
        assert not plugin.is_always_imported
        duly.Client("memory://")
        assert name not in sys.modules
        monkeypatch.setenv("ACME_LOG", "1")
        assert plugin.is_always_imported
        duly.Client("memory://")
        assert name in sys.modules

    def test_what_its_entry_points_say_wrongly(self, install):
        install("", hooks=["duly_delivred"])
        (plugin,) = plugins.installed()
        (flaw,) = plugin.flaws
        assert "'duly_delivred' in the group duly.hooks is no hook that is called: did" in flaw

    def test_two_that_offer_one_scheme(self, install):
        install("", stores=["shop"])
        install("", "duly-other", entry="other", stores=["shop"], transports=["local"])
        other, shop = plugins.installed()
        assert shop.flaws == ["shop:// is offered as a store by other (duly-other 1.2) too"]
        assert other.flaws == [
            "shop:// is offered as a store by shop (duly-shop 1.2) too",
            "local:// is offered as a transport by duly itself too",
        ]


class TestFlaws:
    def test_none(self):
        assert plugins.flaws_of(module(STORE), stores=["shop"]) == []
        assert plugins.flaws_of(module(STORE)) == []  # nothing is told, so nothing is compared

    def test_what_is_told_and_what_is_there_differ(self):
        found = plugins.flaws_of(module(STORE), stores=["shop_fast"], hooks=["duly_codec"])
        assert found == [
            "its entry points tell the scheme of a store shop+fast, which it does not have",
            "its entry points do not tell the scheme of a store shop, which is not used",
            "its entry points tell the hook duly_codec, which it does not have",
        ]

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("", "it implements no hook"),
            ("def duly_stores(): return {}", "duly_stores is not marked with @duly.hookimpl"),
            ("import duly\n@duly.hookimpl\ndef duly_delivred(): ...", "did you mean duly_deliv"),
            ("import duly\n@duly.hookimpl\ndef duly_delivered(delivery): ...", "delivery"),
            (STORE.replace("str", "1"), "duly_stores: TypeError"),
            (STORE.replace("{'shop': str}", "1 / 0"), "duly_stores: ZeroDivisionError"),
            (STORE.replace("str}", "str, 'redis://u:geheim@h': str}"), "u:***@h"),
        ],
        ids=lambda each: each[-30:],
    )
    def test_what_it_implements_wrongly(self, code, why):
        (flaw,) = plugins.flaws_of(module(code), stores=["shop"])
        assert why in flaw

    def test_what_core_offers_itself_has_none(self):
        for name in ("duly.memory", "duly.local"):
            assert plugins.flaws_of(importlib.import_module(name)) == []

    def test_names(self):
        assert plugins.flaws_of_names(schemes=["shop_fast"], hooks=["duly_stopped"]) == []
        assert plugins.flaws_of_names(schemes=["1shop"], hooks=["duly_stopt"]) == [
            "'1shop' is no scheme",
            "'duly_stopt' is no hook that is called: did you mean duly_stopped?",
        ]
