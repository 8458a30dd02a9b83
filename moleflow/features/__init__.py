"""Features: from raw maps to standardized patch features, memory banks and prototypes."""
