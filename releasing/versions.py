"""One version: the file VERSION at the root has it, and all distributions agree with it."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import tomlkit
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from releasing.refused import Refused

__all__ = ["current", "disagreements", "distributions", "pin", "wanted", "with_version"]

FILE: Final = "VERSION"


def distributions(root: Path) -> dict[Path, str]:
    """The project files of all that is published, and the name of each."""
    files = [root / "core/pyproject.toml", *sorted((root / "plugins").glob("**/pyproject.toml"))]
    return {file: tomllib.loads(file.read_text())["project"]["name"] for file in files}


def current(root: Path) -> Version:
    """The version that this tree has.

    Raises:
        Refused: the file is missing, or holds no version of three numbers.
    """
    try:
        text = (root / FILE).read_text()
    except FileNotFoundError:
        raise Refused(f"there is no file {FILE} at the root, which has the version") from None
    return _version(text.strip(), where=f"the file {FILE}: ")


def wanted(text: str, now: Version) -> Version:
    """The version that is asked for.

    Raises:
        Refused: it is none, not of three numbers, or older than what there is.
    """
    version = _version(text)
    if version < now:
        raise Refused(f"{version} is older than {now}, the version that is there")
    return version


def pin(version: Version) -> str:
    """What our distributions ask of each other: the same minor version, as the next may differ."""
    return f"~={version.major}.{version.minor}.0"


def with_version(root: Path, version: Version) -> dict[Path, str]:
    """The new text of each file that has the version, or asks for it. Nothing is written."""
    names = {canonicalize_name(name) for name in distributions(root).values()}
    texts = {root / FILE: f"{version}\n"}
    for file in distributions(root):
        document = tomlkit.parse(file.read_text())
        project: Any = document["project"]
        project["version"] = str(version)
        for asked in _lists(project):
            for place, each in enumerate(asked):
                if _is_ours(each, names):
                    asked[place] = _pinned(each, version)
        texts[file] = tomlkit.dumps(document)
    return texts


def disagreements(root: Path) -> list[str]:
    """Where something else stands than what the file VERSION says."""
    version = current(root)
    found = []
    for file, text in with_version(root, version).items():
        if file.read_text() != text:
            lines = zip(file.read_text().splitlines(), text.splitlines(), strict=False)
            there, right = next((a, b) for a, b in lines if a != b)
            place = file.relative_to(root)
            found.append(f"{place}: {there.strip()}: it should be {right.strip()}")
    return found


def _version(text: str, *, where: str = "") -> Version:
    try:
        version = Version(text)
    except InvalidVersion:
        raise Refused(f"{where}{text!r} is no version: give three numbers, as 0.2.0") from None
    if len(version.release) != 3 or text != ".".join(map(str, version.release)):
        raise Refused(f"{where}{text!r} is no version of three numbers, as 0.2.0")
    return version


def _lists(project: Mapping[str, Any]) -> Iterator[Any]:
    """The lists of requirements: of all, and of each extra."""
    yield project.get("dependencies", [])
    yield from project.get("optional-dependencies", {}).values()


def _is_ours(text: str, names: set[Any]) -> bool:
    try:
        return canonicalize_name(Requirement(text).name) in names
    except InvalidRequirement:
        raise Refused(f"{text!r} is no requirement that could be read") from None


def _pinned(text: str, version: Version) -> str:
    asked = Requirement(text)
    extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
    marker = f"; {asked.marker}" if asked.marker else ""
    return f"{asked.name}{extras}{pin(version)}{marker}"
