"""The pages: what a person looks at, rendered here, of the same resources as the API."""

from duly_web.pages.look import Pages

__all__ = ["Pages"]
