"""Tables, keys, collections and functions: what each store makes where it keeps messages."""

import json

from duly_mongo.schema import INDEXES
from duly_postgres import ddl, ddl_function
from duly_postgres.names import Names
from duly_redis import keys
from duly_sqlite import schema
from extensions.tables import table

NAMES = Names("duly_messages", "public")


def of_sqlite() -> str:
    """All statements, version by version."""
    return _sql([statement for step in schema.STEPS for statement in step], "sql")


def of_postgresql() -> str:
    """The same, but for the function, which callers care about and has a place of its own."""
    statements = [each for step in ddl.STEPS for each in step if each != ddl_function.SCHEDULE]
    return _sql([NAMES(each) for each in (*statements, *ddl.AFTERWARDS)])


def sql_function() -> str:
    """The function by which callers of any language schedule: its head."""
    return _sql([NAMES(ddl_function.SCHEDULE).partition("\nLANGUAGE")[0]])


def of_redis() -> str:
    """The keys of a store with one shard."""
    shard = keys.Shard("duly:", "duly:")
    rows = [(f"`{key.decode()}`", "each shard") for key in shard.keys]
    rows.append((f"`{keys.meta_key('duly:')}`", "the store"))
    rows.append((f"`{keys.wake_channel('duly:')}`", "the store; a channel, nothing is kept"))
    return table(("key", "one for"), *rows)


def of_mongodb() -> str:
    """The indexes of the collection."""
    rows = [
        (f"`{name}`", f"`{json.dumps(index['key'])}`", "sparse" if index.get("sparse") else "")
        for name, index in INDEXES.items()
    ]
    return table(("index", "on", ""), *rows)


def _sql(statements: list[str], lexer: str = "postgresql") -> str:
    return "\n".join([f"```{lexer}", *(f"{each};\n" for each in statements), "```", ""])
