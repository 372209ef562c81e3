"""Line shapes of an edge as a monochromator and a core hole of finite width show them, in closed form.

A peak is a Voigt profile. A step is its integral, for which Weideman's rational approximation of the Faddeeva function
(J. A. C. Weideman, SIAM J. Numer. Anal. 31 (1994) 1497) is integrated term by term: it stays rational, but for an
arctangent. Relative to the height of the step it is right to 10⁻¹³.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import voigt_profile

Floats = NDArray[np.float64]

TERMS = 40


def voigt_step(offset: Floats, sigma: float, half_width: float) -> Floats:
    """Return a step from 0 to 1 as seen with a Gaussian and a Lorentzian width.

    Parameters
    ----------
    offset : ndarray
        Energies relative to the middle of the step [eV].
    sigma : float
        Standard deviation of the Gaussian [eV]; 0 gives the arctangent ½ + atan(x / Γ½) / π.
    half_width : float
        Half width at half maximum Γ½ of the Lorentzian [eV]; 0 gives the error function.
    """
    if sigma == 0:
        if half_width == 0:
            return np.asarray(np.heaviside(offset, 0.5))
        return np.asarray(0.5 + np.arctan(offset / half_width) / np.pi)
    polynomial, scale = _weideman()
    z = (offset + 1j * half_width) / (np.sqrt(2) * sigma)
    ratio = (scale + 1j * z) / (scale - 1j * z)
    rational = np.polyval(polynomial, ratio).imag / (scale * np.sqrt(np.pi))
    return np.asarray(0.5 + rational + np.arctan2(z.real, scale + z.imag) / np.pi)


def lorentzian_peak(offset: Floats, half_width: float, sigma: float, broadening: float) -> Floats:
    """Return 1 / (1 + (x/w)²), of half width w, as seen with a Gaussian σ and a Lorentzian of another half width."""
    return np.asarray(np.pi * half_width * voigt_profile(offset, sigma, half_width + broadening))


def gaussian_peak(offset: Floats, width: float, sigma: float, broadening: float) -> Floats:
    """Return exp(−½ (x/s)²), of standard deviation s, as seen with a Gaussian σ and a Lorentzian of a half width."""
    return np.asarray(np.sqrt(2 * np.pi) * width * voigt_profile(offset, np.hypot(width, sigma), broadening))


@cache
def _weideman() -> tuple[Floats, float]:
    """Return the integral of Weideman's polynomial, highest power first, and his scale L."""
    scale = float(np.sqrt(TERMS / np.sqrt(2)))
    points = 2 * TERMS
    angle = np.arange(-points + 1, points) * np.pi / points
    t = scale * np.tan(angle / 2)
    samples = np.concatenate([[0], np.exp(-(t**2)) * (scale**2 + t**2)])
    coefficients = np.fft.fft(np.fft.fftshift(samples)).real / (2 * points)
    return np.asarray(np.polyint(coefficients[1 : TERMS + 1][::-1]), float), scale
