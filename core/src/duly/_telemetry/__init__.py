"""What is told to the outside: spans, metrics and log lines.

Used by callers and by the engine. ``telemetry`` sees whether anybody listens; what is then told of
one batch is in ``observed``, and written by ``spans`` and ``metrics``. ``logging`` is for all.
"""
