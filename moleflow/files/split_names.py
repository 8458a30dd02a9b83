"""Names of the splits of a product's images, in the index and in feature stores."""

SPLITS = ("train", "calibration", "test")
FEEDBACK = "feedback"  # images that were labeled after the product was learned; no stage learns from them
