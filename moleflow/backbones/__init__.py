"""Frozen backbones: loading them, folding their normalizations, running them over images."""
