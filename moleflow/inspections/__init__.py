"""What `moleflow predict` does around the inspector: which images, what is said of each, pictures of it."""
