"""Look URL schemes up among the plugins, ask deciders, tell observers."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from pluggy import HookImpl

from duly._plugins.comparing import call
from duly._plugins.implemented import TOLD, TOLD_BY_CLIENTS
from duly._plugins.loading import Loading
from duly._plugins.schemes import Schemes, unknown
from duly._telemetry.logging import get_logger
from duly._values.wording import worded
from duly.errors import DulyError, PluginError
from duly.recovery import Backoff, Bury, Discard, Failure, Policy, Retry, Verdict
from duly.store import Store
from duly.transport import Transport
from duly.url import mask, scheme_of

__all__ = ["Plugins"]

_LAST_RESORT: Final = Backoff()

log = get_logger()

T = TypeVar("T")


class Plugins(Loading):
    """What one client knows of plugins: the built-in ones, the installed and those given to it.

    ``load`` says which of the installed may be imported: all, none, or those whose entry point or
    distribution it names. One whose entry points tell what it offers is imported only when that is
    needed: a scheme, or a hook that will be called (without ``deliveries`` only the hooks of
    callers are).
    ``broken`` tells by name what is wrong with one that is set aside, wholly or in part.

    Raises:
        InvalidArgument: an argument of the wrong type.
        PluginError: one that was given implements a hook wrongly or none at all, is given twice,
            or offers what another one does; or a named one is not installed.
    """

    def __init__(
        self,
        plugins: Sequence[object] = (),
        load: bool | Collection[str] = True,
        *,
        deliveries: bool = True,
    ) -> None:
        super().__init__(plugins, load, TOLD if deliveries else TOLD_BY_CLIENTS)
        self.owner: str | None = None
        """What the scheduler is called whose they are, in its last run; None before the first."""

    def store(self, url: str) -> Store:
        """A store for a URL, not opened yet.

        Raises:
            UnknownScheme: nothing that could be loaded serves it.
            SchemeConflict: two plugins do.
            PluginError: its plugin failed.
            DulyError: what its plugin has to say against the URL.
        """
        return self._made(url, self._stores, self._transports)

    def transport(self, url: str) -> Transport:
        """A transport for a URL, not opened yet; raises as :meth:`store` does."""
        return self._made(url, self._transports, self._stores)

    def recover(self, failure: Failure, *policies: Policy) -> Verdict:
        """What next after a failure: the first verdict, of the plugins first, then of the policies.

        Never raises: a plugin that raises, or answers anything but a verdict, is logged and passed
        over.
        """
        for decider in self._called["duly_recover"]:
            verdict = _asked(decider.plugin_name, call, decider, {"failure": failure})
            if verdict is not None:
                return verdict
        for policy in policies:
            verdict = _asked("recovery", policy, failure)
            if verdict is not None:
                return verdict
        return _LAST_RESORT(failure)

    def observed(self, *hooks: str) -> bool:
        """Whether any plugin implements a hook; if not, the caller need not make its arguments."""
        return any(self._called[hook] for hook in hooks)

    async def agreed(self, hook: str, /, **arguments: object) -> None:
        """Call the witnesses of a hook one by one, and wait for what each returns.

        Raises:
            PluginError: one has failed, by an error that is none of ours; else what it raised.
        """
        for witness in self._called[hook]:
            try:
                await _waited(_answer(witness, {"owner": self.owner, **arguments}))
            except DulyError:
                raise
            except Exception as error:
                text = f"plugin {witness.plugin_name}: {hook}: {mask(worded(error))}"
                raise PluginError(text) from error

    async def heard(self, hook: str, /, *, error: BaseException | None, **told: object) -> None:
        """The same once it is done; what they raise is logged. Who was cancelled waits for none."""
        waits = error is None or isinstance(error, Exception)
        for witness in self._called[hook]:
            try:
                answer = _answer(witness, {"owner": self.owner, "error": error, **told})
                if waits:
                    await _waited(answer)
            except Exception:
                log.exception("witness_failed", hook=hook, plugin=witness.plugin_name)

    def tell(self, hook: str, /, **arguments: object) -> None:
        """Call the observers of a hook one by one; what they raise is logged, never raised.

        Except KeyboardInterrupt: without an asyncio runner that handles it, Ctrl-C may strike
        anywhere, and whoever pressed it wants an end. By then all others have been called, and what
        was claimed lapses. A SystemExit is logged: an observer may not end the process.
        """
        interrupted = None
        for observer in self._called[hook]:
            try:
                call(observer, {"owner": self.owner, **arguments})
            except KeyboardInterrupt as error:
                interrupted = error
            except BaseException:  # a cancellation too: nothing is awaited here
                log.exception("observer_failed", hook=hook, plugin=observer.plugin_name)
        if interrupted is not None:
            raise interrupted

    def _made(self, url: str, wanted: Schemes[T], other: Schemes[Any]) -> T:
        scheme = scheme_of(url)
        awaited = wanted.awaited(scheme)
        if awaited is not None:
            self._import(self._wanted[awaited])
        if scheme not in wanted:
            left_out = self._left_out()
            installed = [*self._wanted.values(), *left_out]
            # A plugin that tells what it offers has nothing to do with other schemes.
            elsewhere = {each.name for each in installed if not each.may_serve(scheme)}
            raise unknown(
                scheme,
                wanted,
                other,
                broken={n: why for n, why in self.broken.items() if n not in elsewhere},
                left_out=[each.name for each in left_out if each.name not in elsewhere],
                installed=[each.name for each in installed],
            )
        return wanted.make(url)


def _answer(witness: HookImpl, arguments: Mapping[str, object]) -> object:
    """What a witness returns; what it raises is an Exception, or Ctrl-C."""
    try:
        return call(witness, arguments)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # a cancellation too: nothing is awaited yet
        raise RuntimeError(worded(error)) from error


async def _waited(answer: object) -> None:
    if inspect.isawaitable(answer):
        await answer


def _asked(who: str, decide: Callable[..., object], *arguments: object) -> Verdict | None:
    try:
        verdict = decide(*arguments)
        if verdict is None or isinstance(verdict, Retry | Bury | Discard):
            return verdict
    except KeyboardInterrupt:
        raise
    except BaseException:  # as with observers
        log.exception("decider_failed", plugin=who)
        return None
    log.error("decider_answered_nonsense", plugin=who, answer=type(verdict).__name__)
    return None
