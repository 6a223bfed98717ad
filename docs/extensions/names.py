"""What a docstring or signature names is found under its public name.

Classes are kept in wings of the core and shown at its door; what is public nowhere, and what others
have made, has no page here and is no mistake.
"""

from docutils.nodes import Element, TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import duly


def setup(app: Sphinx) -> dict[str, bool]:
    """Be asked for what was not found."""
    app.connect("missing-reference", found_at_the_door)
    app.connect("warn-missing-reference", known_to_be_elsewhere)
    return {"parallel_read_safe": True}


def found_at_the_door(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: TextElement
) -> Element | None:
    """A link to ``duly.Message`` for ``duly._values.message.Message`` or for ``Message``."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].removesuffix("()")
    python = env.domains.python_domain
    for module in ("duly", "duly.store", "duly.transport", "duly.testing", "duly.sync"):
        public = f"{module}.{name.rpartition('.')[2]}"
        if public in python.objects:
            entry = python.objects[public]
            return make_refnode(
                app.builder, node["refdoc"], entry.docname, entry.node_id, [contents]
            )
    return None


def known_to_be_elsewhere(app: Sphinx, domain: object, node: pending_xref) -> bool | None:
    """No warning for a name of Python's or a driver's; for one of the public API there is."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].rpartition(".")[2]
    return None if name in duly.__all__ else True
