"""``duly run``: deliver, in one process or in several under a supervisor."""

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import click

from duly import Scheduler, sync
from duly_cli.errors import USAGE, Refused
from duly_cli.lifeline import hold
from duly_cli.moments import as_duration
from duly_cli.pages import in_front, of_this_process, see_that_it_is_loaded
from duly_cli.supervisor import Supervisor
from duly_cli.targets import Target, found_app
from duly_cli.telling import Teller

__all__ = ["run"]

_OF_A_SCHEDULER: Final = {
    "instance": str, "max_in_flight": int, "batch_size": int, "stuck_duration": timedelta,
    "publish_timeout": timedelta,
}  # fmt: skip
_LEVELS: Final = ("debug", "info", "warning", "error")
_PLACE: Final = ("app", "store", "transport", "context", "history")
_HOW: Final = "say how messages leave: --transport URL, DULY_TRANSPORT, or --app module:scheduler"


@click.command("run")
@click.option("--app", metavar="MODULE:NAME", help="The scheduler to run [DULY_APP].")
@click.option("--store", metavar="URL", help="Without an app: the store [DULY_STORE].")
@click.option("--transport", metavar="URL", help="Without an app: the way out [DULY_TRANSPORT].")
@click.option("--context", metavar="NAME", help="A context's store or app [DULY_CONTEXT].")
@click.option("--history", metavar="URL", help="Where the history is kept [DULY_HISTORY].")
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True,
    help="So many, each with a core of its own at best.",
)  # fmt: skip
@click.option("--instance", metavar="NAME", help="What it is called; of several: NAME-1 ...")
@click.option("--max-in-flight", type=int, metavar="N", help="Publishes side by side.")
@click.option("--batch-size", type=int, metavar="N", help="Messages a claim takes, at most.")
@click.option("--stuck-duration", metavar="DURATION", help="The lease of a claim, as 5m.")
@click.option("--publish-timeout", metavar="DURATION", help="How long a publish may take, as 30s.")
@click.option("--ops", metavar="ADDRESS", help="Probes and metrics at host:port [DULY_OPS].")
@click.option("--log-level", type=click.Choice(_LEVELS), help="Of the logger duly [warning].")
@click.option("--json", "as_json", is_flag=True, help="What becomes of processes, as JSON.")
@click.option("--lifeline", type=int, hidden=True)
def run(
    *,
    processes: int,
    ops: str | None,
    log_level: str | None,
    as_json: bool,
    lifeline: int | None,
    **said: Any,
) -> None:
    """Deliver until a signal comes, in one process or in several.

    The first signal drains, the second waits no more.

    With --app a scheduler of yours is run, or what a function returns; else one is made of --store
    and --transport. Of several processes each is such a scheduler. An app can tell them apart by
    the variable DULY_PROCESS, which counts from 1. One that dies is replaced. The third signal
    kills those that do not end.

    With --ops, of the package duly-ops, /livez, /readyz, /healthz and /metrics are served, of
    several processes at one address.
    """
    target = _target(said)
    options = _options(said)
    ops = ops or os.environ.get("DULY_OPS") or None
    if processes == 1:
        if ops is not None:
            of_this_process(ops)
        _run_here(target, options, log_level, lifeline)
        return
    words = [*_words(said), *(["--log-level", log_level] if log_level else [])]
    instance = said["instance"]

    def command(number: int) -> Sequence[str]:
        named = ["--instance", f"{instance}-{number}"] if instance else []
        return [sys.executable, "-m", "duly_cli", "run", *words, *named]

    supervisor = Supervisor(command, processes, Teller(json=as_json))
    if ops is None:
        code = supervisor.run()
    else:
        with in_front(ops, processes) as (front, variables):
            supervisor.front, supervisor.variables = front, variables
            code = supervisor.run()
    if code:
        raise click.exceptions.Exit(code)


def _target(said: Mapping[str, Any]) -> Target:
    """Whose messages are delivered, and how they leave; checked as far as that can be seen."""
    app = said["app"]
    ways = [*(said[name] for name in _PLACE), os.environ.get("DULY_TRANSPORT")]
    if not any(ways[:4]) and not ways[-1]:
        # Of the two variables only that one can be run: it has a transport too.
        app = os.environ.get("DULY_APP") or None
    target = Target.said(said["store"], said["transport"], app, said["context"], said["history"])
    if target.app is not None:
        names = [name for name in ("transport", *_OF_A_SCHEDULER) if said[name] is not None]
        if names:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in names)
            more = "" if "instance" not in names else (
                "; its instance may end in the variable DULY_PROCESS, which counts from 1"
            )  # fmt: skip
            raise Refused(
                f"the app {target.app} is a whole scheduler: leave {options} out, and say that "
                f"where it is made{more}",
                USAGE,
            )
        return target
    if target.transport is None:
        raise Refused(_HOW, USAGE)
    if target.transport.partition(":")[0].lower() == "local":
        raise Refused("local:// has no handlers here: give the app that has, with --app", USAGE)
    target.url(changes=True)
    return target


def _options(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of a scheduler that were said."""
    found = {}
    for name, kind in _OF_A_SCHEDULER.items():
        if (value := said[name]) is not None:
            option = f"--{name.replace('_', '-')}"
            found[name] = as_duration(value, option) if kind is timedelta else value
    return found


def _words(said: Mapping[str, Any]) -> Sequence[str]:
    """The options again, for another process; the name of an instance is another in each."""
    pairs = [(name, value) for name, value in said.items() if name != "instance"]
    given = [(f"--{name.replace('_', '-')}", str(each)) for name, each in pairs if each is not None]
    return [word for pair in given for word in pair]


def _run_here(
    target: Target, options: Mapping[str, Any], level: str | None, lifeline: int | None
) -> None:
    _end_at_signals()
    if lifeline is not None:
        hold(lifeline)
    scheduler: Scheduler | sync.Scheduler
    if target.app is not None:
        scheduler = _scheduler(target.app)
    else:
        assert target.transport is not None, "it was checked"  # noqa: S101  # for the type checker
        scheduler = Scheduler(target.url(changes=True), target.transport, **options)
    see_that_it_is_loaded()
    _log(level)
    scheduler.run()


def _scheduler(said: str) -> Scheduler | sync.Scheduler:
    found = found_app(said)
    if not isinstance(found, Scheduler | sync.Scheduler):
        raise Refused(
            f"--app {said} is a {type(found).__name__}, which delivers nothing: name a scheduler",
            USAGE,
        )
    return found


def _end_at_signals() -> None:
    """Before it runs there is nothing to drain; and a closed terminal is a signal like others."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # No exception: what imports plugins and apps may catch all there are.
        signal.signal(number, lambda *_: os._exit(0))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def _log(level: str | None) -> None:
    """Log to the error stream, unless the app has seen to that."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(process)d %(message)s")
    if level is not None:
        logging.getLogger("duly").setLevel(level.upper())
