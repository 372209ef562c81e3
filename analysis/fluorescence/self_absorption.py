"""Fluorescence that a layer shades and absorbs itself.

In a homogeneous layer of thickness t, the beam enters at the angle φ and the line leaves at the angle ψ, both between
its direction and the surface. Photons from the depth z are fewer by exp(−(μ / sin φ + μ_f / sin ψ) z), and the mean of
that over the layer is

    (1 − e⁻ᵃ) / a,    a = (μ(E) / sin φ + μ_f / sin ψ) t,

with the attenuation μ at the photon energy and μ_f at that of the line (L. Tröger et al., Phys. Rev. B 46, 3283
(1992)).

Across an edge μ(E) holds the very absorption that is sought, so that a white line is flattened more than what is beside
it. For a layer of known thickness this can be undone: `layer_fluorescence` grows steadily with the absorption of the
element, and `element_absorption` is its inverse.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require, require_positive
from whiteline.analysis.maps.map import Map

Array = NDArray[Any]

MOST_STEPS = 60
"""Newton's steps after which a solution is given up; eight are enough wherever there is one."""


def escape(mu: ArrayLike, mu_line: ArrayLike, thickness_um: ArrayLike, incidence_deg: float, exit_deg: float) -> Array:
    """Return the share of the fluorescence of a layer that is neither shaded nor absorbed, (1 − e⁻ᵃ) / a.

    Parameters
    ----------
    mu, mu_line : array_like
        Attenuation of the layer for the beam and for the line [1/µm].
    thickness_um : array_like
        Thickness [µm]; 0 gives 1.
    incidence_deg, exit_deg : float
        Angles between the surface and the beam, and the direction of the detector [deg]; 90 is normal.

    Raises
    ------
    OutOfRange
        If an attenuation or thickness is negative or not finite, or an angle not above 0 and up to 90 deg.
    """
    inwards, outwards = _paths(incidence_deg, exit_deg)
    for values, name, unit in (
        (mu, "attenuation for the beam", "1/µm"),
        (mu_line, "attenuation for the line", "1/µm"),
        (thickness_um, "thickness", "µm"),
    ):
        array = np.asarray(values, float)
        require(array, np.isfinite(array) & (array >= 0), name, "must be finite and not negative", unit)
    return _mean_of_decay(
        (np.asarray(mu, float) * inwards + np.asarray(mu_line, float) * outwards) * np.asarray(thickness_um, float)
    )


def correct_layer(
    counts: Map, mu: float, mu_line: float, thickness_um: ArrayLike, incidence_deg: float, exit_deg: float
) -> Map:
    """Return a map as a thin sample of the same atoms would have given it, and its error.

    Parameters
    ----------
    counts : Map
        Counts of a line.
    mu, mu_line : float
        Attenuation of the layer for the beam and for the line [1/µm].
    thickness_um : array_like, shape (Y, X) or a number
        Thickness, taken as known [µm]; NaN or negative where it is not, and the pixel is not valid.
    incidence_deg, exit_deg : float
        As in `escape` [deg].

    Raises
    ------
    OutOfRange
        As `escape`, but for the thickness.
    """
    thickness = np.broadcast_to(np.asarray(thickness_um, float), counts.value.shape)
    known = np.isfinite(thickness) & (thickness >= 0)
    share = escape(mu, mu_line, np.where(known, thickness, 0.0), incidence_deg, exit_deg)
    name = f"{counts.name}, self-absorption corrected"
    return Map.masked(name, counts.unit, counts.value / share, counts.error / share, counts.valid & known)


