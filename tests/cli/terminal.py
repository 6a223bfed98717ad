"""Running the real command at a terminal, where it may ask."""

import os
import pty
import subprocess

from tests.cli.kit import COMMAND, PATIENCE, Result, Shell


def at_terminal(shell: Shell, *words: str, answer: str) -> Result:
    """Run it with a pseudo terminal for all three streams, and give one answer."""
    master, slave = pty.openpty()
    try:
        os.write(master, f"{answer}\n".encode())
        running = subprocess.Popen(
            [*COMMAND, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=shell.folder,
            env=shell.environment(TERM="dumb"),
            start_new_session=True,
        )
        os.close(slave)
        said = _all_of(master)
        code = running.wait(PATIENCE)
    finally:
        os.close(master)
    return Result(code, said, "")


def _all_of(master: int) -> str:
    said = b""
    while True:
        try:
            some = os.read(master, 65536)
        except OSError:  # nobody has the other end any more
            some = b""
        if not some:
            return said.decode().replace("\r\n", "\n")
        said += some
