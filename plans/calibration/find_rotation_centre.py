"""The axis of rotation: where it stands by images half a turn apart, and to the middle, if that is asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.calibration.rotation import RotationCalibration
from whiteline.analysis.registration import mean_of_turns
from whiteline.plans.asking import Answer, ask
from whiteline.plans.calibration.conclude import in_run, origin, record
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.focus_series import prepared
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, Camera, SampleInAndOut, check_together, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring
from whiteline.plans.sample_out import SampleOut
from whiteline.plans.shutter import closing
from whiteline.plans.supposing import suppose

OF = "sample.rotation"
"""What is calibrated, as the beamline calls it."""

HALF_A_TURN_DEG = 180.0

LARGEST_ERROR_PX = 1.0
"""An axis that is known to no better gives every particle a tail in the slices of a tomography."""

FOLLOWS_ERRORS, FOLLOWS_PX = 5.0, 1.0
"""After a move the axis must stand in the middle within so many standard errors and this, or it does not follow."""


def find_rotation_centre(
    camera: Readable[Any],
    energy: Movable[Any],
    rotation: Movable[Any],
    stage: Movable[Any],
    *,
    centre: Readable[Any],
    sample: Readable[Any],
    shutter: Movable[Any] | None,
    dwell_s: float,
    frames: int = 10,
    pairs: int = 2,
    move: bool = False,
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Find where the axis of rotation stands in the image of a full-field microscope.

    Images are taken at the angle where the rotation stands and half a turn on, in turn; each makes a pair with the one
    before. Take them where the sample has contrast, with features that stay in the field for the whole turn.

    Parameters
    ----------
    camera : Readable
        Takes the images.
    energy : Movable
        The energy axis, read with each image.
    rotation : Movable
        Of the sample [deg]; it goes back at the end.
    stage : Movable
        Carries the axis of rotation across the beam, as `sample.x` [µm].
    centre : Readable
        Part of the live analysis, `live.rotation`.
    sample : Readable
        The sample stage, which leaves the beam for a flat.
    shutter : Movable or None
        Open only while the camera exposes.
    dwell_s : float
        Of a frame [s].
    frames : int
        That make an image; the flat is of as many.
    pairs : int
        Of images. From two on their scatter tells what drifts and wobbles.
    move : bool
        Whether the stage takes the axis to the middle of the image. That is checked by one more pair; where the axis
        has not followed, the stage goes back.
    apply : bool
        Whether a good result is kept as that of the beamline. No device holds it, so that its version is always 1.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With the quantities `column` [px], `off` [µm], by how much the axis stands beside the middle of the image,
        `position` [µm] of the stage that takes it there, and `tilt` [mrad] where it was found. Where the axis was not
        found nothing has changed, and `reason` says why.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    axis, turn = satisfying(energy, Axis, "energy"), satisfying(rotation, Axis, "rotation")
    across = satisfying(stage, Axis, "stage")
    satisfying(camera, Camera, "camera")
    out = SampleOut(satisfying(sample, SampleInAndOut, "sample"))
    require_dwell(dwell_s)
    require_count(frames, "frames")
    require_count(pairs, "pairs")
    arguments = {
        "camera": camera, "energy": energy, "rotation": rotation, "stage": stage, "centre": centre, "sample": sample,
        "shutter": shutter, "dwell_s": dwell_s, "frames": frames, "pairs": pairs, "move": move, "apply": apply,
    }  # fmt: skip
    about = start_metadata(
        "find_rotation_centre", arguments, md,
        roles={"energy": axis.name, "frames": f"{camera.name}_image", "rotation": turn.name}, detectors=[camera],
        motors=[turn], num_points=pairs + 1 + 2 * move, may_stop_early=True,
    )  # fmt: skip
    steps: list[Step] = closing(shutter)
    also = [axis, turn, across]

    def image(angle: float) -> MsgGenerator[dict[str, Any]]:
        yield from bps.mv(turn, angle)
        return (yield from take_point([camera], also, shutter=shutter))

    def body(run: str, angles: Sequence[float]) -> MsgGenerator[Calibrated]:
        yield from out.go_out()
        yield from take_point([camera], also, shutter=shutter, stream="flat")
        yield from out.go_in()
        stands: list[float] = []
        answers: list[Answer] = []
        for number in range(pairs + 1):
            stands.append(value_of((yield from image(angles[number % 2])), across.name))
            if number:
                answers.append((yield from ask(centre)))
        known: AxisFound | None = None
        try:
            axes = known = found_axis(answers)
            calibration = axes.calibration(stands, run)
        except ValueError as error:
            found = Calibrated(OF, reason=str(error), run=run)
            known = yield from suppose(AxisFound(math.nan, math.nan, 0.0, math.nan, (), math.nan, math.nan))
        else:
            found = Calibrated.by(OF, calibration)
            quantities = {**found.quantities, **axes.quantities}
            found = replace(
                found, quantities=quantities, applied=apply, reason="" if apply else "it was not to be kept"
            )
        if move and known is not None:
            why = yield from to_the_middle(stands[-1], angles[pairs % 2], angles[(pairs + 1) % 2], known)
            if why:
                found = replace(found, applied=False, reason=why)
        yield from record(found)
        return found

    def to_the_middle(stands: float, here: float, then: float, before: "AxisFound") -> MsgGenerator[str]:
        """Move, and return why that did not help, "" if it did: the stage is left there, else taken back.

        It moves by how far the axis is off: its reading differs from angle to angle, as it sees the wobble, too.
        """
        try:
            check_together(across, [stands - before.off])
        except ValueError as error:
            return f"the stage was not moved: {error}"
        back = putting_back(across, stands)
        steps.append(back)
        yield from bps.mv(across, stands - before.off)
        yield from image(here)
        yield from image(then)
        try:
            after = found_axis([(yield from ask(centre))])
            allowed = FOLLOWS_ERRORS * math.hypot(before.off_error, after.off_error) + FOLLOWS_PX * before.pixel
            if not abs(after.off) <= allowed:
                return (
                    f"the axis did not follow the stage: it stood {before.off:+.3g} µm beside the middle of the image, "
                    f"and after a move by {-before.off:+.3g} µm {after.off:+.3g} µm; the stage was "
                    "taken back: does it carry the rotation, and along the rows of the camera?"
                )
        except ValueError as error:
            return f"after the move {error}; the stage was taken back"
        steps[:] = [one for one in steps if one not in (back, brings_back)]
        return ""

    brings_back = out.back()

    def scan() -> MsgGenerator[Calibrated]:
        home = yield from bps.rd(turn, default_value=None)
        steps.extend([putting_back(rotation, home)] if home is not None else [])
        yield from prepared([brings_back], steps, [energy, camera], [camera], dwell_s, frames, None)
        first = 0.0 if home is None else float(home)
        angles = first, half_a_turn_from(turn, first)
        return (yield from in_run(about, lambda run: body(run, angles)))

    return (yield from restoring(scan(), steps))


@dataclass(frozen=True)
class AxisFound:
    """Where the axis stands by several pairs of images.

    Parameters
    ----------
    column, column_error : float
        [px]
    off, off_error : float
        Beside the middle of the image [µm].
    offs : tuple of float
        By each pair.
    tilt, tilt_error : float
        [mrad]; NaN where it was not found.
    """

    column: float
    column_error: float
    off: float
    off_error: float
    offs: tuple[float, ...]
    tilt: float
    tilt_error: float

    @property
    def pixel(self) -> float:
        """Size of a pixel at the sample [µm]."""
        return self.off_error / self.column_error

    @property
    def quantities(self) -> dict[str, tuple[float, float, str]]:
        """What is recorded beside the calibration."""
        return {"column": (self.column, self.column_error, "px"), "off": (self.off, self.off_error, "µm")}

    def calibration(self, stands: Sequence[float], run: str) -> RotationCalibration:
        """Return what is kept, for the readings of the stage with which the images were taken [µm].

        An interferometer sees the axis wobble: the mean of two readings half a turn apart is what it wobbles about.
        """
        known = math.isfinite(self.tilt) and self.tilt_error > 0
        places = [(one + next_) / 2 - off for one, next_, off in zip(stands[:-1], stands[1:], self.offs, strict=True)]
        position, _ = mean_of_turns(places, [self.off_error] * len(places))
        here = origin(None, run)
        return RotationCalibration(
            position=position,
            error=self.off_error,
            tilt_mrad=self.tilt if known else None,
            tilt_error_mrad=self.tilt_error if known else None,
            version=here.version,
            date=here.date,
            source=here.source,
        )


def found_axis(answers: Sequence[Answer]) -> AxisFound:
    """Return the axis by what the live analysis has said of each pair.

    Raises
    ------
    ValueError
        If a pair was not analysed, is not to be believed, or the axis is known to no better than half a pixel.
    """
    for answer in answers:
        if answer.simulated:
            raise ValueError("no axis of rotation is looked for in a simulation")
        if answer.why:
            raise ValueError(f"no axis of rotation was found: {answer.why}")
        if answer.number("trusted") != 1:
            raise ValueError(f"no axis of rotation was found: {answer.values.get('reason') or 'it is not trusted'}")
    column, column_error = mean_of_turns(*([one.number(key) for one in answers] for key in ("column", "error")))
    offs = [one.number("off_um") for one in answers]
    off, off_error = mean_of_turns(offs, [one.number("error_um") for one in answers])
    if not column_error <= LARGEST_ERROR_PX:
        raise ValueError(
            f"the axis of rotation is known to no better than {column_error:.2g} px, above {LARGEST_ERROR_PX:g} px: "
            "count longer, or let the sample come to rest"
        )
    if not math.isfinite(off):
        raise ValueError(f"the size of a pixel was not recorded: the axis stands in column {column:.2f}, in no unit")
    tilts = np.array([(one.number("tilt_mrad"), one.number("tilt_error_mrad")) for one in answers])
    tilts = tilts[np.isfinite(tilts).all(axis=1)]
    tilt = mean_of_turns(tilts[:, 0].tolist(), tilts[:, 1].tolist()) if len(tilts) else (math.nan, math.nan)
    return AxisFound(column, column_error, off, off_error, tuple(offs), *tilt)


def half_a_turn_from(rotation: object, angle: float) -> float:
    """Return an angle half a turn away from one that the axis can go to, forward if it can [deg].

    Raises
    ------
    ValueError
        If it can go there neither way.
    """
    try:
        check_together(rotation, [angle + HALF_A_TURN_DEG])
    except ValueError:
        check_together(rotation, [angle - HALF_A_TURN_DEG])
        return angle - HALF_A_TURN_DEG
    return angle + HALF_A_TURN_DEG
