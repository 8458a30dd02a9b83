"""Continual defect inspection with a frozen base flow and one expert per product."""
