"""Tables that are made from the code whenever the site is built: ``{made} metrics``."""

from collections.abc import Callable, Mapping

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from extensions import commands, logs, metrics, places, urls

KINDS: Mapping[str, Callable[[], str]] = {
    "commands": commands.markdown,
    "logs": logs.markdown,
    "metrics": metrics.markdown,
    "mongodb": places.of_mongodb,
    "postgresql": places.of_postgresql,
    "redis": places.of_redis,
    "sql-function": places.sql_function,
    "sqlite": places.of_sqlite,
    "stores": urls.of_stores,
    "transports": urls.of_transports,
}


class Made(SphinxDirective):
    """The Markdown that one of the kinds makes."""

    required_arguments = 1

    def run(self) -> list[Node]:
        return self.parse_text_to_nodes(KINDS[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the directive."""
    app.add_directive("made", Made)
    return {"parallel_read_safe": True}
