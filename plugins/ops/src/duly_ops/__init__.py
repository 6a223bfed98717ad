"""Probes, health and metrics of a duly scheduler over HTTP, and notifications for systemd.

Given to a scheduler as ``plugins=[Ops("127.0.0.1:9464")]``.
"""

from duly_ops.plugin import Ops

__all__ = ["Ops"]
