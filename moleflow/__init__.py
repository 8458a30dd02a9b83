"""Continual defect inspection with a frozen base flow and one expert per product.

Nothing is re-exported here: a DVC stage depends on the modules it imports, and only on those.
"""
