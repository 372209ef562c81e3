"""What kind of run this is: a stack of frames, a raster, a point scan, or a tomography that was flown."""

from typing import Literal

from whiteline.analysis.runs.roles import given_role, is_spectra
from whiteline.analysis.runs.run import FLY, Run

Kind = Literal["stack", "raster", "points", "tomography"]


def kind_of(run: Run) -> Kind:
    """Tell what kind of run this is.

    Raises
    ------
    UnreadableRun
        If it has no points.
    """
    stream, turned = run.points, given_role(run.start, "rotation") is not None
    if FLY in run.streams:
        if turned or not run.fly.counters:
            return "tomography"
        # frames that were triggered beside counters are not what it is about
        return "points" if run.raster_shape is None else "raster"
    if any(len(shape) > 1 and not is_spectra(stream, key) for key, shape in stream.external.items()):
        return "stack"
    if turned:  # and not flown yet
        return "tomography"
    return "points" if run.raster_shape is None else "raster"
