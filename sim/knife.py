"""A knife beside the sample: an opaque blade with upright edges, for measuring the spot and finding the focus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

SHORTEST = 1e-5
"""A path of less than this share of the spot's σ is none: its integral would lose its digits."""


@dataclass(frozen=True)
class Knife:
    """An opaque blade in the plane of the sample, which it moves with. It is so thin that it has no sides.

    Parameters
    ----------
    x_um : float
        Its left edge, in the frame of the sample [µm].
    width_um : float
        From there to its right edge [µm].
    """

    x_um: float
    width_um: float

    def passing(self, place_um: ArrayLike, sigma_nm: ArrayLike, path_um: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Return the share of spots that passes the blade, averaged along their paths.

        Parameters
        ----------
        place_um : array_like
            Middle of each path in x [µm].
        sigma_nm : array_like
            Gaussian σ of the spot in x [nm].
        path_um : array_like
            How far the sample moves meanwhile in x [µm].

        Returns
        -------
        ndarray of float64
            From 0 to 1. For a spot at distance d of an edge that is Φ(d/σ); along a path it is the mean of that, by its
            integral uΦ(u) + φ(u).
        """
        sigma = 1e-3 * np.asarray(sigma_nm, np.float64)
        place, half = np.asarray(place_um, np.float64) / sigma, np.asarray(path_um, np.float64) / (2 * sigma)
        left, right = self.x_um / sigma, (self.x_um + self.width_um) / sigma
        passing = 1 - _mean_beyond(place - left, half) + _mean_beyond(place - right, half)
        return np.asarray(np.clip(passing, 0.0, 1.0))  # the difference of two integrals is not exact


def _mean_beyond(place: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of Φ from place − half to place + half, all in σ."""
    half = np.abs(half)
    long = np.maximum(half, SHORTEST)
    mean: NDArray[np.float64] = (_integral(place + long) - _integral(place - long)) / (2 * long)
    return np.where(half < SHORTEST, ndtr(place), mean)


def _integral(u: NDArray[np.float64]) -> NDArray[np.float64]:
    integral: NDArray[np.float64] = u * ndtr(u) + np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    return integral
