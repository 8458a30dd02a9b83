"""Images and masks in the backbone's view, and the table that lists them."""
