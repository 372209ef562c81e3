"""Which energies take part in the fit of fractions, and whether the references explain what the sample shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.energies import XANES_REGIONS, by_regions
from whiteline.analysis.live.results import ErrorFound, Fit
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.composition import Composition
from whiteline.analysis.maps.energy_shift import fit_energy_shift
from whiteline.analysis.maps.lack_of_fit import FEWEST_PIXELS, lack_of_fit
from whiteline.analysis.maps.linear import linear_combination
from whiteline.analysis.maps.map import Map

Numbers = NDArray[np.float64]

LARGEST_SHIFT_EV = 3.0
"""Between sample and references; what is more is another edge, or a monochromator that is to be calibrated."""

CLEAN_SHARE = 5.0
"""Of the share of false alarms that is asked for: what is below is chance, and calibration by quantiles."""


def covered(settings: Settings, energy: float) -> bool:
    """Tell whether all references are known at an energy [eV]."""
    low, high = settings.covered
    return bool(settings.references) and low <= energy <= high


@dataclass(frozen=True, eq=False)
class FractionFit:
    """The fit of a whole stack, which is the same for each band of its rows.

    Parameters
    ----------
    basis : Basis
        At the energies that take part.
    weights : ndarray of float64, shape (E,)
        Of these energies.
    chosen : tuple of int
        Which frames of the stack they are.
    least_jump_over_noise : float
        As in `Settings`.
    """

    basis: Basis
    weights: Numbers
    chosen: tuple[int, ...]
    least_jump_over_noise: float

    @classmethod
    def of(cls, energies: Sequence[float], weights: Sequence[float], settings: Settings) -> Self:
        """Choose those of some frames that the references cover.

        Parameters
        ----------
        energies, weights : sequence of float, length E
            Of each frame, energy [eV] and one over its mean variance.
        settings : Settings
            References and background.

        Raises
        ------
        ValueError
            If the references cannot be told apart at the energies, or do not cover them.
        """
        chosen = [index for index, energy in enumerate(energies) if covered(settings, energy)]
        if not chosen:
            low, high = settings.covered
            raise ValueError(
                f"the references cover {low:.10g} to {high:.10g} eV, and none of the {len(energies)} energies lies "
                "there; take references of this edge"
            )
        basis = Basis.from_spectra(
            settings.references, np.asarray(energies, float)[chosen], background=settings.background
        )
        return cls(basis, np.asarray(weights, float)[chosen], tuple(chosen), settings.least_jump_over_noise)

    def maps_of(self, density: Any, variance: Any) -> dict[str, Map]:
        """Return fractions and edge jump of some rows of the chosen frames, shape (E, rows, X), by their names."""
        found = linear_combination(
            self.basis, density, variance, weights=self.weights, least_jump_over_noise=self.least_jump_over_noise
        )
        return {one.name: one for one in (*found.fractions, found.jump)}


def planned_basis(settings: Settings, planned: Numbers | None) -> Basis:
    """Return the basis for a scan that has only begun: its columns at the energies that are planned.

    Where a run does not say its energies, or the references cannot be told apart at them, those of an ordinary scan
    take their place: they only set the scale of the sums.

    Raises
    ------
    ValueError
        If the references do not cover an edge, or are not apart anywhere.
    """
    low, high = settings.covered
    if not low < high:
        raise ValueError(
            f"the references {', '.join(settings.names)} have no range of energies in common; take longer ones"
        )
    if planned is not None:
        inside = np.unique(planned[(planned >= low) & (planned <= high)])
        try:
            return Basis.from_spectra(settings.references, inside, background=settings.background)
        except (ValueError, OutOfRange):
            pass
    edge = settings.edge_energy() or low
    usual = np.array(by_regions(XANES_REGIONS, relative_to=edge).energies)
    usual = usual[(usual >= low) & (usual <= high)]
    return Basis.from_spectra(settings.references, usual, background=settings.background)


def fit_of_sample(sample: Sample, settings: Settings) -> Composition | None:
    """Return the fit of the sampled pixels; None if the energies do not determine it yet."""
    low, high = settings.covered
    inside = (sample.energies >= low) & (sample.energies <= high)
    try:
        basis = Basis.from_spectra(settings.references, sample.energies[inside], background=settings.background)
        return linear_combination(
            basis,
            sample.density[inside],
            sample.variance[inside],
            least_jump_over_noise=settings.least_jump_over_noise,
        )
    except (ValueError, OutOfRange):
        return None


def energy_shift_of_sample(sample: Sample, settings: Settings) -> tuple[float, float] | None:
    """Return by how much the energies of the run read higher than those of the references, and its error [eV].

    None where there are no references, or the sampled pixels do not tell; see `maps.fit_energy_shift`.
    """
    low, high = settings.covered
    inside = (sample.energies >= low + LARGEST_SHIFT_EV) & (sample.energies <= high - LARGEST_SHIFT_EV)
    if not settings.references:
        return None
    try:
        basis = Basis.from_spectra(settings.references, sample.energies[inside], background=settings.background)
        found = fit_energy_shift(
            basis, sample.density[inside], sample.variance[inside], valid=sample.good, largest=LARGEST_SHIFT_EV
        )
    except (ValueError, OutOfRange):
        return None
    return found.value, found.error


@dataclass(frozen=True)
class Misfit:
    """Share of the sampled pixels that the references do not explain, and whether it is more than chance."""

    lacking: float
    fit: Fit


def misfit_of_sample(sample: Sample, settings: Settings) -> Misfit:
    """Tell whether the references explain the spectra of the sampled pixels, see `maps.lack_of_fit`."""
    low, high = settings.covered
    inside = (sample.energies >= low) & (sample.energies <= high)
    unknown = Misfit(np.nan, "unknown")
    if not settings.references or np.count_nonzero(sample.good) < FEWEST_PIXELS:
        return unknown
    try:
        basis = Basis.from_spectra(settings.references, sample.energies[inside], background=settings.background)
        found = lack_of_fit(
            basis,
            sample.density[inside],
            sample.variance[inside],
            false_alarms=settings.false_alarms,
            least_jump_over_noise=settings.least_jump_over_noise,
            valid=sample.good,
        )
    except (ValueError, OutOfRange):
        return unknown
    number = int(np.count_nonzero(found.excess.valid))
    if number < FEWEST_PIXELS:
        return unknown
    lacking = int(np.count_nonzero(found.lacking))
    by_chance = CLEAN_SHARE * settings.false_alarms * number
    return Misfit(lacking / number, "clean" if lacking <= by_chance + 5 * np.sqrt(by_chance) else "lacking")


def error_found(fractions: tuple[Map, ...], misfit: Misfit, energies: int) -> ErrorFound:
    """Return how well a map of fractions is known, from every so-manieth pixel."""
    if not fractions:
        return ErrorFound(energies=energies)
    step = max(1, int(np.sqrt(fractions[0].value.size / 65_536)))
    part = (slice(step // 2, None, step),) * 2
    valid = fractions[0].valid[part]
    if not valid.any():
        return ErrorFound(lacking=misfit.lacking, fit=misfit.fit, energies=energies)
    medians = [float(np.median(one.error[part][valid])) for one in fractions]
    return ErrorFound(max(medians), float(valid.mean()), misfit.lacking, misfit.fit, energies)
