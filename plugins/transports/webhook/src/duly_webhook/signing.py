"""Signatures as in Standard Webhooks 1.0: with the secret one can check that a request is ours.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from duly.errors import InvalidArgument
from duly_webhook.headers import attribute

__all__ = ["keys_of", "signature_headers"]

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes, by the specification


def keys_of(secrets: Sequence[str]) -> Sequence[bytes]:
    """The keys in secrets as they are usually written, ``whsec_`` and base64.

    Raises:
        InvalidArgument: not base64, or not 24 to 64 bytes; the text does not show the secret.
    """
    keys = []
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _SHORTEST <= len(key) <= _LONGEST:
            raise InvalidArgument(
                f"secret: it is {_PREFIX} and {_SHORTEST} to {_LONGEST} random bytes in base64; in "
                "a URL percent-encode its special characters"
            )
        keys.append(key)
    return keys


def signature_headers(
    keys: Sequence[bytes], delivery_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of a signature; ``timestamp`` in seconds since 1970, one signature for each key.

    The id is encoded, full stops too, because they separate the parts that are signed.
    """
    id = attribute(delivery_id).replace(".", "%2E")
    signed = f"{id}.{timestamp}.".encode() + body
    digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in digests),
    }
