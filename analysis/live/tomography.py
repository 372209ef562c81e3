"""A tomography at its end: the axis of rotation by its own projections, and one slice, to see whether to go on."""

from typing import Any

import numpy as np

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.live.recipes import pixel_um
from whiteline.analysis.live.results import Results, provenance_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.projections import projections_of
from whiteline.analysis.runs.pulses import Pulses
from whiteline.analysis.runs.run import FLAT, Run
from whiteline.analysis.tomography.preview import Preview, preview_slice


def preview_of(run: Run, settings: Settings | None = None, **options: Any) -> Preview:
    """Return the axis of rotation, and one slice, of a run, a fly scan or a step scan.

    Parameters
    ----------
    run : Run
        Of a tomography, with flats and darks.
    settings : Settings, optional
        Which camera, its gain, and how far frames are binned for registration.
    **options
        Others of `tomography.preview_slice`: row, band, centre, window.

    Raises
    ------
    UnreadableRun
        If angles, frames, flats or darks are missing, or cannot be read.
    OutOfRange
        As `tomography.preview_slice`.
    """
    chosen = settings or Settings()
    found = projections_of(run, camera=chosen.camera)
    binning = max(1, -(-min(found.frames.shape[1:]) // chosen.registration_side))
    known = {"binning": binning, "gain": chosen.gain, "pixel_um": _pixel_um(run)}
    return preview_slice(found.frames, found.angles, found.flat, found.dark, **(known | options))


def tomography_of(run: Run, settings: Settings) -> Results:
    """Analyse a tomography: nothing while it goes on, as an axis by half a turn alone would mislead.

    Raises
    ------
    UnreadableRun
        As `preview_of`.
    """
    troubles = list(run.fly.troubles) if isinstance(run.points, Pulses) else []
    maps: dict[str, Map] = {}
    pixel = _pixel_um(run)
    if not run.going:
        try:
            found = preview_of(run, settings)
            valid = np.isfinite(found.value)
            maps["slice"] = Map("slice", "1/um" if pixel else "1/px", found.value, found.error, valid)
        except OutOfRange as trouble:
            troubles.append(f"no slice is reconstructed: {trouble}")
    energies = run.energies_of("primary")
    return Results(
        kind="tomography",
        uid=run.uid,
        run=run.name,
        energies=np.empty(0) if energies is None else np.unique(energies[np.isfinite(energies)]),
        maps=maps,
        pixel_um=pixel,
        over=not run.going,
        exit_status=run.exit_status,
        troubles=tuple(troubles),
        provenance=provenance_of(settings, run.uid),
    )


def _pixel_um(run: Run) -> float | None:
    """Return the size of a pixel at the sample [µm], as it was recorded with the flats; None if it was not."""
    return pixel_um(run, run.stream(FLAT)) if FLAT in run.streams else None
