"""From a claim to its settlement.

Used only by :mod:`duly.scheduler`. ``loop`` decides when, ``claims`` and ``delivery`` in what
order; ``workers`` and ``lanes`` who gets a slot; ``in_hand`` and ``leases`` keep a claim until
``verdicts`` and ``settlements`` say how it is settled. ``outage`` and ``probing`` wait for a
transport that is away.
"""
