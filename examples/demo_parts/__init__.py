"""The parts of the demonstration in ``demo.py``."""
