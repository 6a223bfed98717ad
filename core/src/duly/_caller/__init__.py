"""The verbs of callers, from their arguments to one call of the store.

Used by :mod:`duly.client`, and by the engine for its own calls. ``options`` and ``arguments`` check
what is given. ``scheduling``, ``changes``, ``replaying``, ``ensuring``, ``lookup`` and
``overview`` are the verbs. ``intake`` gathers what is scheduled at the same time, ``walking`` finds
what a filter asks for, and ``calls`` calls the store under a time limit and checks its answer.
"""
