"""Which plugins there are, what each offers, and who is told.

Used by clients and schedulers, for a URL, a decision or an observer. ``installed`` finds entry
points, ``loading`` imports what is needed, ``implemented`` and ``schemes`` say what it offers, and
``registry`` answers the rest of duly.
"""