def layer_fluorescence(
    mu_element: ArrayLike,
    mu_rest: ArrayLike,
    mu_line: float,
    thickness_um: float,
    incidence_deg: float,
    exit_deg: float,
) -> Array:
    """Return the fluorescence of a layer per incident photon, over yield and solid angle: μ_x t / sin φ (1 − e⁻ᵃ) / a.

    Parameters
    ----------
    mu_element : array_like, shape (E,)
        Absorption by the edge that fluoresces [1/µm].
    mu_rest : array_like, shape (E,)
        Attenuation by everything else [1/µm].
    mu_line : float
        Attenuation for the line [1/µm].
    thickness_um : float
        Thickness [µm].
    incidence_deg, exit_deg : float
        As in `escape` [deg].

    Raises
    ------
    OutOfRange
        As `escape`.
    """
    inwards, _ = _paths(incidence_deg, exit_deg)
    own = np.asarray(mu_element, float)
    whole = own + np.asarray(mu_rest, float)
    return own * thickness_um * inwards * escape(whole, mu_line, thickness_um, incidence_deg, exit_deg)


def element_absorption(
    fluorescence: ArrayLike,
    mu_rest: ArrayLike,
    mu_line: float,
    thickness_um: float,
    incidence_deg: float,
    exit_deg: float,
) -> Array:
    """Return the absorption of the edge [1/µm] that gives a layer its fluorescence; undoes `layer_fluorescence`.

    Parameters
    ----------
    fluorescence : array_like, shape (E,)
        Photons of the line per incident photon, over yield and solid angle: between 0 and 1.
    mu_rest, mu_line, thickness_um, incidence_deg, exit_deg
        As in `layer_fluorescence`.

    Returns
    -------
    ndarray of float64
        NaN where no absorption gives so much fluorescence, which is at most 1, or where it is NaN or negative.

    Raises
    ------
    OutOfRange
        As `escape`; also if the thickness is 0.
    """
    inwards, outwards = _paths(incidence_deg, exit_deg)
    require_positive(thickness_um, "thickness", "µm")
    measured, rest = np.broadcast_arrays(np.asarray(fluorescence, float), np.asarray(mu_rest, float))
    escape(rest, mu_line, thickness_um, incidence_deg, exit_deg)  # refuses what is not possible
    # In units of the path of the beam: x of the element, b of all the rest; F = x (1 − e^−(x + b)) / (x + b).
    other = (rest * inwards + mu_line * outwards) * thickness_um
    possible = np.isfinite(measured) & (measured >= 0) & (measured < 1)
    wanted = np.where(possible, measured, 0.0)
    # F ≤ x everywhere and F is concave in x, so Newton's steps from the left never go too far.
    x = wanted.copy()
    for _ in range(MOST_STEPS):
        path = x + other
        decay = _mean_of_decay(path)
        slope = decay + x * _slope_of_decay(path)
        step = (wanted - x * decay) / slope
        x = x + step
        if (np.abs(step) <= 1e-13 * (1 + x)).all():
            break
    else:
        possible &= np.abs(wanted - x * _mean_of_decay(x + other)) <= 1e-9
    return np.where(possible, x / (inwards * thickness_um), np.nan)


def _paths(incidence_deg: float, exit_deg: float) -> tuple[float, float]:
    """Return the lengths of the paths in and out per depth, 1 / sin."""
    for angle, name in ((incidence_deg, "angle of incidence"), (exit_deg, "angle of exit")):
        require(angle, 0 < angle <= 90, name, "must lie above 0 and up to 90 deg, from the surface", "deg")
    return float(1 / np.sin(np.deg2rad(incidence_deg))), float(1 / np.sin(np.deg2rad(exit_deg)))


def _mean_of_decay(a: Array) -> Array:
    """Return (1 − e⁻ᵃ) / a, and 1 at 0."""
    some = np.where(a > 0, a, 1.0)
    return np.where(a > 0, -np.expm1(-some) / some, 1.0)


def _slope_of_decay(a: Array) -> Array:
    """Return the derivative of (1 − e⁻ᵃ) / a; by its series where the closed form loses its digits."""
    some = np.where(a > 1e-3, a, 1.0)
    closed = (np.exp(-some) * (1 + some) - 1) / some**2
    return np.where(a > 1e-3, closed, -0.5 + a / 3 - a**2 / 8 + a**3 / 30)
