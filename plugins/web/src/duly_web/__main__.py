"""``python -m duly_web``, the same as ``duly web``."""

from duly_web.command import web

web()
