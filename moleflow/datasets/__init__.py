"""Data sets: one module per layout, the gate for bad input, and the demo products."""
