"""Which cases of the conformance kit a project's tests leave out, though its classes can do it."""

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from duly import store, transport

__all__ = ["OF_A_STORE", "OF_A_TRANSPORT", "TOGETHER", "left_out"]

OF_A_STORE: Final[Mapping[str, str]] = {
    "SupportsAnyLoop": "AnyLoopCases",
    "SupportsClaimingAhead": "ClaimingAheadCases",
    "SupportsDueBetween": "DueBetweenCases",
    "SupportsEnsure": "EnsureCases",
    "SupportsForecast": "ForecastCases",
    "SupportsHealth": "HealthCases",
    "SupportsLines": "LineCases",
    "SupportsListingWithoutPayloads": "ListingWithoutPayloadsCases",
    "SupportsMigration": "MigrationCases",
    "SupportsNames": "NameStatsCases",
    "SupportsNotes": "NoteCases",
    "SupportsOverdue": "OverdueCases",
    "SupportsPeeking": "PeekingCases",
    "SupportsTakeover": "TakeoverCases",
    "SupportsTransactions": "TransactionCases",
    "SupportsWakeups": "WakeupCases",
    "SupportsWhere": "WhereCases",
}
"""The cases for each ability, by its protocol in :mod:`duly.store`."""

OF_A_TRANSPORT: Final[Mapping[str, str]] = {"SupportsBatches": "BatchCases"}

TOGETHER: Final[Mapping[str, Collection[str]]] = {
    "LineTransactionCases": {"LineCases", "TransactionCases"},
    "TakeoverTransactionCases": {"TakeoverCases", "TransactionCases"},
    "BatchHeaderCases": {"BatchCases", "HeaderCases"},
    "BatchOutageCases": {"BatchCases"},
    "BatchRefusalCases": {"BatchCases", "RefusalCases"},
    "DeduplicationOutageCases": {"DeduplicationCases"},
}
"""Those that go with others which are tried."""


def left_out(package: str, tests: Path) -> Iterable[str]:
    """One sentence for each; ``package`` is imported, all of it that can be."""
    _import_all(package)
    stores, transports = (_like(each, package) for each in (store.Store, transport.Transport))
    if not stores and not transports:
        return
    tried = _tried(tests)
    for kind, classes, suite, cases in (
        ("store", stores, "StoreSuite", OF_A_STORE),
        ("transport", transports, "TransportSuite", OF_A_TRANSPORT),
    ):
        if not classes:
            continue
        if suite not in tried:
            yield (
                f"no test in {tests} inherits duly.testing.{kind}s.{suite}: see "
                f"docs/howto/writing-a-{kind}.md"
            )
            continue
        for ability, case in cases.items():
            able = [each for each in classes if _has(each, getattr(_of(kind), ability))]
            if able and case not in tried:
                yield f"{able[0].__name__} is {ability}, but no test inherits {case}"
    for case, others in TOGETHER.items():
        if tried.issuperset(others) and case not in tried:
            yield f"its tests inherit {' and '.join(sorted(others))}, but not {case}"


def _of(kind: str) -> Any:
    return store if kind == "store" else transport


def _import_all(package: str) -> None:
    module = sys.modules[package]
    for info in pkgutil.walk_packages(getattr(module, "__path__", []), f"{package}."):
        try:
            importlib.import_module(info.name)
        except Exception:  # noqa: BLE001, S112  # one for another platform, such as __main__
            continue


def _like(protocol: type, package: str) -> Sequence[type]:
    """The classes of a package that do what a protocol says, by their names."""
    modules = [
        each for name, each in list(sys.modules.items()) if f"{name}.".startswith(f"{package}.")
    ]
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and f"{each.__module__}.".startswith(f"{package}.")
    }
    return sorted((each for each in found if _has(each, protocol)), key=lambda each: each.__name__)


def _has(kind: type, protocol: type) -> bool:
    """Whether a class has all that a protocol names; ``isinstance`` would need an object."""
    names = {
        name
        for each in protocol.__mro__
        if each.__module__.startswith("duly")
        for name in [*vars(each), *vars(each).get("__annotations__", {})]
        if not name.startswith("_")
    }
    return all(getattr(kind, name, None) not in (None, False) for name in names)


def _tried(tests: Path) -> set[str]:
    """The names of all classes that test classes inherit from, there or in files beside."""
    files = [tests] if tests.is_file() else sorted(tests.rglob("*.py"))
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [
                    each.value if isinstance(each, ast.Subscript) else each for each in node.bases
                ]
                found |= {each.attr for each in bases if isinstance(each, ast.Attribute)}
                found |= {each.id for each in bases if isinstance(each, ast.Name)}
    return found
