"""What messages, stores and transports are made of.

Asked by the public modules at the door, which hand on what is for users; by the wings too. There
is no path through it: each file stands for itself, and knows the public modules beneath it alone.
"""
