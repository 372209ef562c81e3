"""Synthetic frames with a known shift: textured spheres, moved exactly by their Fourier transform, then counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

MARGIN = 48


@dataclass(frozen=True)
class Scene:
    """A sample under a microscope: frames of it, with its content moved."""

    source: np.random.Generator
    side: int
    density: Floats

    @classmethod
    def of(cls, source: np.random.Generator, side: int) -> "Scene":
        """Textured spheres on a field with a margin, so that new content drifts into the frame."""
        length = side + 2 * MARGIN
        rows, columns = np.mgrid[:length, :length]
        density = np.zeros((length, length))
        for _ in range(length * length // 2200):
            (y, x), radius = source.uniform(0, length, 2), source.uniform(6, 18)
            density += 0.5 * np.sqrt(np.clip(radius**2 - (rows - y) ** 2 - (columns - x) ** 2, 0, None)) / radius
        texture = ndimage.gaussian_filter(source.standard_normal(density.shape), 2)
        density *= 1 + 0.15 * texture / texture.std()
        return cls(source, side, ndimage.gaussian_filter(np.clip(density, 0, 2), 1.2))

    def exact(self, shift: tuple[float, float] = (0.0, 0.0)) -> Floats:
        """Optical density, its content moved."""
        y, x = (np.fft.fftfreq(length) for length in self.density.shape)
        phase = np.exp(-2j * np.pi * (y[:, None] * shift[0] + x[None] * shift[1]))
        whole = np.fft.ifft2(np.fft.fft2(self.density) * phase).real
        inside = slice(MARGIN, MARGIN + self.side)
        return np.asarray(whole[inside, inside])

    def counted(self, density: Floats, counts: float = 20_000) -> NDArray[np.float32]:
        """Measured optical density at so many counts without sample."""
        counted = np.maximum(self.source.poisson(counts * np.exp(-density)), 1)
        return (-np.log(counted / counts)).astype(np.float32)

    def frame(
        self, shift: tuple[float, float] = (0.0, 0.0), *, contrast: float = 1.0, counts: float = 20_000
    ) -> NDArray[np.float32]:
        """A noisy frame, its content moved, its contrast changed."""
        return self.counted(contrast * self.exact(shift), counts)

    def pattern(self, relative_rms: float) -> Floats:
        """What an imperfect flat leaves in every frame, as optical density."""
        shape = (self.side, self.side)
        grain = self.source.standard_normal(shape)
        grain += 18 * ndimage.gaussian_filter(self.source.standard_normal(shape), 3)
        return np.asarray(relative_rms * grain / grain.std())


@pytest.fixture
def scene(seed: int) -> Callable[..., Scene]:
    """Make scenes of some side, each another, all from one fresh seed."""
    source = np.random.default_rng(seed)
    return lambda side=128: Scene.of(source, side)
