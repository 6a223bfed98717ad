"""What several files of tests share."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one entry point; nothing else is installed in these tests."""
    # What this environment has installed itself is hidden.
    own = [path for path in sys.path if not any(Path(path).glob("duly*.dist-info"))]
    hidden = tmp_path / "elsewhere"
    hidden.mkdir()

    def install_(
        code: str,
        name: str = "duly-shop",
        *,
        entry: str = "shop",
        attribute: str = "",
        requires: Sequence[str] = (),
        **says: Sequence[str],
    ) -> str:
        module = "plugin_" + re.sub(r"\W", "_", f"{entry} {name}")
        (tmp_path / f"{module}.py").write_text(code)
        metadata = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        metadata.mkdir(exist_ok=True)
        asked = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{asked}"
        )
        with (metadata / "entry_points.txt").open("a") as file:
            file.write(f"[duly]\n{entry} = {module}{attribute}\n" if entry else "")
            for group, names in says.items():
                lines = "".join(f"{each} = {module}{attribute}\n" for each in names)
                file.write(f"[duly.{group}]\n{lines}")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    monkeypatch.setattr(sys, "path", [str(tmp_path), *own])
    yield install_
    for module in [module for module in sys.modules if module.startswith("plugin_")]:
        del sys.modules[module]
