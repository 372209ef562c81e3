"""What kind of run this is: a stack of frames, a raster, or a point scan."""

from typing import Literal

from whiteline.analysis.runs.roles import is_spectra
from whiteline.analysis.runs.run import PRIMARY, Run

Kind = Literal["stack", "raster", "points"]


def kind_of(run: Run) -> Kind:
    """Tell what kind of run this is.

    Raises
    ------
    UnreadableRun
        If it has no stream "primary".
    """
    stream = run.stream(PRIMARY)
    if any(len(shape) > 1 and not is_spectra(stream, key) for key, shape in stream.external.items()):
        return "stack"
    return "points" if run.raster_shape is None else "raster"
