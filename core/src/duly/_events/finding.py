"""Which codec a type has: one of core's, or what an installed plugin offers by ``duly_codec``.

It is the same in the whole process, as an event is made at import, before there is a client.
"""

from collections.abc import Iterator
from typing import Any, Final

from duly._events.codecs import built_in
from duly._events.payloads import as_codec, kind_named
from duly._plugins.implemented import implementations
from duly._plugins.installed import installed_plugins
from duly._telemetry.logging import get_logger
from duly._values.wording import worded
from duly.codec import Codec
from duly.errors import PluginError

__all__ = ["codec_for"]

_HOOK: Final = "duly_codec"
_HINT: Final = (
    "pip install duly-pydantic for models of pydantic, duly-msgspec for msgspec.Struct, attrs and "
    "TypedDict, or give the event codec="
)
_LOOKED_UP: Final = "define what they name in a module, outside of TYPE_CHECKING"

log = get_logger()


def codec_for(kind: Any) -> Codec[Any]:
    """The codec for payloads of a type. What core can write, it writes: no plugin is asked.

    Raises:
        PluginError: there is none, or two plugins offer one.
    """
    try:
        codec, why = built_in(kind), _HINT
    except PluginError as error:
        codec, why = None, f"{error}: give the event codec="
    except Exception as error:  # noqa: BLE001  # whatever annotations do when they are looked up
        codec, why = None, f"its annotations cannot be looked up ({worded(error)}): {_LOOKED_UP}"
    if codec is not None:
        return codec
    failed: dict[str, str] = {}
    offered = dict(_offered(kind, failed))
    if len(offered) > 1:
        raise PluginError(
            f"{' and '.join(offered)} offer a codec for {kind_named(kind)}: give the event codec="
        )
    for codec in offered.values():
        return codec
    troubles = "".join(f"; {name} failed: {what}" for name, what in sorted(failed.items()))
    raise PluginError(f"there is no codec for {kind_named(kind)}: {why}{troubles}")


def _offered(kind: Any, failed: dict[str, str]) -> Iterator[tuple[str, Codec[Any]]]:
    for name, plugin in installed_plugins().items():
        if plugin.tells and _HOOK not in plugin.hooks:
            continue
        if plugin.flaw is not None:
            failed[name] = plugin.flaw
            continue
        try:
            for each in implementations(name, plugin.entry.load()).get(_HOOK, ()):
                codec = each.function(*[kind for _ in each.argnames])
                if codec is not None:
                    yield name, as_codec(codec, "duly_codec must return a Codec or None")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # one must not stop the others
            failed[name] = worded(error).partition("\n")[0]
            log.warning("plugin_broken", plugin=name, reason=failed[name])
