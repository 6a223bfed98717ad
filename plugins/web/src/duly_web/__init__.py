"""duly over HTTP: an API for every language, mounted in a service that exists or alone.

app.mount("/duly", duly_web.application(client, access=duly_web.Tokens({...})))
"""

from duly_web.application import Application, application
from duly_web.pages import Pages
from duly_web.tokens import Proxy, Tokens, new_token
from duly_web.users import RIGHTS, Access, User

__all__ = ["RIGHTS", "Access", "Application", "Pages", "Proxy", "Tokens", "User", "application", "new_token"]
