"""Calibration by normal images alone: p-values, thresholds, and how surprising a value is."""
