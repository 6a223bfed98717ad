"""duly over HTTP: an API for every language, mounted in a service that exists or alone.

app.mount("/duly", duly_web.application(client, access=duly_web.Tokens({...})))
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from duly_web.app import Application, application
    from duly_web.pages import Pages
    from duly_web.tokens import Proxy, Tokens, new_token
    from duly_web.users import RIGHTS, Access, User

__all__ = [
    "RIGHTS", "Access", "Application", "Pages", "Proxy", "Tokens", "User", "application",
    "new_token",
]  # fmt: skip

_PLACES: Final = {
    "app": ("Application", "application"),
    "pages": ("Pages",),
    "tokens": ("Proxy", "Tokens", "new_token"),
    "users": ("RIGHTS", "Access", "User"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: every ``duly`` command loads this package, few need a server."""
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"duly_web.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
