"""How a piezo in closed loop follows its command: it lags behind, and its servo ripples while it moves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from whiteline.sim.course import Course

FULL_RIPPLE_UM_PER_S = 1.0
"""Velocity from which on the ripple has its full size [µm/s]."""

LAGS_BEFORE = 12.0
"""A command this many lags ago is forgotten: e⁻¹² of it is left."""


@dataclass(frozen=True)
class Servo:
    """The closed loop of a piezo.

    Parameters
    ----------
    lag_s : float
        Time constant of the first-order lag: at a velocity v the stage is v · lag behind its command [s].
    ripple_nm : float
        Root mean square of the ripple while it moves [nm].
    ripple_Hz : float
        Its frequency [1/s].
    """

    lag_s: float
    ripple_nm: float
    ripple_Hz: float

    @property
    def before_s(self) -> float:
        """How long before a time the command must be known [s]."""
        return LAGS_BEFORE * self.lag_s

    def followed(self, command: Course) -> NDArray[np.float64]:
        """Return where the stage is, in the unit of a command in µm, at the samples of the command.

        Exact for a command that is straight between its samples. The stage is taken to have been at rest at the first
        of them, so that it must be `before_s` older than what is asked for.

        Parameters
        ----------
        command : Course
            Of the stage [µm].

        Returns
        -------
        ndarray of float64, shape (samples,)
            [µm]
        """
        places, step = command.values, command.step_s
        if self.lag_s:
            kept = np.exp(-step / self.lag_s)
            ramp = 1 - self.lag_s * (1 - kept) / step
            # y₁ = kept y₀ + (1 − kept) u₀ + ramp (u₁ − u₀), for an input u that is straight between its samples
            first = places[0]
            lagging, _ = lfilter([ramp, 1 - kept - ramp], [1.0, -kept], places - first, zi=np.zeros(1))
            lagging += first
        else:
            lagging = places.copy()
        speed = np.abs(np.gradient(places, step))
        size = np.sqrt(2) * 1e-3 * self.ripple_nm * np.minimum(speed / FULL_RIPPLE_UM_PER_S, 1.0)
        return np.asarray(lagging + size * np.sin(2 * np.pi * self.ripple_Hz * command.times_s))
