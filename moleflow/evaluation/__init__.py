"""Evaluation: predictions against the truth, forgetting, unknown products, and the probe."""
