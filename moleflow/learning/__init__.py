"""Learning: the loss, training, and which images take part."""
