"""Python's task queues doing the same: delayed jobs that do nothing, each queue on its own."""
