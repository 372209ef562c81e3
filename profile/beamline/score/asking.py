"""Ask the twin for the truth of a run, and keep it beside the catalog: it is gone when the twin ends."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whiteline.analysis.runs.run import FLY, Run
from whiteline.beamline.description import Beamline
from whiteline.beamline.score.fly_truth import box_file, write_fly_truth
from whiteline.beamline.score.raster_maps import is_raster_stack
from whiteline.beamline.score.step_truth import spectra_exposures, write_step_truth
from whiteline.beamline.score.truth import NoTruth, exposures_of

ANSWER_S = 10.0
WRITE_S = 300.0
"""How long the twin may take to answer, and to write [s]."""


def kept_truth(beamline: Beamline, run: Run) -> Path:
    """Return where the truth of a run, or of one of its places, is kept, whether it is there or not."""
    place = "".join(f"_{index}" for index in run.position_indices if index > 0)
    return beamline.store.folder / "truth" / f"{run.uid}{place}.h5"


def keep_truth(beamline: Beamline, run: Run, *, answer_s: float = ANSWER_S) -> Path:
    """Let the twin write the truth in the frame of the first point of a run, or beside its lines, and keep it.

    Parameters
    ----------
    beamline : Beamline
        Of the twin, which still runs.
    run : Run
        That it was asked for, at one place of the sample.
    answer_s : float
        How long the twin may take to answer [s].

    Raises
    ------
    NoTruth
        If the beamline is none that is simulated, it does not answer, or knows nothing of this run.
    OSError
        If the file cannot be kept.
    """
    if beamline.simulation is None:
        raise NoTruth(f"{beamline.name} is no simulated beamline: nobody knows the truth of {run.name}")
    if not is_raster_stack(run):
        # the middle one of the frames whose mean is the first image
        first = exposures_of(run)[0]
        written = _written(beamline, run, int(first[first.size // 2]), answer_s)
        return _kept(beamline, run, lambda partial: shutil.copyfile(written, partial))
    if FLY in run.streams:
        beside = _beside(beamline, run, answer_s)
        return _kept(beamline, run, lambda partial: write_fly_truth(beamline, run, beside, partial))
    numbers = spectra_exposures(run)
    written = _written(beamline, run, int(numbers[numbers >= 0][0]), answer_s)
    return _kept(beamline, run, lambda partial: write_step_truth(beamline, run, written, partial))


def _kept(beamline: Beamline, run: Run, write: Callable[[Path], object]) -> Path:
    """Keep what a function writes as the truth of a run, whole or not at all."""
    place = kept_truth(beamline, run)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial")
    write(partial)
    partial.replace(place)
    return place


def _written(beamline: Beamline, run: Run, number: int, answer_s: float) -> Path:
    """Let the twin write the truth in the frame of an exposure, and return its file."""
    # imported here: with ophyd comes the client library, which reads where to search but once
    from ophyd import EpicsSignal, EpicsSignalRO

    assert beamline.simulation is not None
    prefix = f"{beamline.simulation.prefix}truth:"
    write = EpicsSignal(f"{prefix}write", name="truth_write", put_complete=True)
    frame = EpicsSignal(f"{prefix}frame", name="truth_frame", put_complete=True)
    file = EpicsSignalRO(f"{prefix}file", name="truth_file", string=True)
    message = EpicsSignalRO(f"{prefix}message", name="truth_message", string=True)
    _connect((write, frame, file, message), run, answer_s)
    frame.set(number).wait(ANSWER_S)
    write.set("Write").wait(WRITE_S)
    told = str(message.get())
    if told != f"in the frame {number}":
        raise NoTruth(f"the twin does not know the truth of {run.name}: {told}")
    return _told(file, run, answer_s)


def _beside(beamline: Beamline, run: Run, answer_s: float) -> Path:
    """Return what the box has written beside the file of the lines of a fly raster."""
    from ophyd import EpicsSignalRO

    assert beamline.simulation is not None
    file = EpicsSignalRO(f"{beamline.simulation.prefix}truth:file", name="truth_file", string=True)
    _connect((file,), run, answer_s)
    truth = _told(file, run, answer_s)
    beside = truth.with_name(f"{truth.stem}-{box_file(run).stem}.h5")
    if not beside.exists():
        raise NoTruth(f"the twin does not know the truth of {run.name}: there is no {beside}")
    return beside


def _told(file: Any, run: Run, answer_s: float) -> Path:
    """Return the path that a process variable tells; it is asked again if only the first letter of it has come."""
    deadline = time.monotonic() + answer_s
    while not (path := Path(str(file.get(use_monitor=False)))).name:
        if time.monotonic() > deadline:
            raise NoTruth(f"the twin does not say where the truth of {run.name} is: {file.pvname} is {str(path)!r}")
    return path


def _connect(signals: Sequence[Any], run: Run, answer_s: float) -> None:
    try:
        for signal in signals:
            signal.wait_for_connection(timeout=answer_s)
    except TimeoutError as error:
        raise NoTruth(
            f"the truth of {run.name} was not kept, and the simulated beamline that took it does not answer; score a "
            "run while its beamline still runs, or one of `whiteline demo`"
        ) from error
