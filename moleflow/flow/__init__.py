"""The density: positions, alignments, context, couplings, DIA and their assembly."""
