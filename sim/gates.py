"""Gates: short times, one after the other, in which detectors count while axes move; and what truly was so in each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.beam import Beam

DARK_EV = 10_000.0
"""Stands for an energy where no beam is reflected: nothing counts there."""


@dataclass(frozen=True, eq=False)
class Gates:
    """What truly was so during gates; times are those of one clock [s].

    Parameters
    ----------
    start_s, length_s : ndarray of float64, shape (gates,)
        When each began, and how long it was.
    sample_um : ndarray of float64, shape (gates, 2)
        Mean position of the sample stage, with all that shakes it (x, y) [µm].
    path_um : ndarray of float64, shape (gates, 2)
        How far it moved on (x, y) [µm].
    bragg : ndarray of float64, shape (gates,)
        Mean reading of the Bragg axis, without noise of its encoder [deg].
    rotation_deg : ndarray of float64, shape (gates,)
        Mean angle of the sample [deg].
    turn_deg : ndarray of float64, shape (gates,)
        How far the sample turned on [deg].
    moments_s : ndarray of float64, shape (moments,)
        When everything was looked at, ascending [s].
    moments : sequence of Readings, length (moments,)
        What the axes read then.
    """

    start_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    sample_um: NDArray[np.float64]
    path_um: NDArray[np.float64]
    bragg: NDArray[np.float64]
    rotation_deg: NDArray[np.float64]
    turn_deg: NDArray[np.float64]
    moments_s: NDArray[np.float64]
    moments: Sequence[Any]

    @property
    def middle_s(self) -> NDArray[np.float64]:
        """Middle of each gate [s]."""
        return self.start_s + self.length_s / 2

    def part(self, which: slice | NDArray[np.bool_]) -> "Gates":
        """Return some of the gates."""
        arrays = [one.name for one in fields(self) if not one.name.startswith("moments")]
        return replace(self, **{name: getattr(self, name)[which] for name in arrays})

    def between(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the moments, shape (moments, …), at the middle of the gates, shape (gates, …)."""
        columns = values.reshape(len(self.moments), -1).T
        found = [np.interp(self.middle_s, self.moments_s, column) for column in columns]
        return np.stack(found, axis=-1).reshape(self.start_s.size, *values.shape[1:])

    def energies(self, beam: Beam, source: np.random.Generator) -> NDArray[np.float64]:
        """Return the true photon energy in each gate, shape (gates,) [eV]; NaN where nothing is reflected."""
        mono, last = beam.monochromator, self.moments[-1]
        jitter = mono.jitter_urad * source.standard_normal(self.start_s.size)
        return mono.energies(self.bragg, last.time_s, last.thermal_jump_urad + jitter)

    def readings(self, gate: int) -> Any:
        """Return what the axes read in one gate: those that move at their means, the others as last looked at."""
        middle = self.middle_s[gate]
        near = self.moments[int(np.argmin(np.abs(self.moments_s - middle)))]
        x, y = self.sample_um[gate].tolist()
        return replace(
            near, bragg=float(self.bragg[gate]), rotation_deg=float(self.rotation_deg[gate]), sample_um=(x, y)
        )
