"""What messages, stores and transports are made of.

Used by the public modules, which export what is for users, and by the other wings. The files here
are independent: each knows only the public modules beneath it.
"""
