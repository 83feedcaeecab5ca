"""Ground floor: token files, packing, the order of samples, caches and file reading."""
