"""Reading and writing files, each whole or not at all, and their paths; zarr and h5py are imported here alone."""
