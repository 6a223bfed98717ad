"""The command ``duly``: what is scheduled, why, and what to do about it.

Further commands come from plugins that implement the hook ``duly_commands``: see
:func:`duly_cli.verbs.verb`.
"""

from duly_cli.desk import Desk
from duly_cli.verbs import filtered, verb

__all__ = ["Desk", "filtered", "verb"]
