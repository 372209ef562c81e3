"""A detector as areaDetector shows it: its driver, and the plugin that writes HDF5 files."""
