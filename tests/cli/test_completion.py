"""``duly completion``: what shells take to complete commands."""

import subprocess

import pytest
from tests.cli.kit import Shell


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_script(on_sqlite: Shell, shell_name: str) -> None:
    script = on_sqlite.ok("completion", shell_name).out
    assert "_DULY_COMPLETE" in script


def test_bash_takes_it(on_sqlite: Shell) -> None:
    script = on_sqlite.ok("completion", "bash").out
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_is_completed(on_sqlite: Shell) -> None:
    asked = {"_DULY_COMPLETE": "bash_complete", "COMP_WORDS": "duly sche", "COMP_CWORD": "1"}
    assert "plain,schedulers" in on_sqlite.ok(**asked).out.splitlines()


def test_another_shell(on_sqlite: Shell) -> None:
    result = on_sqlite("completion", "tcsh")
    assert (result.code, result.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in result.err
