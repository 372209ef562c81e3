"""Plans: what a scientist runs, and the wrappers that keep it safe."""
