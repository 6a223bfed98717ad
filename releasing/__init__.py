"""What makes a release: one version in all places, a section of the changelog, and sums."""
