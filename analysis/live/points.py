"""A point scan: its spectrum normalised, E0, the model of the edge, and a combination of the references."""

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.recipes import grouped
from whiteline.analysis.live.results import Results, provenance_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import fit_spectrum
from whiteline.analysis.runs.run import Run

Numbers = NDArray[np.float64]


def points_of(run: Run, settings: Settings) -> Results:
    """Analyse a point scan as far as it goes.

    Counters record rates, so how many photons were counted is not known to them: the errors of the fits come from the
    scatter about them.

    Raises
    ------
    UnreadableRun
        If it records no energy, or nothing that tells the absorption.
    """
    spectrum = run.spectrum(settings.signal, settings.incident)
    known = np.isfinite(spectrum.energies) & np.isfinite(spectrum.absorption)
    energies, absorption = averaged(spectrum.energies[known], spectrum.absorption[known])
    planned = run.planned_energies
    fitted = fit_spectrum(energies, absorption, None, settings)
    return Results(
        kind="points",
        uid=run.uid,
        run=run.name,
        energies=energies,
        planned=None if planned is None else int(planned.size),
        spectrum=fitted,
        over=not run.going,
        exit_status=run.exit_status,
        troubles=fitted.troubles if not run.going else (),
        provenance=provenance_of(settings, run.uid),
    )


def averaged(energies: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return a spectrum by ascending energy, points of one energy averaged."""
    groups = grouped([float(one) for one in energies])
    mean = np.array([energies[group].mean() for group in groups])
    return mean, np.array([values[group].mean() for group in groups])
