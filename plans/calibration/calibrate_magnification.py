"""The calibration of the magnification: the sample is moved to and fro, and its image followed."""

from collections.abc import Mapping
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.calibration.conclude import in_run
from whiteline.plans.calibration.displacement import Displacement
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.focus_series import prepared
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, Camera, SampleInAndOut, satisfying
from whiteline.plans.restoring import Step, restoring
from whiteline.plans.sample_out import SampleOut
from whiteline.plans.shutter import closing


def calibrate_magnification(
    camera: Readable[Any],
    energy: Movable[Any],
    axis: Movable[Any],
    *,
    shift: Readable[Any],
    sample: Readable[Any],
    shutter: Movable[Any] | None,
    dwell_s: float,
    frames: int = 10,
    displacement: float = 4.0,
    moves: int = 6,
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Calibrate the magnification of a full-field microscope: how far an image moves, over how far the sample does.

    Bring it into focus first: the magnification that is recorded follows from where zone plate and detector stand.

    Parameters
    ----------
    camera : Readable
        Takes the images.
    energy : Movable
        The energy axis, with its `magnification_calibration`.
    axis : Movable
        Of the sample, across the beam [µm]; its readback is what the image is measured by. It goes back at the end.
    shift : Readable
        Part of the live analysis, `live.shift`.
    sample : Readable
        The sample stage, which leaves the beam for a flat.
    shutter : Movable or None
        Open only while the camera exposes.
    dwell_s : float
        Of a frame [s].
    frames : int
        That make an image; the flat is of as many.
    displacement : float
        Of each move, half to either side of where the sample stands [µm]; below a quarter of the field.
    moves : int
        From one side to the other. A steady drift falls out, and the scatter tells of what else drifts.
    apply : bool
        Whether a good calibration is given to the energy axis.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With `factor`, measured over expected magnification. A bad one is not applied, and `reason` says why.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    photons = satisfying(energy, Axis, "energy")
    satisfying(camera, Camera, "camera")
    out = SampleOut(satisfying(sample, SampleInAndOut, "sample"))
    require_dwell(dwell_s)
    require_count(frames, "frames")
    way = Displacement(camera, photons, axis, shift=shift, out=out, shutter=shutter, um=displacement, moves=moves)
    arguments = {
        "camera": camera, "energy": energy, "axis": axis, "shift": shift, "sample": sample, "shutter": shutter,
        "dwell_s": dwell_s, "frames": frames, "displacement": displacement, "moves": moves, "apply": apply,
    }  # fmt: skip
    about = start_metadata(
        "calibrate_magnification", arguments, md,
        roles={"energy": photons.name, "frames": f"{camera.name}_image"}, detectors=[camera], motors=[way.axis],
        num_points=way.points, may_stop_early=True,
    )  # fmt: skip
    steps: list[Step] = closing(shutter)

    def scan() -> MsgGenerator[Calibrated]:
        yield from prepared([out.back()], steps, [energy, camera], [camera], dwell_s, frames, None)
        yield from remember([axis], steps)
        return (yield from in_run(about, lambda run: way.calibrated(run, apply)))

    return (yield from restoring(scan(), steps))
