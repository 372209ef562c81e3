"""Where a beamline is put together: its description, and what is built from it."""
