"""A position-capture box: it compares positions, triggers detectors, and writes what was so at each pulse."""
