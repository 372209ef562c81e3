"""Fractions against the truth: their error, the least that any estimate can have, and whether standard errors hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.bounds import fraction_bound
from whiteline.analysis.live.recipes import told_apart
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.run import FLAT, Run
from whiteline.beamline.score.truth import NoTruth, RunTruth

Numbers = NDArray[np.float64]

AT_ONCE = 4096
"""Pixels whose bound is worked out at a time."""


@dataclass(frozen=True, eq=False)
class FractionScore:
    """How right the fractions of a map are, over its valid pixels and all species.

    Parameters
    ----------
    rms : float
        Root mean square of found minus true.
    bound : float
        Root mean square of the Cramér–Rao bound of the same pixels.
    pull_rms : float
        Root mean square of found minus true over the standard error that the map gives.
    valid : ndarray of bool, shape (Y, X)
        Which pixels.
    """

    rms: float
    bound: float
    pull_rms: float
    valid: NDArray[np.bool_]


def score_fractions(results: Results, truth: RunTruth, bounds: Numbers, valid: NDArray[np.bool_]) -> FractionScore:
    """Compare maps of fractions with the truth.

    Parameters
    ----------
    results : Results
        With a map "fraction of NAME" for each species of the truth.
    truth : RunTruth
        In the frame of the maps.
    bounds : ndarray of float64, shape (species, pixels)
        Of the valid pixels.
    valid : ndarray of bool, shape (Y, X)
        From `valid_pixels`.
    """
    maps = _fractions(results, truth)
    off = np.stack([one.value[valid] - true[valid] for one, true in zip(maps, truth.fraction, strict=True)])
    errors = np.stack([one.error[valid] for one in maps])
    return FractionScore(rms(off), rms(bounds), rms(off / errors), valid)


def valid_pixels(results: Results, truth: RunTruth) -> NDArray[np.bool_]:
    """Return the pixels that the maps call valid, shape (Y, X).

    Where there is nothing the truth has no fraction; a map that calls such a pixel valid is wrong by as much as it
    says, and the difference, which is not a number, spoils the score.

    Raises
    ------
    NoTruth
        If there is no map of one of the fractions.
    """
    return np.asarray(np.all([one.valid for one in _fractions(results, truth)], axis=0))


def _fractions(results: Results, truth: RunTruth) -> list[Map]:
    missing = [name for name in truth.names if f"fraction of {name}" not in results.maps]
    if missing:
        why = "; ".join(results.troubles) or f"its energies or references do not tell {' and '.join(truth.names)} apart"
        raise NoTruth(f"{results.run} has no map of the fraction of {missing[0]} that could be scored: {why}")
    return [results.map(f"fraction of {name}") for name in truth.names]


def bounds_of_stack(run: Run, settings: Settings, truth: RunTruth, valid: NDArray[np.bool_]) -> Numbers:
    """Return the Cramér–Rao bound of each fraction by the counts and flats of this very run, shape (species, pixels).

    Parameters
    ----------
    run : Run
        Of frames and flats.
    settings : Settings
        Of the fit: its background and gain are those of the bound.
    truth : RunTruth
        What was to be found.
    valid : ndarray of bool, shape (Y, X)
        Pixels that are wanted.
    """
    counts, per_point, flats = counts_of(run, settings, valid)
    low, high = max(one.energy[0] for one in truth.references), min(one.energy[-1] for one in truth.references)
    apart = np.array(told_apart(run.energies))  # each pass over the list has its own counts
    inside = (apart >= low) & (apart <= high)
    apart = apart[inside]
    order = np.argsort(apart, kind="stable")
    energies = apart[order]
    basis = Basis.from_spectra(truth.references, energies, background=settings.background).matrix
    amounts = truth.jumps[:, valid]
    density = truth.density(truth.energy[inside][order], valid)
    light = counts[inside][order] * per_point / settings.gain
    found = np.empty((len(truth.names), amounts.shape[1]))
    for start in range(0, amounts.shape[1], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        for species in range(len(truth.names)):
            found[species, part] = fraction_bound(
                basis, amounts[:, part], light[:, part], flats=flats / per_point, of=species,
                references=len(truth.names), density=density[:, part],
            )  # fmt: skip
    return found


def counts_of(run: Run, settings: Settings, chosen: NDArray[np.bool_]) -> tuple[Numbers, int, float]:
    """Return the counts of one exposure without the sample, (E, pixels), frames of a point, and flats of a point."""
    flats, dark = run.flats_for_frames(settings.flats), run.dark()
    light = np.stack([np.asarray(flats[index], float)[chosen] - dark[chosen] for index in range(len(run.points))])
    per_point = int(run.start.get("frames_per_event") or 1)
    groups = run.flat_groups(settings.flats)
    of_flat = sum(place.count for place in next(iter(run.stream(FLAT).points)).places.values())
    return np.maximum(light, 1.0), per_point, float(np.mean([len(group) for group in groups])) * of_flat


def rms(values: Numbers) -> float:
    """Return the root mean square; NaN of none."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else float("nan")
