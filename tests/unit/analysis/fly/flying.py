"""A fly raster with a known truth: a textured sample, a stage that lags and trembles, an interferometer with noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Numbers = NDArray[np.float64]

SUB = 16
"""Moments of a gate at which the truth is sampled."""


@dataclass
class Flown:
    """Columns of a capture table, shape (lines, pulses), and the truth behind them."""

    seed: int
    lines: int = 60
    pulses: int = 80
    step_um: float = 0.02
    gate_s: float = 1e-3
    counts: float = 2000.0
    noise_um: float = 0.0005
    vibration_um: float = 0.003
    lag_s: float = 2e-3
    snake: bool = True
    offset_um: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.source = np.random.default_rng(self.seed)
        margin = 12
        # finer than the pixels, so that what a gate sees is the mean over its path; as smooth as a probe leaves it
        size = (4 * (self.lines + 2 * margin), 4 * (self.pulses + 2 * margin))
        texture = gaussian_filter(np.random.default_rng(7).standard_normal(size), 6, mode="wrap")
        self.fine = 1 + 0.5 * (texture - texture.mean()) / np.abs(texture - texture.mean()).max()
        self.margin = margin
        self.fly()

    def sample(self, y: Numbers, x: Numbers) -> Numbers:
        """Signal per incident photon at places [µm]."""
        rows, columns = (4 * (one / self.step_um + self.margin) for one in (y, x))
        return np.asarray(map_coordinates(self.fine, [rows, columns], order=3, mode="nearest"))

    def fly(self) -> None:
        shape = (self.lines, self.pulses)
        along = np.where(
            (np.arange(self.lines) % 2 == 1)[:, None] & self.snake,
            self.pulses - 1 - np.arange(self.pulses)[None],
            np.arange(self.pulses)[None] + np.zeros((self.lines, 1), int),
        )
        self.column = along
        direction = np.where(np.arange(self.lines) % 2 == 1, -1.0, 1.0) if self.snake else np.ones(self.lines)
        part = (np.arange(SUB) + 0.5) / SUB - 0.5
        time = (np.arange(self.lines)[:, None, None] * 1.3 * self.pulses + np.arange(self.pulses)[None, :, None]) + part
        time = time * self.gate_s
        speed = self.step_um / self.gate_s

        def trembling(phase: float) -> Numbers:
            waves = [np.sin(2 * np.pi * (one * time + phase * one)) for one in (40.0, 120.0)]
            return np.asarray(self.vibration_um * sum(waves))

        nominal = self.step_um * (along[..., None] + direction[:, None, None] * part)
        # triggers come by the clock, so the stage is late by its lag
        lag = direction[:, None, None] * speed * self.lag_s
        true_x = nominal - lag + trembling(0.13) + self.offset_um[1]
        true_y = self.step_um * np.arange(self.lines)[:, None, None] + trembling(0.31) + self.offset_um[0]
        self.true_y, self.true_x = true_y.mean(axis=-1), true_x.mean(axis=-1)
        noise = self.noise_um * np.sqrt(1e-3 / self.gate_s)
        self.y, self.x = (one + noise * self.source.standard_normal(shape) for one in (self.true_y, self.true_x))
        # single readings at the ends of the gate
        begin, end = (self.true_x + half * self.step_um * direction[:, None] for half in (-0.5, 0.5))
        self.x_start, self.x_end = (one + noise * self.source.standard_normal(shape) for one in (begin, end))
        self.dwell = np.full(shape, self.gate_s)
        self.beam = self.counts * (1 + 0.05 * np.sin(np.arange(self.lines)))[:, None] * np.ones(shape)
        self.expected = self.beam * self.sample(true_y, true_x).mean(axis=-1)
        self.incident = self.source.poisson(50 * self.beam).astype(float)
        self.signal = self.source.poisson(self.expected).astype(float)

    def truth(self, y: Numbers, x: Numbers, pixel_um: float) -> Numbers:
        """Signal per incident photon of the pixels of a grid, averaged over each."""
        inner = ((np.arange(8) + 0.5) / 8 - 0.5) * pixel_um
        down, along = ((one[:, None] + inner).ravel() for one in (y, x))
        fine = self.sample(*np.meshgrid(down, along, indexing="ij"))
        return np.asarray(fine.reshape(y.size, 8, x.size, 8).mean(axis=(1, 3)))
