"""The SQLite store of duly."""
