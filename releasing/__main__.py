"""The steps of a release that touch the tree, for ``nox -s release``: see CONTRIBUTING.md."""

import argparse
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

from releasing import built, changelog, versions
from releasing.refused import Refused

ROOT = Path(__file__).parents[1]


def begin(root: Path, asked: str, today: date) -> None:
    """Write a version and the day into all places, once nothing speaks against it.

    Raises:
        Refused: something does; nothing was touched.
    """
    version = versions.wanted(asked, versions.current(root))
    log = root / "CHANGELOG.md"
    texts = versions.with_version(root, version)
    texts[log] = changelog.released(log.read_text(), str(version), today)
    _see_that_it_is_clean(root)
    for file, text in texts.items():
        file.write_text(text)


def align(root: Path) -> None:
    """Bring all places in line with the file VERSION."""
    for file, text in versions.with_version(root, versions.current(root)).items():
        file.write_text(text)


def moment(root: Path) -> int:
    """The second that all files of the release bear: the midnight of its day in UTC.

    Raises:
        Refused: the changelog has no day of the version, or some place has another version.
    """
    version = versions.current(root)
    newest = changelog.first((root / "CHANGELOG.md").read_text())
    if newest.version != str(version) or newest.day is None:
        raise Refused(
            f"CHANGELOG.md begins with {newest.heading!r}, and the version is {version}: "
            f"'nox -s release -- {version}' makes a release of it"
        )
    if found := versions.disagreements(root):
        raise Refused("; ".join(found))
    return int(datetime.combine(newest.day, time(), UTC).timestamp())


def main(arguments: list[str] | None = None, *, root: Path = ROOT) -> int:
    """The program; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m releasing", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("begin", help="write a version into all places").add_argument("version")
    steps.add_parser("align", help="bring all places in line with the file VERSION")
    steps.add_parser("moment", help="print the second that its files bear")
    steps.add_parser("asked", help="print what wheels ask for").add_argument("folder", type=Path)
    steps.add_parser("sums", help="print SHA-256 of files").add_argument("folder", type=Path)
    same = steps.add_parser("compare", help="see that two folders hold the same")
    same.add_argument("folder", type=Path)
    same.add_argument("other", type=Path)
    given = parser.parse_args(arguments)
    try:
        match given.step:
            case "begin":
                begin(root, given.version, datetime.now(UTC).date())
            case "align":
                align(root)
            case "moment":
                print(moment(root))
            case "asked":
                print(*built.asked(sorted(given.folder.glob("*.whl"))), sep="\n")
            case "sums":
                print(built.sums(given.folder), end="")
            case "compare":
                built.compare(given.folder, given.other)
    except Refused as refused:
        print(f"no release: {refused}", file=sys.stderr)
        return 2
    return 0


def _see_that_it_is_clean(root: Path) -> None:
    git = ["git", "-C", str(root), "status", "--porcelain"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused("this is no checkout of git: what would be released is unknown") from error
    if changed := done.stdout.splitlines():
        raise Refused(
            f"the tree is not clean ({changed[0].strip()}{', ...' if changed[1:] else ''}): commit "
            "what belongs to the release; 'git restore .' takes back what an earlier try wrote"
        )


if __name__ == "__main__":
    sys.exit(main())
