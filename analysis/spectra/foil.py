"""Energy calibration against a metal foil: how far the energies of a scan lie off the tabulated edge.

The edge of a foil is, by convention, the first inflection of its spectrum, the first strong maximum of the derivative
(J. A. Bearden and A. F. Burr, Rev. Mod. Phys. 39 (1967) 125). What the noise of the scan makes of it is propagated;
that resolution and smoothing shift an asymmetric edge, by a tenth or two of an eV, is not: it is the same for each scan
of one foil.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from whiteline.analysis.calibration.energy import EnergyCalibration
from whiteline.analysis.checks import OutOfRange, require_energy, require_positive
from whiteline.analysis.laws.bragg import bragg_angle
from whiteline.analysis.spectra.checks import Floats, require_spectrum
from whiteline.analysis.spectra.edge_position import FEWEST_POINTS, edge_by_derivative
from whiteline.analysis.spectra.noise import estimated_noise
from whiteline.analysis.tables import edge_energy

SEARCH_EV = (-25.0, 25.0)
"""Where the edge is looked for about the tabulated one: a monochromator is rarely further off."""

FIRST_SHARE = 0.5
"""The first inflection is the first maximum of the derivative that reaches this share of the largest."""

CLEAR_BELOW_EV = 10.0
"""A scan must begin so far below the tabulated edge, and end so far above it, to show that it holds the edge."""


@dataclass(frozen=True)
class FoilCalibration:
    """What a scan of a foil says of the energy.

    Parameters
    ----------
    element, edge : str
        Of the foil, such as "Ni", "K".
    tabulated : float
        Energy of the edge in the table [eV].
    measured : float
        Where the scan shows it [eV].
    error : float
        Standard error of `measured`, and so of the shift, from the noise of the scan [eV].
    smoothing : float
        Standard deviation of the Gaussian that the derivative was smoothed with [eV].
    """

    element: str
    edge: str
    tabulated: float
    measured: float
    error: float
    smoothing: float

    @property
    def shift(self) -> float:
        """What must be added to the energies of the scan near the edge [eV]."""
        return self.tabulated - self.measured

    def calibrated(self, energy: ArrayLike) -> Floats:
        """Return energies with the shift added [eV]; right near the edge, as Bragg angles shift, not energies."""
        return np.asarray(energy, float) + self.shift

    def bragg_reading(self, calibration: EnergyCalibration) -> tuple[float, float]:
        """Return the reading of the Bragg axis at the edge, and its standard error [deg].

        `calibration` is the one that the energies of the scan were computed with. With readings of one or more foils
        `whiteline.analysis.calibration.fit_energy` makes a new one.

        Raises
        ------
        OutOfRange
            If the crystal cannot reflect the edge.
        """
        angle = bragg_angle(self.measured, calibration.spacing)
        per_ev = np.tan(np.radians(angle)) / self.measured  # |dθ/dE| = tan θ / E
        return float(angle - calibration.offset), float(np.degrees(per_ev * self.error))


def calibrate_on_foil(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    element: str,
    edge: str = "K",
    tabulated: float | None = None,
    search: tuple[float, float] = SEARCH_EV,
    smoothing: float | None = None,
) -> FoilCalibration:
    """Find the edge of a foil in a scan of it.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies as the monochromator says them, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption of the foil, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption. If it is not given, it is estimated from the scatter of the scan.
    element, edge : str
        Of the foil, such as "Ni", "K".
    tabulated : float, optional
        Energy of the edge [eV], where another table than that of xraydb is to be used.
    search : tuple of float
        Where to look, relative to the tabulated edge [eV].
    smoothing : float, optional
        Standard deviation of the smoothing [eV], as in `edge_by_derivative`.

    Returns
    -------
    FoilCalibration

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an absorption is not finite, or the scan does not reach 10 eV to either side of
        the tabulated edge.
    ValueError
        If there is no such element or edge; energies do not ascend, each once; there is no edge in the range of the
        search; or it lies at the end of scan or search.
    """
    known = edge_energy(element, edge)
    if tabulated is not None:
        require_energy(tabulated, f"{element} {edge} edge")
        known = tabulated
    energies, values, errors = require_spectrum(energy, absorption, error, fewest=FEWEST_POINTS)
    first, last = float(energies[0]), float(energies[-1])
    for end, reached, side in (
        (first, first <= known - CLEAR_BELOW_EV, "begin"),
        (last, last >= known + CLEAR_BELOW_EV, "end"),
    ):
        if not reached:
            where = "below" if side == "begin" else "above"
            limit = f"must lie at least {CLEAR_BELOW_EV:g} eV {where} the {element} {edge} edge at {known:g} eV"
            raise OutOfRange(f"{side} of the scan at", end, limit, "eV", "scan across the edge, or check the foil")
    noise = estimated_noise(energies, values) if errors is None else errors
    require_positive(noise, "scatter of the scan, which holds no noise at all, so its error", "")
    found = edge_by_derivative(
        energies,
        values,
        noise,
        search=(known + search[0], known + search[1]),
        smoothing=smoothing,
        first_share=FIRST_SHARE,
    )
    return FoilCalibration(element, edge, known, found.energy, found.error, found.smoothing)
