"""Score a raster at several energies, flown or stepped: its fractions, edges, focus and drift, against its truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from whiteline.analysis import tables
from whiteline.analysis.bounds.fraction import fraction_gradient
from whiteline.analysis.bounds.information import bound, total_information
from whiteline.analysis.live import analyse
from whiteline.analysis.live.planes import Planes
from whiteline.analysis.live.raster import incident_of, per_photon
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.white_line import white_line
from whiteline.analysis.runs.fly_maps import moved_um
from whiteline.analysis.runs.run import FLY, Run
from whiteline.beamline.score.edges import EdgeScore, edge_score
from whiteline.beamline.score.fractions import rms, score_fractions, valid_pixels
from whiteline.beamline.score.raster_maps import read_raster_truth
from whiteline.beamline.score.scored import Scored, card_of
from whiteline.beamline.score.step_truth import moved_of_steps_um
from whiteline.beamline.score.truth import NoTruth, RunTruth

Numbers = NDArray[np.float64]

LEAST_COUNTS = 1e-3
"""Counts that are expected at least in a pixel: below an edge none are, and a bound needs some."""


def score_raster(run: Run, truth_file: Path, *, results: Results | None = None) -> Scored:
    """Score a raster at several energies; parameters and errors as those of `scoring.score_run`."""
    truth, moved = read_raster_truth(truth_file, run), moved_um(run) if FLY in run.streams else moved_of_steps_um(run)
    settings = Settings(references=truth.references, incident_current=True)
    if results is None:
        results = analyse(run, references=truth.references, incident_current=True)
    planes = results.planes
    if planes is None:
        raise NoTruth(f"{run.name} has no whole map of a line, so there is nothing to score")
    # beside a rim a sample that drifts by nanometres shows in a pixel in which it hardly was at first
    rim = binary_dilation(truth.particles) & ~truth.particles
    valid = valid_pixels(results, truth) & ~rim
    fractions = score_fractions(results, truth, bounds_of_raster(run, planes, settings, truth, valid), valid)
    edge = settings.edge_energy() or truth.edge_eV
    maps = edge_maps(planes, truth, edge)
    edges = _edges(maps["edge energy"], planes, truth, edge) if maps else EdgeScore(np.nan, np.nan)
    pixel_um = results.pixel_um or float("nan")
    # what its region has followed, and what the analysis has taken out besides
    found_px = moved / pixel_um
    found_px[: len(planes.back_px)] += planes.back_px
    off_px = found_px - 1e-3 * truth.shift_nm / pixel_um  # not known of maps that were not begun
    planned, seen = int(np.prod(run.raster_shape or (0,))), int(np.count_nonzero(np.isfinite(run.points.times)))
    card = card_of(
        results, truth, valid, fractions, edges,
        drift_residual_px=rms(off_px[np.isfinite(off_px).all(axis=1)]), frames_lost=planned - seen,
    )  # fmt: skip
    with_edges = replace(results, maps={**results.maps, **maps})
    return Scored(
        run, with_edges, truth, card, energies=planes.energies, found_px=found_px, edge_truth=edges.true,
    )  # fmt: skip


def edge_maps(planes: Planes, truth: RunTruth, edge: float) -> dict[str, Map]:
    """Return maps of the edge energy and of the white line, as far as the energies reach for them."""
    value, variance = per_photon(planes.energies, planes.value, planes.variance)
    order, normalisation = np.argsort(planes.energies), EdgeNormalisation(edge)
    given = planes.energies[order], value[order], variance[order]
    near = truth.species[0].near_edge
    window = tables.WHITE_LINE_WINDOWS_EV.get((near.element, near.edge), (edge - 2.0, edge + 30.0))
    found: dict[str, Map] = {}
    try:
        found["edge energy"] = half_height(*given, normalisation, components=len(truth.names))
        found["white line"] = white_line(*given, window, normalisation, components=len(truth.names))
    except ValueError:
        return found
    return found


def _edges(found: Map, planes: Planes, truth: RunTruth, edge: float) -> EdgeScore:
    energies, chosen = np.sort(planes.energies), found.valid & truth.particles
    spectra = emitted(truth, energies) @ truth.jumps[:, chosen]
    return edge_score(found, chosen, energies, spectra, len(truth.names), edge)


def bounds_of_raster(
    run: Run, planes: Planes, settings: Settings, truth: RunTruth, valid: NDArray[np.bool_]
) -> Numbers:
    """Return the Cramér–Rao bound of each fraction by the counts of this very run, shape (species, pixels).

    The counts are those that are expected of the true sample, as the detector has lost some of them and the beam was;
    the beam before the sample is taken as known.

    Parameters
    ----------
    run : Run
        The run.
    planes : Planes
        Its maps of the line.
    settings : Settings
        Of the fit: its background is that of the bound.
    truth : RunTruth
        What was to be found.
    valid : ndarray of bool, shape (Y, X)
        Pixels that are wanted.
    """
    number = len(planes.energies)
    low, high = max(one.energy[0] for one in truth.references), min(one.energy[-1] for one in truth.references)
    inside = (planes.energies >= low) & (planes.energies <= high)
    basis = Basis.from_spectra(truth.references, planes.energies[inside], background=settings.background)
    # a species changes the counts by what it emits, at the energies that there were
    per_jump = emitted(truth, truth.energy[:number])[inside]
    matrix = np.column_stack([per_jump, basis.matrix[:, basis.number :]])
    amounts = counts_per_jump(planes, truth) * truth.jumps[:, valid]
    beam = _upwards(run, run.map_of(_incident(run, settings)))[:number][:, valid]
    with np.errstate(invalid="ignore"):
        live = _upwards(run, run.counts_map(planes.key) / run.map_of(planes.key))[:number][:, valid]
    seen = beam / np.nanmedian(beam) * np.where(np.isfinite(live), live, 1.0)
    seen = np.where(np.isfinite(seen), seen, 1.0) * (planes.energies.mean() / planes.energies)[:, None]
    expected = np.maximum(per_jump @ amounts * seen[inside], LEAST_COUNTS)
    total = total_information(matrix, seen[inside] ** 2 / expected, np.ones(matrix.shape[0]))
    species = range(len(truth.names))
    return np.stack([bound(total, fraction_gradient(amounts, one, matrix.shape[1])) for one in species])


def counts_per_jump(planes: Planes, truth: RunTruth) -> float:
    """Return what an edge jump of 1 gives in counts per beam, by all that came from the particles."""
    value, _ = per_photon(planes.energies, planes.value, planes.variance)
    came = value[:, truth.particles]
    model = emitted(truth, truth.energy[: len(planes.energies)]) @ truth.jumps[:, truth.particles]
    known = np.isfinite(came)  # at a border it is not, where a map was brought back
    return float(came[known].sum() / model[known].sum())


def emitted(truth: RunTruth, energies: Numbers) -> Numbers:
    """Return what each species emits for an edge jump of 1, shape (E, species).

    A measured spectrum dips below zero before its edge, by its noise; nothing is emitted there.
    """
    spectra = [np.interp(energies, one.energy, one.absorption) for one in truth.references]
    return np.maximum(np.stack(spectra, axis=1), 0.0)


def _incident(run: Run, settings: Settings) -> str:
    """Return the data key of the beam before the sample."""
    if FLY in run.streams:
        return "capture_incident_counts"
    found = incident_of(run, settings)
    if found is None:
        raise NoTruth(f"{run.name} did not count the beam before the sample, which its bound needs; name the counters")
    return found


def _upwards(run: Run, maps: Numbers) -> Numbers:
    """Return maps of a flown raster as its grid has them: rows and columns ascend. Those of steps stay as planned."""
    if FLY not in run.streams:
        return maps
    for axis, (first, last) in zip((-2, -1), run.start["extents"][-2:], strict=True):
        maps = np.flip(maps, axis) if last < first else maps
    return maps
