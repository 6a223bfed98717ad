"""The verbs of callers, from their arguments to one call of the store.

Asked by :mod:`duly.client`, and by the engine for its own calls. ``options`` and ``arguments`` are
checked; ``scheduling``, ``changes`` and ``lookup`` are the verbs; ``intake`` gathers what is
scheduled at the same time; ``calls`` asks the store in time and looks at its answer.
"""
