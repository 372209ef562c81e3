"""A spectrum with its fits: normalised, E0, the model of the edge with errors, and a combination of the references.

It is the mean spectrum of a map, in optical density with a background, or that of a point scan. A fit that is not
possible yet, as there is no energy beyond the edge so far, is a sentence and no error.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.settings import Settings

if TYPE_CHECKING:
    from whiteline.analysis.spectra.combination import Combination
    from whiteline.analysis.spectra.edge_model import EdgeFit
    from whiteline.analysis.spectra.normalise import NormalisedSpectrum

Numbers = NDArray[np.float64]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class FittedSpectrum:
    """A spectrum and what was found in it.

    Parameters
    ----------
    energy, absorption : ndarray of float64, shape (n,)
        Ascending, each energy once [eV].
    error : ndarray of float64 or None, shape (n,)
        Standard error of the absorption.
    pixels : int
        Over how many pixels it is the mean; 0 for a point scan.
    e0 : tuple of float or None
        Where it rises steepest, and the standard error of that [eV].
    normalised : NormalisedSpectrum or None
        With pre-edge, post-edge and edge step.
    model : EdgeFit or None
        Arctangent, white line and pre-edge peak, with errors.
    combination : Combination or None
        Of the references, with a linear background.
    troubles : tuple of str
        Why one of them is missing, a sentence each.
    """

    energy: Numbers
    absorption: Numbers
    error: Numbers | None
    pixels: int = 0
    e0: tuple[float, float] | None = None
    normalised: "NormalisedSpectrum | None" = None
    model: "EdgeFit | None" = None
    combination: "Combination | None" = None
    troubles: tuple[str, ...] = field(default=())


def fit_spectrum(
    energy: Numbers, absorption: Numbers, error: Numbers | None, settings: Settings, pixels: int = 0
) -> FittedSpectrum:
    """Fit a spectrum as far as its energies allow.

    Parameters
    ----------
    energy, absorption : ndarray of float64, shape (n,)
        By ascending energy [eV]; what is not finite is left out.
    error : ndarray of float64 or None, shape (n,)
        Standard error.
    settings : Settings
        References, edge, and with what the model is convolved.
    pixels : int
        Over how many pixels it is the mean.
    """
    from whiteline.analysis.spectra.combination import fit_combination
    from whiteline.analysis.spectra.edge_model import fit_edge
    from whiteline.analysis.spectra.edge_position import edge_by_derivative
    from whiteline.analysis.spectra.normalise import normalise

    known = np.isfinite(energy) & np.isfinite(absorption)
    if error is not None:
        known &= np.isfinite(error) & (error > 0)
    energy, absorption = energy[known], absorption[known]
    error = None if error is None else error[known]
    troubles: list[str] = []

    def tried(fit: Callable[[], Result]) -> Result | None:
        try:
            return fit()
        except (ValueError, np.linalg.LinAlgError) as failure:
            troubles.append(str(failure))
            return None

    edge = settings.edge
    found = tried(lambda: edge_by_derivative(energy, absorption, error))
    normalised = None
    if found is not None or edge is not None:
        normalised = tried(lambda: normalise(energy, absorption, error, edge=edge if edge is not None else found))
    model = None if normalised is None else tried(lambda: _model(fit_edge, energy, absorption, error, settings))
    combination = None
    if settings.references:
        low, high = settings.covered
        inside = (energy >= low) & (energy <= high)
        some = None if error is None else error[inside]
        combination = tried(
            lambda: fit_combination(energy[inside], absorption[inside], settings.references, some, background="linear")
        )
    return FittedSpectrum(
        energy,
        absorption,
        error,
        pixels,
        None if found is None else (found.energy, found.error),
        normalised,
        model,
        combination,
        tuple(troubles),
    )


def _model(
    fit_edge: Callable[..., Any], energy: Numbers, absorption: Numbers, error: Numbers | None, settings: Settings
) -> Any:
    """Fit the model with a pre-edge peak, and without where that has no room."""
    widths = {"core_hole": settings.core_hole, "resolution": settings.resolution}
    try:
        return fit_edge(energy, absorption, error, edge=settings.edge, **widths)
    except ValueError:
        return fit_edge(energy, absorption, error, edge=settings.edge, pre_edge=False, **widths)
