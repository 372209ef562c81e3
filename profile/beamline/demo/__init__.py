"""The demonstration: a run on a simulated beamline from calibration to a page of results, scored against its truth."""
