"""Motor records that behave like those of EPICS."""
