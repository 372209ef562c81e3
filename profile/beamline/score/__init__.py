"""How right a run on a simulated beamline is: scored against what the twin knows, and against what is possible."""
