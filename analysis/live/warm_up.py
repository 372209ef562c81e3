"""Import and compile what the first frame needs before it comes: seconds, which it should not have to wait for."""

import numpy as np

from whiteline.analysis.live.alignment import Aligner, Place, brought_back
from whiteline.analysis.live.fraction_fit import planned_basis
from whiteline.analysis.live.frame_work import sharpness_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.accumulator import Accumulator
from whiteline.analysis.registration.bad_pixels import binned
from whiteline.analysis.stacks import density_of_block

SIDE = 64


def warm_up(settings: Settings) -> None:
    """Work out a small frame that nobody has taken.

    Raises
    ------
    ValueError
        If the references cannot be fitted with at all: better said before the scan than at its first frame.
    """
    counts = np.random.default_rng(0).poisson(1000, (SIDE, SIDE))
    flat, dark = np.full((1, SIDE * SIDE), 3000, np.float32), np.zeros((1, SIDE * SIDE), np.float32)
    dark[0, SIDE] = np.nan  # a hot pixel, as what is done about these is compiled, too
    for kind in (np.uint16, np.float32):
        density, variance, _ = density_of_block(counts.astype(kind).reshape(1, -1), flat, dark)
    if variance is None:
        return
    image, noise = density.reshape(SIDE, SIDE), variance.reshape(SIDE, SIDE)
    aligner = Aligner(settings)
    aligner.start(image, None)
    aligner.measure(image, None)
    binned(image, 2)
    brought_back(image, noise, Place(0.5, 0.5))
    sharpness_of(image, noise)
    if settings.references:
        basis = planned_basis(settings, None)
        accumulator = Accumulator(basis, (SIDE, SIDE))
        for energy in basis.energies[: len(basis.names) + 1]:
            accumulator.add(float(energy), image, noise)
