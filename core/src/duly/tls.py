"""TLS by URL: ``?tls=true&tls_ca=&tls_cert=&tls_key=``, once for all plugins."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from duly.errors import InvalidArgument
from duly.url import boolean

__all__ = ["TLS", "take_tls", "tls_options"]

_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "tls": boolean,
    "tls_ca": str,
    "tls_cert": str,
    "tls_key": str,
}


@attrs.frozen(kw_only=True)
class TLS:
    """That a connection is encrypted, and with which files, all in PEM.

    ``ca`` holds the authorities that the server's certificate is checked against, the system's own
    where it is None. ``cert`` is shown to the server, with its key in ``key`` or in the same file.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """What a driver encrypts with: the server's certificate and its name are checked.

        Raises:
            InvalidArgument: a file that is missing, or that holds something else.
        """
        for option, file in attrs.asdict(self).items():
            if file is not None and not Path(file).is_file():
                raise InvalidArgument(f"tls_{option}: there is no file {file}")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            raise InvalidArgument(f"tls_ca: {self.ca} holds no certificate in PEM") from None
        if self.cert is not None:
            try:
                # Without a password, or OpenSSL would ask for one on the terminal.
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
            except (ssl.SSLError, ValueError) as error:
                raise InvalidArgument(
                    f"tls_cert: {self.cert} and its key cannot be used: both in PEM, belonging "
                    f"together, the key without a password ({error})"
                ) from None
        return context


def tls_options() -> dict[str, Callable[[str], Any]]:
    """The options of TLS for :meth:`duly.url.URL.take_options`; then call :func:`take_tls`."""
    return dict(_OPTIONS)


def take_tls(options: dict[str, Any], *, always: bool = False) -> TLS | None:
    """Take the options of TLS out of those given; None where nothing is encrypted.

    ``always`` is true for a scheme that means TLS by its name, such as ``rediss://``.

    Raises:
        InvalidArgument: files without ``tls=true``, a key without a certificate, or ``tls=false``
            with a scheme that means TLS.
    """
    asked = options.pop("tls", None)
    files = {
        name.removeprefix("tls_"): options.pop(name)
        for name in _OPTIONS.keys() - {"tls"}
        if name in options
    }
    if always and asked is False:
        raise InvalidArgument("tls=false: this scheme means TLS; use the scheme without TLS")
    if not (always or asked):
        if files:
            raise InvalidArgument(f"tls_{min(files)} is given without tls=true")
        return None
    if "key" in files and "cert" not in files:
        raise InvalidArgument("tls_key is given without tls_cert")
    return TLS(**files)
