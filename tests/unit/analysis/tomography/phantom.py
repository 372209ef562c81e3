"""Spheres whose projections are known: chords of 2 √(r² − d²)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass
class Spheres:
    """Spheres of radius r at (x, y, z) about the axis [px], with an absorption per pixel each."""

    x: Numbers
    y: Numbers
    z: Numbers
    radius: Numbers
    absorption: Numbers

    @classmethod
    def random(cls, source: np.random.Generator, number: int, reach: float, height: float) -> "Spheres":
        angle, far = source.uniform(0, 2 * np.pi, number), reach * np.sqrt(source.uniform(0, 1, number))
        return cls(
            far * np.cos(angle),
            source.uniform(-height / 2, height / 2, number),
            far * np.sin(angle),
            source.uniform(3, 9, number),
            source.uniform(0.01, 0.03, number),
        )

    def projections(self, angles: Numbers, shape: tuple[int, int], centre: float) -> Numbers:
        """Optical densities, shape (n, Y, X), each pixel averaged over its width."""
        rows = np.arange(shape[0]) - (shape[0] - 1) / 2
        inner = (np.arange(4) + 0.5) / 4 - 0.5
        columns = (np.arange(shape[1])[:, None] + inner).ravel() - centre
        found = np.zeros((len(angles), *shape))
        for x, y, z, radius, absorption in zip(self.x, self.y, self.z, self.radius, self.absorption, strict=True):
            low, high = np.searchsorted(rows, [y - radius, y + radius])
            for number, angle in enumerate(np.deg2rad(angles)):
                at = x * np.cos(angle) + z * np.sin(angle)
                square = radius**2 - (rows[low:high, None] - y) ** 2 - (columns - at) ** 2
                chord = 2 * np.sqrt(np.maximum(square, 0))
                found[number, low:high] += absorption * chord.reshape(high - low, shape[1], 4).mean(axis=2)
        return found
