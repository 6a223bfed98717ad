"""The parts of the memory store."""
