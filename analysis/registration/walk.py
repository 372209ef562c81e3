"""Where a sample was at each image of a series: what was measured, and that it has walked there from where it was.

A sample wanders by small steps, so where it was at one image also tells where it was at the next. Shifts that are
measured badly are drawn to their neighbours by this, and those that are measured well stay: a random walk is the prior,
with a variance that grows by q each second. The places are best linear unbiased predictions (G. K. Robinson,
Statistical Science 6, 15 (1991)). How fast the sample walks comes from the shifts, by their restricted likelihood (D.
A. Harville, J. Am. Stat. Assoc. 72, 320 (1977)): as few shifts tell it badly, all speeds √q are taken that are likely,
each by as much as it is. A sample that slips once, or creeps steadily, makes q large, and then the shifts are taken
much as they were measured.

Shifts are known but for a constant c, which is fitted. With D the places since the first image, T the time that two of
them have walked together, min(tᵢ, tⱼ), and V = q T + diag(σ²) the covariance of the shifts z,

    c = 1ᵀV⁻¹z / 1ᵀV⁻¹1,    D = A (z − c),    A = q T V⁻¹.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_positive

Numbers = NDArray[np.float64]

TRIED = 61
"""Values of q: steps of a factor of about 1.3, finer than q is ever known."""


@dataclass(frozen=True, eq=False)
class Walk:
    """Where a sample was at each image.

    Parameters
    ----------
    places : ndarray of float64, shape (n, 2)
        Against the first image, along y and x [px].
    errors : ndarray of float64, shape (n, 2)
        Their standard errors; 0 of the first.
    apart : ndarray of float64, shape (n, 2)
        How well it is known where each image lies against all of them together, one standard error [px]; `errors` hold
        how well the first one is known too, so they are larger but for its next neighbours.
    px_per_root_s : float
        How fast it walks, by the mean of what is likely: the root mean square after one second, along each axis [px].
    """

    places: Numbers
    errors: Numbers
    apart: Numbers
    px_per_root_s: float


def walk_of(times: ArrayLike, shifts: ArrayLike, errors: ArrayLike) -> Walk:
    """Return where a sample was at each image of a series.

    Parameters
    ----------
    times : array_like, shape (n,)
        When each image was taken, in any order [s].
    shifts : array_like, shape (n, 2)
        Along y and x [px], all but for one constant; NaN in both where none is to be believed.
    errors : array_like, shape (n, 2)
        Their standard errors, by the noise of each image alone [px].

    Raises
    ------
    OutOfRange
        If shapes do not go together, two images are of one time, fewer than two shifts are known, or an error is not
        positive.
    """
    t, z, sigma = np.asarray(times, float), np.asarray(shifts, float), np.asarray(errors, float)
    if z.shape != (t.size, 2) or sigma.shape != z.shape:
        raise OutOfRange("number of shifts", float(len(z)), f"must be that of the times, {t.size}, along two axes")
    known = np.isfinite(z).all(axis=1)
    require(int(known.sum()), known.sum() >= 2, "number of known shifts", "must be at least 2")
    require_positive(np.diff(np.sort(t)), "time from image to image", "s")
    require_positive(sigma[known], "standard error of a shift", "px")
    since = t - t[0]
    together = np.where(np.sign(since)[:, None] == np.sign(since), np.minimum.outer(np.abs(since), np.abs(since)), 0.0)
    axes = [_Axis(together, known, z[known, axis], sigma[known, axis]) for axis in range(2)]
    finest = 1e-3 * float(sigma[known].min()) ** 2 / float(np.ptp(t))
    largest = float(np.ptp(z[known], axis=0).max()) + float(sigma[known].max())
    tried = np.geomspace(finest, 10 * largest**2 / float(np.diff(np.sort(t)).min()), TRIED)
    return _averaged(axes, tried)


def _averaged(axes: list["_Axis"], tried: Numbers) -> Walk:
    """Return what walks of several q tell, each by as much as it is likely; errors hold how they differ."""
    unlikely = np.array([sum(one.unlikely(q) for one in axes) for q in tried])
    # speeds are equally likely beforehand, and of those that are tried each stands for more the faster it is
    share = np.sqrt(tried) * np.exp(unlikely.min() - unlikely)
    share /= share.sum()
    found = np.array([[one.predicted(q) for one in axes] for q in tried])
    each, errors, apart = (found[:, :, what].swapaxes(1, 2) for what in range(3))  # speeds, images, axes
    places = np.tensordot(share, each, axes=1)
    differ = each - places
    within = differ - differ.mean(axis=1, keepdims=True)
    return Walk(
        places,
        np.sqrt(np.tensordot(share, errors**2 + differ**2, axes=1)),
        np.sqrt(np.tensordot(share, apart**2 + within**2, axes=1)),
        float(share @ np.sqrt(tried)),
    )


@dataclass(frozen=True, eq=False)
class _Axis:
    """The shifts along one axis, shape (m,) of those `known`, with the part of the covariance that time has."""

    together: Numbers
    known: NDArray[np.bool_]
    shifts: Numbers
    errors: Numbers

    def unlikely(self, q: float) -> float:
        """Return minus the logarithm of the restricted likelihood, but for a constant."""
        inverse, ones, constant = self._solved(q)
        off = self.shifts - constant
        _, size = np.linalg.slogdet(inverse)
        return 0.5 * float(off @ inverse @ off - size + np.log(ones))

    def predicted(self, q: float) -> tuple[Numbers, Numbers, Numbers]:
        """Return places, their errors, and how well each image is known against all, shape (n,) each."""
        inverse, ones, constant = self._solved(q)
        prior = q * self.together
        gain = prior[:, self.known] @ inverse
        left = np.maximum(np.diag(prior) - np.einsum("ij,ij->i", gain, prior[:, self.known]), 0.0)
        total = gain.sum(axis=1)
        errors, apart = (np.sqrt(left + part**2 / ones) for part in (total, 1 - total))
        return gain @ (self.shifts - constant), errors, apart

    def _solved(self, q: float) -> tuple[Numbers, float, float]:
        covariance = q * self.together[np.ix_(self.known, self.known)] + np.diag(self.errors**2)
        inverse = np.asarray(np.linalg.inv(covariance), np.float64)
        ones = float(inverse.sum())
        return inverse, ones, float(inverse.sum(axis=0) @ self.shifts) / ones
