"""duly beside its bare ceilings and its peers, on the same servers in the same run."""
