"""A raster: maps of the elements per incident beam, and with several energies the fractions and the mean spectrum.

The counts of a line come with the events, corrected for dead time. Their error is that of the counts themselves; the
beam before the sample is counted so much better that its own is left out. Of a fly scan what the capture box counted is
put onto the grid by the measured positions, and both errors are in.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.bringing_back import bring_back
from whiteline.analysis.live.fly_lines import FlyLines
from whiteline.analysis.live.fraction_fit import Misfit, error_found, misfit_of_sample
from whiteline.analysis.live.map_drift import drift_of_map
from whiteline.analysis.live.mean_spectrum import mean_spectrum
from whiteline.analysis.live.planes import Planes
from whiteline.analysis.live.results import ErrorFound, Results, provenance_of
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.linear import linear_combination
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.rasters import on_map, pixels_of
from whiteline.analysis.runs.roles import given_role
from whiteline.analysis.runs.run import FLY, Run
from whiteline.analysis.runs.spectra import CHAMBERS, INCIDENT, chambers
from whiteline.analysis.runs.unreadable import UnreadableRun

Numbers = NDArray[np.float64]

CHUNK_POINTS = 256
"""Spectra that are read at a time."""


def raster_of(run: Run, settings: Settings, *, spectra: bool = True, fly_lines: FlyLines | None = None) -> Results:
    """Analyse a raster as far as it goes; a pixel that is missing is missing in every map.

    Parameters
    ----------
    run : Run
        With a shape of two axes, or three: energy, slow, fast.
    settings : Settings
        References; `signal` is the data key of the line whose absorption is fitted, the first one if it is not given.
    spectra : bool
        Whether the fluorescence spectra are summed from their files; those of a fly scan are not.
    fly_lines : FlyLines, optional
        What was added up of a fly raster so far; if it is not given, or maps were compared and the run is over, all
        lines are read.

    Raises
    ------
    UnreadableRun
        If it is no raster.
    """
    shape = run.raster_shape
    if shape is None or len(shape) > 3:
        raise UnreadableRun(f"{run.name} is no raster of two axes, nor one at several energies; its shape is {shape}")
    flown, energies = None, _energies(run, shape)
    if FLY in run.streams:
        if fly_lines is None or (fly_lines.moved and settings.register and not run.going):
            # at its end a run is read as anybody reads it later: places that were found as maps came are only near
            fly_lines = FlyLines(settings.incident)
        flown = fly_lines.follow(run)
        if len(shape) == 3:
            of_maps = np.full(shape[0], np.nan) if energies is None else energies
            flown = bring_back(run, shape, flown, fly_lines, of_maps, register=settings.register)
        lines, troubles = dict(flown.lines), list(flown.troubles)
    else:
        lines = {key: _line(run, key, shape, settings) for key in run.lines}
        troubles = [] if lines else [f"{run.name} counts no fluorescence line with its points"]
        if len(run.points) and lines and not any(np.isfinite(value).any() for value, _ in lines.values()):
            troubles.append(
                f"the beam before the sample, {incident_of(run, settings)}, is known at no point of {run.name}, so "
                "there is no map: a rate needs the dark rate of its chamber, which measure_dark_rates finds, and no "
                "overload; or else take counts, by incident="
            )
            lines = {}
    maps, error, fitted, moved, planes = {}, ErrorFound(), None, None, None
    if len(shape) == 2:
        maps = {key: _named(key, *pair) for key, pair in lines.items()}
    elif lines and energies is not None:
        begun = _begun(run, shape)
        newest = int(np.flatnonzero(begun)[-1])
        maps = {key: _named(key, value[newest], noise[newest]) for key, (value, noise) in lines.items()}
        chosen = _chosen(run, lines, settings)
        complete = begun if not run.going else begun & (np.arange(begun.size) < newest + _whole(run, shape, newest))
        if complete.any():
            last = int(np.flatnonzero(complete)[-1])
            if fly_lines is not None and flown is not None:
                moved = fly_lines.moved.get(last)
            else:
                moved = drift_of_map(lines, last, float(energies[last]), float(run.points.times.max()))
            value, noise = (part[complete].astype(np.float32) for part in lines[chosen])
            energies = energies[complete]
            back = [(0.0, 0.0) if flown is None or fly_lines is None else fly_lines.back_px(int(one))
                    for one in np.flatnonzero(complete)]  # fmt: skip
            planes = Planes(chosen, energies, value, noise, np.array(back))
            if settings.incident_current:
                value, noise = per_photon(energies, value, noise)
            upwards = np.argsort(energies)
            pixels = [part.reshape(energies.size, -1)[upwards] for part in (value, noise)]
            sample = Sample(energies[upwards], pixels[0], pixels[1], np.ones(energies.size))
            fitted = mean_spectrum(sample, settings)
            try:
                told = float(run.start.get("least_jump_over_noise") or 0.0)
                found = _fractions(energies, value, noise, settings, max(told, settings.least_jump_over_noise))
                maps |= found
                fractions = tuple(one for name, one in found.items() if name.startswith("fraction"))
                misfit = misfit_of_sample(sample, settings) if fractions else Misfit(np.nan, "unknown")
                error = error_found(fractions, misfit, int(energies.size))
            except ValueError as trouble:
                troubles.append(f"no fractions are fitted: {trouble}")
    if flown is not None and (reached := np.flatnonzero(_begun(run, shape))).size:
        dwell = flown.coverage[int(reached[-1])] if len(shape) == 3 else flown.coverage
        maps["coverage"] = Map("coverage", "s", dwell, np.zeros_like(dwell), np.ones(dwell.shape, bool))
    planned = run.planned_energies
    return Results(
        kind="raster",
        uid=run.uid,
        run=run.name,
        energies=np.empty(0) if energies is None else energies,
        planned=None if planned is None else int(np.unique(planned).size),
        maps=maps,
        look=moved,
        error=error,
        spectrum=fitted,
        planes=planes,
        # those of a fly scan are too many to be read at its end
        channels=_channels(run, troubles) if spectra and flown is None else None,
        pixel_um=_step(run) if flown is None else flown.grid.step_x,
        over=not run.going,
        exit_status=run.exit_status,
        troubles=tuple(troubles),
        provenance=provenance_of(settings, run.uid),
    )


def _chosen(run: Run, lines: Mapping[str, object], settings: Settings) -> str:
    """Return the data key of the line whose absorption is fitted: as it was told, or the first of an element."""
    told = settings.signal or str(dict(run.start.get("roles") or {}).get("signal", ""))
    if settings.signal is not None or told in lines:
        return told
    of_elements = (one for one in lines if not one.endswith(tuple(f"_{chamber}" for chamber in CHAMBERS)))
    return next(of_elements, next(iter(lines)))


def per_photon(
    energies: Numbers, value: NDArray[np.float32], noise: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return counts per incident photon of those per current of a chamber, which grows with the energy of photons."""
    more = (energies / energies.mean()).astype(np.float32)[:, None, None]
    return value * more, noise * more**2


