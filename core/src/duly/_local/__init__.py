"""How functions of users are called: what stands behind :mod:`duly.local`."""
