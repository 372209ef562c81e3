"""The projections of a tomography with the angles that were measured, of a fly scan and of a step scan alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.pulses import Pulses
from whiteline.analysis.runs.roles import frames_key, given_role, is_spectra
from whiteline.analysis.runs.run import DARK, FLAT, Run
from whiteline.analysis.runs.unreadable import UnreadableRun


@dataclass(frozen=True, eq=False)
class Projections:
    """Frames with their angles; no frame of the sample is read.

    Parameters
    ----------
    frames : FrameStack, shape (n, Y, X)
        Raw counts, of those pulses or points that have a frame.
    angles : ndarray of float64, shape (n,)
        Measured [deg].
    flat, dark : ndarray of float32, shape (Y, X)
        Means of all that were taken.
    """

    frames: FrameStack
    angles: NDArray[np.float64]
    flat: NDArray[np.float32]
    dark: NDArray[np.float32]


def projections_of(run: Run, *, rotation: str | None = None, camera: str | None = None) -> Projections:
    """Return the projections of a run.

    Parameters
    ----------
    run : Run
        With flats and darks in streams of their own.
    rotation : str, optional
        Data key of the angle; `roles.rotation` of the start document, or else the only channel or reading in degrees.
    camera : str, optional
        Data key of the frames, if there are several cameras.

    Raises
    ------
    UnreadableRun
        If angles, frames, flats or darks are missing.
    """
    frames, angles = turned_frames(run, rotation=rotation, camera=camera)
    known = np.isfinite(angles)
    flats, darks = run.stack(camera, FLAT), run.stack(camera, DARK)
    if not known.any() or not len(flats) or not len(darks):
        what = "projections with an angle" if not known.any() else "flats" if not len(flats) else "darks"
        raise UnreadableRun(f"{run.name} has no {what} yet")
    means = [np.asarray(one.averaged([range(len(one))])[0], np.float32) for one in (flats, darks)]
    return Projections(frames.select(known), angles[known], means[0], means[1])


def turned_frames(
    run: Run, *, rotation: str | None = None, camera: str | None = None
) -> tuple[FrameStack, NDArray[np.float64]]:
    """Return all frames of the sample, shape (n, Y, X), and their angles [deg], NaN where one was not measured.

    Raises
    ------
    UnreadableRun
        If the run has no frames, or no angle that is known as such.
    """
    axis = rotation or given_role(run.start, "rotation") or _in_degrees(run)
    frames, pulses = frames_of_points(run, camera)
    return frames, np.asarray(run.points.numbers(axis)[pulses], float)


def _in_degrees(run: Run) -> str:
    """Return the only reading in degrees, of an axis under its own name."""
    points = run.points
    found = [key for key in points.data_keys if points.unit(key) in ("deg", "degree", "degrees")]
    if isinstance(points, Pulses):
        found = [key for key in found if key in points.channel_of] or found
    moved = [key for key in found if key in run.start.get("motors", ())]
    chosen = moved or found
    if len(chosen) != 1:
        raise UnreadableRun(
            f"which reading of {run.name} is the angle is not known ({', '.join(found) or 'none'} in degrees); name it "
            "as roles.rotation in the start document"
        )
    return chosen[0]


def frames_of_points(run: Run, camera: str | None = None) -> tuple[FrameStack, NDArray[np.int64]]:
    """Return the frames of those points of a run that have one, and the indices of these points.

    Raises
    ------
    UnreadableRun
        If there are none, or those of several cameras and none was chosen.
    """
    points = run.points
    if not isinstance(points, Pulses):
        return points.stack(frames_key(run.start, points, camera)), np.arange(len(points))
    found = {
        key: detector
        for detector, stream in points.table.frames_of_detectors.items()
        for key, shape in stream.external.items()
        if len(shape) > 1 and not is_spectra(stream, key)
    }
    wanted = camera or given_role(run.start, "frames")
    chosen = wanted if wanted in found else next(iter(found)) if len(found) == 1 and camera is None else None
    if chosen is None:
        raise UnreadableRun(
            f"{run.name} has frames of {', '.join(found) or 'no camera'} beside its pulses"
            + (f", and none of {camera!r}" if camera else "; choose one")
        )
    return run.fly.taken_frames(found[chosen])
