"""Results as tables, as a page, and beside each other."""
