"""Data sets: one module per layout, the check for bad input, and the demo products."""
