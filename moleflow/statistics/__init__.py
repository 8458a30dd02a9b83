"""Statistics: what an expert says of patches."""
