"""What duly-sqlite offers to duly."""
