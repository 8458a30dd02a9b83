"""params.yaml, registries and errors; no numpy, no torch."""
