"""Where each pixel of a fly scan was, and how well that is known, from what was captured over its gate.

A gate is the time from one trigger to the next, or shorter. The capture box averages the interferometer over it, so the
mean holds all that truly moved: following error and vibration are motion that the interferometer sees, and no noise.
What is left is the noise of the interferometer itself, which a longer gate averages down.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require, require_positive

Numbers = NDArray[np.float64]

NOISE_BANDWIDTH_HZ = 1000.0
"""Rate at which the noise of a position channel is given: readings of one millisecond each [Hz]."""


@dataclass(frozen=True, eq=False)
class PixelPositions:
    """Positions of one axis, a line of pixels a row: shape (lines, pulses) each; NaN where a pulse did not come.

    Parameters
    ----------
    mean : ndarray of float64
        Over the gate.
    error : ndarray of float64
        Standard error of the mean.
    travelled : ndarray of float64
        From the begin to the end of the gate, with its sign: over so much the pixel is smeared.
    """

    mean: Numbers
    error: Numbers
    travelled: Numbers


def mean_position_error(gate_s: ArrayLike, noise: float) -> Numbers:
    """Return the standard error of a position that is averaged over a gate.

    White noise that is σ in readings of τ = 1 ms is σ √(τ/T) in a mean over T.

    Parameters
    ----------
    gate_s : array_like
        Length of each gate [s].
    noise : float
        RMS of readings of one millisecond, in the unit of the position.

    Returns
    -------
    ndarray of float64
        Shape of `gate_s`, in the unit of `noise`; NaN where there is no gate.

    Raises
    ------
    OutOfRange
        If the noise is negative or no finite number.
    """
    require(
        noise, np.isfinite(noise) and noise >= 0, "noise of a position channel", "must be a finite number from 0 on"
    )
    gate = np.asarray(gate_s, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(gate > 0, noise / np.sqrt(gate * NOISE_BANDWIDTH_HZ), np.nan)


def pixel_positions(
    mean: ArrayLike, start: ArrayLike, end: ArrayLike, gate_s: ArrayLike, *, noise: float
) -> PixelPositions:
    """Return the positions of pixels with their standard error.

    Parameters
    ----------
    mean, start, end : array_like, shape (lines, pulses)
        Position over the gate, at its begin and at its end.
    gate_s : array_like, shape (lines, pulses)
        Length of each gate [s].
    noise : float
        RMS of readings of one millisecond, in the unit of the position.

    Raises
    ------
    OutOfRange
        As `mean_position_error`.
    ValueError
        If the shapes differ.
    """
    middle, first, last, gate = (np.asarray(one, float) for one in (mean, start, end, gate_s))
    _require_same_shape(middle, first, last, gate)
    error = mean_position_error(gate, noise)
    return PixelPositions(middle, np.where(np.isnan(middle), np.nan, error), last - first)


def during_exposure(positions: PixelPositions, gate_s: ArrayLike, exposure_s: float, *, noise: float) -> PixelPositions:
    """Return the positions of a detector that counts only the first part of each gate, as one with a readout time.

    Within a gate the stage moves as good as uniformly, so the mean of the first part, a share f, lies before that of
    the whole gate by (1 − f)/2 of what was travelled. How far it travelled is the difference of two readings, the noise
    of which adds to that of the mean.

    Parameters
    ----------
    positions : PixelPositions
        Over the whole gate.
    gate_s : array_like, shape (lines, pulses)
        Length of each gate [s].
    exposure_s : float
        From the begin of the gate on [s]; not more than the gate.
    noise : float
        RMS of readings of one millisecond, in the unit of the position.

    Raises
    ------
    OutOfRange
        If the exposure is not positive, or longer than a gate.
    ValueError
        If the shapes differ.
    """
    gate = np.asarray(gate_s, float)
    _require_same_shape(positions.mean, gate)
    require_positive(exposure_s, "exposure", "s")
    shortest = float(np.nanmin(gate)) if np.isfinite(gate).any() else np.inf
    require(
        exposure_s,
        exposure_s <= shortest * (1 + 1e-6),
        "exposure",
        f"must not be longer than the shortest gate, {shortest:.6g} s",
        "s",
        "it would run on into the next pixel",
    )
    late = (1 - np.minimum(exposure_s / gate, 1)) / 2
    error = np.hypot(positions.error, late * np.sqrt(2) * noise)
    share = 1 - 2 * late
    return PixelPositions(positions.mean - late * positions.travelled, error, share * positions.travelled)


def _require_same_shape(*arrays: Numbers) -> None:
    shapes = {one.shape for one in arrays}
    if len(shapes) > 1:
        raise ValueError(f"columns of one capture table must have one shape, not {sorted(shapes)}")
