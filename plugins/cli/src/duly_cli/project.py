"""What is wrong with the project of a plugin, as it lies in a folder."""

import importlib
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from duly.plugins import flaws_of, flaws_of_names
from duly_cli.errors import USAGE, Refused
from duly_cli.flaws import Flaw, pin_of, worded
from duly_cli.kit_cases import left_out

__all__ = ["flaws_of_project"]

_STORES, _TRANSPORTS, _HOOKS = "duly.stores", "duly.transports", "duly.hooks"
_GROUPS: Final = ("duly", _STORES, _TRANSPORTS, _HOOKS)


def flaws_of_project(path: Path, tests: Path | None) -> Sequence[Flaw]:
    """Of all that its ``pyproject.toml`` tells; its modules are imported from ``src``.

    Raises:
        Refused: there is no such file, or it cannot be read.
    """
    project = _read(path)
    name = str(project.get("name", path.resolve().name))
    groups = project.get("entry-points", {})
    named: dict[str, dict[str, set[str]]] = {}
    for group in _GROUPS:
        for entry, value in groups.get(group, {}).items():
            reference = "".join(str(value).split())
            named.setdefault(reference, {}).setdefault(group, set()).add(entry)
    found = []
    if text := pin_of(project.get("dependencies", [])):
        found.append(Flaw(name, "version", text))
    if not named:
        text = 'it has no entry point: add shop = "acme_shop.plugin" to the group duly'
        return [*found, Flaw(name, "entry point", text)]
    source = path / "src" if (path / "src").is_dir() else path
    sys.path.insert(0, str(source.resolve()))
    for reference, told in named.items():
        found += _of(name, reference, told, source.resolve())
    packages = {reference.partition(":")[0].partition(".")[0] for reference in named}
    for package in sorted(packages & sys.modules.keys()):
        for text in left_out(package, tests or path / "tests"):
            found.append(Flaw(name, "cases", text))
    return found


def _read(path: Path) -> Mapping[str, Any]:
    file = path / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text()).get("project", {})
    except FileNotFoundError as error:
        raise Refused(
            f"{file}: there is no such file; give the folder of a project", USAGE
        ) from error
    except (OSError, ValueError) as error:
        raise Refused(f"{file} cannot be read: {error}", USAGE) from error
    if not isinstance(project, dict):
        raise Refused(f"{file}: project is no table", USAGE)
    return project


def _of(name: str, reference: str, told: Mapping[str, set[str]], source: Path) -> Iterable[Flaw]:
    stores, transports, hooks = (told.get(each, set()) for each in (_STORES, _TRANSPORTS, _HOOKS))
    if "duly" not in told:
        text = (
            f"{reference} is in no entry point of the group duly, so that its name is {reference}"
        )
        yield Flaw(name, "entry point", text)
    if not (stores or transports or hooks):
        yield Flaw(
            name, "entry point",
            f"{reference} declares nothing, so that each client imports it: add what it offers to "
            "the groups duly.stores, duly.transports and duly.hooks",
        )  # fmt: skip
    for text in flaws_of_names(schemes=stores | transports, hooks=hooks):
        yield Flaw(name, "entry point", text)
    try:
        plugin = _loaded(reference, source)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # of somebody else's code
        yield Flaw(name, "import", f"{reference} cannot be imported: {worded(error)}")
        return
    for text in flaws_of(plugin, stores=stores, transports=transports, hooks=hooks):
        yield Flaw(name, "hooks", f"{reference}: {text}")


def _loaded(reference: str, source: Path) -> object:
    """What it names in the project's own code, be another version of it installed or not."""
    name, _, attributes = reference.partition(":")
    package = name.partition(".")[0]
    known = getattr(sys.modules.get(package), "__file__", None)
    if known is not None and source not in Path(known).resolve().parents:
        for each in [each for each in sys.modules if each.partition(".")[0] == package]:
            del sys.modules[each]
    found: object = importlib.import_module(name)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found
