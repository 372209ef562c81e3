"""The mean spectrum of a map, over the pixels that have an edge, with its fits."""

import numpy as np

from whiteline.analysis.live.fraction_fit import fit_of_sample
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import FittedSpectrum, fit_spectrum


def mean_spectrum(sample: Sample, settings: Settings) -> FittedSpectrum | None:
    """Return the mean spectrum of the sampled pixels with its fits; None if no pixel is good at all energies.

    Parameters
    ----------
    sample : Sample
        Of all frames so far.
    settings : Settings
        References, edge, and with what the model is convolved.
    """
    chosen = sample.good
    fit = fit_of_sample(sample, settings) if settings.references else None
    if fit is not None:
        with_edge = chosen & fit.jump.valid & fit.fractions[0].valid
        chosen = with_edge if with_edge.any() else chosen
    number = int(np.count_nonzero(chosen))
    if not number:
        return None
    return fit_spectrum(sample.energies, *sample.mean(chosen), settings, pixels=number)
