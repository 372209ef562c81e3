"""A tomography in the time that the turn takes: the rotation does not halt, and each frame has its measured angle."""

from collections.abc import Mapping, Sequence
from typing import Any

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.calibration.conclude import in_run
from whiteline.plans.frames import DarkPolicy
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.restoring import restoring
from whiteline.plans.shutter import closing
from whiteline.plans.tomogram import Flats, Tomogram, Turn


def fly_tomography(
    camera: Flyable,
    rotation: Movable[Any],
    *,
    capture: Flyable,
    energy: Readable[Any],
    sample: Readable[Any],
    shutter: Movable[Any],
    exposure_s: float,
    start: float = 0.0,
    stop: float = 180.0,
    velocity: float | None = None,
    projections: int | None = None,
    flats: Flats = "before and after",
    flat_frames: int = 10,
    darks: DarkPolicy = "before",
    dark_frames: int = 10,
    strict: bool = False,
    retries: int = 2,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take projections while the sample turns at constant speed.

    Parameters
    ----------
    camera : Flyable
        The camera as the capture box triggers it.
    rotation : Movable
        The axis that turns the sample, read by the box.
    capture : Flyable
        The capture box.
    energy : Readable
        Read once before the turn, and with flats and darks.
    sample : Readable
        The sample stage, with the steps that take the sample out of the beam.
    shutter : Movable
        Opened only while frames are taken that are no darks.
    exposure_s : float
        Of each frame [s]; the gate of a projection is that, and the readout of the camera.
    start, stop : float
        Angles from which and to which it turns [deg]: 0 and 180, or 0 and 360.
    velocity : float, optional
        Of the rotation [deg/s].
    projections : int, optional
        How many instead: the velocity follows from it.
    flats : {"before", "before and after", "none"}
        When frames without the sample are taken.
    flat_frames, dark_frames : int
        How many each time.
    darks : {"before", "before and after", "none"}
        When frames with the shutter closed are taken.
    strict : bool
        Whether the turn is taken again if the camera has missed triggers; if it misses some each time, that is an
        error. Else these projections are missing.
    retries : int
        How often a turn that has failed is taken again, from the first projection on that was not told of.
    only : mapping of str to sequence of int, optional
        What is taken, from 1: projections, the reading before them, flats and darks:
        ``{"fly": [41, 42, 43], "primary": [1], "flat": [2]}``. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, or that rotation or camera cannot do; nothing was moved then.
    """
    tomogram = Tomogram(
        camera, rotation, capture, sample=sample, shutter=shutter, turn=Turn(start, stop, velocity, projections),
        exposure_s=exposure_s, flats=flats, flat_frames=flat_frames, darks=darks, dark_frames=dark_frames,
        energy=energy, strict=strict, retries=retries,
    )  # fmt: skip
    tomogram.fly.check(tomogram.line)
    part = Part(tomogram.planned(), only)
    arguments = {
        "camera": camera, "rotation": rotation, "capture": capture, "energy": energy, "sample": sample,
        "shutter": shutter, "exposure_s": exposure_s, "start": start, "stop": stop, "velocity": velocity,
        "projections": projections, "flats": flats, "flat_frames": flat_frames, "darks": darks,
        "dark_frames": dark_frames, "strict": strict, "retries": retries,
    }  # fmt: skip
    about = start_metadata("fly_tomography", arguments, md, **tomogram.about(), **part.about())
    steps = closing(shutter)

    def turn(_: str) -> MsgGenerator[None]:
        yield from tomogram.take(tomogram.line, part)

    def scan() -> MsgGenerator[str]:
        yield from tomogram.remember(steps)
        return (yield from in_run(about, turn))

    return (yield from restoring(scan(), steps))
