"""What kind of run this is: a stack of frames, a raster, a point scan, or a tomography that was flown."""

from typing import Literal

from whiteline.analysis.runs.roles import is_spectra
from whiteline.analysis.runs.run import FLY, Run

Kind = Literal["stack", "raster", "points", "tomography"]


def kind_of(run: Run) -> Kind:
    """Tell what kind of run this is.

    Raises
    ------
    UnreadableRun
        If it has no points.
    """
    stream = run.points
    if FLY in run.streams and run.fly.counters:
        # frames that were triggered beside the counters are not what it is about
        return "points" if run.raster_shape is None else "raster"
    if FLY in run.streams:
        return "tomography"
    if any(len(shape) > 1 and not is_spectra(stream, key) for key, shape in stream.external.items()):
        return "stack"
    return "points" if run.raster_shape is None else "raster"