def _line(run: Run, key: str, shape: tuple[int, ...], settings: Settings) -> tuple[Numbers, Numbers]:
    """Return counts of a line per incident beam as a map, and their variance; NaN at missing pixels."""
    counts, raw = run.map_of(key), run.counts_map(key)
    incident = incident_of(run, settings)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = counts**2 / np.maximum(raw, 1)
        variance[raw < 1] = 1.0
        if incident is not None:
            beam = run.map_of(incident)
            beam = np.where(beam > 0, beam / np.nanmedian(beam), np.nan) if np.isfinite(beam).any() else beam
            counts, variance = counts / beam, variance / beam**2
    variance[~np.isfinite(counts)] = np.nan
    return counts.reshape(shape), variance.reshape(shape)


def incident_of(run: Run, settings: Settings) -> str | None:
    """Return the data key of the beam before the sample: as told, as the run names it, or the rate of its chamber."""
    told = settings.incident or given_role(run.start, "incident")
    return told if told is not None and told in run.points else chambers(run.points).get(INCIDENT)


def _named(key: str, value: Numbers, variance: Numbers) -> Map:
    return Map.masked(key, "counts", value, np.sqrt(variance), np.isfinite(value))


def _energies(run: Run, shape: tuple[int, ...]) -> Numbers | None:
    """Return the energy of each map [eV]; NaN for those that have not begun."""
    read = run.energies_of("primary")
    if read is None:
        return None
    pixels = pixels_of(run.start, run.points.seq_nums, shape)
    with np.errstate(invalid="ignore"):
        planes = on_map(read, pixels, shape).reshape(shape[0] if len(shape) == 3 else 1, -1)
        known = np.isfinite(planes)
        sums = np.where(known, planes, 0).sum(axis=1)
    return np.asarray(sums / np.where(known.any(axis=1), known.sum(axis=1), np.nan))


def _begun(run: Run, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    pixels = pixels_of(run.start, run.points.seq_nums, shape)
    begun = np.zeros(shape[0], bool)
    begun[np.unique(pixels[pixels >= 0] // int(np.prod(shape[1:])))] = True
    return begun


def _whole(run: Run, shape: tuple[int, ...], plane: int) -> bool:
    size = int(np.prod(shape[1:]))
    pixels = pixels_of(run.start, run.points.seq_nums, shape)
    return int(np.count_nonzero(pixels // size == plane)) == size


def _fractions(
    energies: Numbers,
    value: NDArray[np.float32],
    noise: NDArray[np.float32],
    settings: Settings,
    least_jump_over_noise: float,
) -> dict[str, Map]:
    if not settings.references:
        return {}
    low, high = settings.covered
    inside = (energies >= low) & (energies <= high)
    basis = Basis.from_spectra(settings.references, energies[inside], background=settings.background)
    found = linear_combination(basis, value[inside], noise[inside], least_jump_over_noise=least_jump_over_noise)
    jump = Map("edge jump", "counts", found.jump.value, found.jump.error, found.jump.valid)
    return {one.name: one for one in (*found.fractions, jump)}


def _channels(run: Run, troubles: list[str]) -> Numbers | None:
    """Return the fluorescence spectrum of the whole raster, as far as it lies in the file."""
    try:
        stack = run.fluorescence
    except UnreadableRun:
        return None
    total = np.zeros(stack.shape[-1])
    try:
        for start in range(0, len(stack), CHUNK_POINTS):
            part = np.asarray(stack[start : start + CHUNK_POINTS], float)
            total += part.reshape(-1, part.shape[-1]).sum(axis=0)
    except UnreadableRun as error:
        troubles.append(str(error))
        return None
    return total


def _step(run: Run) -> float | None:
    """Return the step of the fast axis [µm], if it is known and in µm."""
    motors = [str(one) for one in run.start.get("motors", ())]
    if not motors or motors[-1] not in run.points or run.points.unit(motors[-1]) not in ("um", "µm", "micron"):
        return None
    steps = np.abs(np.diff(run.positions(motors[-1]).read))
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else None
