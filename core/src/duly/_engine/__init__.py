"""From a claim to its settlement.

Asked by :mod:`duly.scheduler` alone, to run. ``loop`` says when, ``claims`` and ``delivery`` in
what order; ``workers`` and ``lanes`` who gets a slot; ``in_hand`` and ``leases`` keep a claim until
``verdicts`` and ``settlements`` say how it is settled. ``outage`` and ``probing`` wait for what is
away.
"""
