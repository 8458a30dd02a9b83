"""Where arithmetic runs, and in which precision."""
