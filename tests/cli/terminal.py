"""Running the real command at a terminal, where it may ask."""

import contextlib
import os
import pty
import select
import subprocess

from tests.cli.kit import COMMAND, PATIENCE, Result, Shell, heeding


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


def interrupted_at(shell: Shell, *words: str, question: str) -> Result:
    """Run it with a terminal of its own, and press Ctrl-C when it has asked."""
    master, slave = pty.openpty()
    # Who leads a session and opens a terminal is controlled by it.
    opening = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *COMMAND, *words]
    try:
        running = subprocess.Popen(
            opening,
            cwd=shell.folder,
            env=shell.environment(TERM="dumb"),
            start_new_session=True,
            preexec_fn=heeding,  # noqa: PLW1509  # it only sets two signals
        )
        said = ""
        while question not in said:
            said += os.read(master, 65536).decode()
        os.close(slave)
        # Between the question and the waiting for an answer one may be missed, as by any program;
        # once it has been heard, the next one would end the program on its way out.
        while running.poll() is None and not _said_more(said, question):
            os.write(master, b"\x03")
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.2)
            with contextlib.suppress(OSError):  # it has gone
                if select.select([master], [], [], 0)[0]:
                    said += os.read(master, 65536).decode()
        said += _all_of(master)
        code = running.wait(PATIENCE)
    finally:
        os.close(master)
    return Result(code, said, "")


def _said_more(said: str, question: str) -> bool:
    """Whether it has said more than its question, but for the keys that were pressed."""
    return bool(said.partition(question)[2].replace("^C", "").strip(": \r\n"))


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
