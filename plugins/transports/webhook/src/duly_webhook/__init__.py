"""The webhook transport of duly: due messages as signed CloudEvents over HTTP."""

from duly_webhook.reading import read
from duly_webhook.transport import WebhookTransport

__all__ = ["WebhookTransport", "read"]
