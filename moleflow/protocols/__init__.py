"""Presets and scenarios, which write params.yaml; no stage imports them."""
