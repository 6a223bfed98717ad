"""Which codec a type has: one of core's, or what an installed plugin offers by ``duly_codec``.

It is the same in the whole process, as an event is made at import, before there is a client.
"""

from collections.abc import Iterator
from typing import Any, Final

from duly._events.codecs import built_in
from duly._events.payloads import kind_named
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

log = get_logger()


def codec_for(kind: Any) -> Codec[Any]:
    """The codec for payloads of a type. What core can write, it writes: no plugin is asked.

    Raises:
        PluginError: there is none, or two plugins offer one.
    """
    try:
        codec = built_in(kind)
    except NameError as error:
        raise PluginError(
            f"the fields of {kind_named(kind)} cannot be looked up: {error}; define what its "
            "annotations name in a module, outside of TYPE_CHECKING"
        ) from None
    if codec is not None:
        return codec
    broken: dict[str, str] = {}
    offered = dict(_offered(kind, broken))
    if len(offered) > 1:
        raise PluginError(
            f"{' and '.join(offered)} offer a codec for {kind_named(kind)}: give the event codec="
        )
    for codec in offered.values():
        return codec
    troubles = "".join(f"; {name} is broken: {why}" for name, why in sorted(broken.items()))
    raise PluginError(f"there is no codec for {kind_named(kind)}: {_HINT}{troubles}")


def _offered(kind: Any, broken: dict[str, str]) -> Iterator[tuple[str, Codec[Any]]]:
    for name, plugin in installed_plugins().items():
        if plugin.flaw is not None or (plugin.tells and _HOOK not in plugin.hooks):
            continue
        try:
            for each in implementations(name, plugin.entry.load()).get(_HOOK, ()):
                codec = each.function(*[kind for _ in each.argnames])
                if codec is not None:
                    yield name, _checked(codec)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # one must not stop the others
            broken[name] = worded(error)
            log.warning("plugin_broken", plugin=name, reason=broken[name])


def _checked(codec: Any) -> Codec[Any]:
    if not (
        callable(getattr(codec, "encode", None))
        and callable(getattr(codec, "decode", None))
        and isinstance(getattr(codec, "content_type", None), str)
    ):
        raise PluginError(
            f"duly_codec must return a Codec or None, not {type(codec).__name__}: a codec has "
            "content_type, encode and decode"
        )
    return codec  # type: ignore[no-any-return]  # seen just now
