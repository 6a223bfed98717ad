"""Real servers for the tests: the user's, the machine's, or of the tests' own."""
