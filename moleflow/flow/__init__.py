"""The density: positions, adapters, context, couplings and their assembly."""
