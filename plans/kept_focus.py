"""Keep the focus during a stack: follow how far off it is likely to be, and look for it anew only when that is much.

Two things tell: the covariance of the calibration, which grows away from the energies that it was measured at; and the
fine detail of the images, which is lost when the zone plate has drifted. A series through focus costs dose and time,
so it is only taken when the error that they predict together has passed half of a depth of focus.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator
from event_model import DataKey

from whiteline.analysis.calibration import Calibration, FocusCalibration
from whiteline.analysis.focus import BestFocus, focus_by_sharpness
from whiteline.analysis.focus.refocus import defocus_of_detail, refocused
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.plans import stubs
from whiteline.plans.asking import Answer, ask
from whiteline.plans.calibration.conclude import conclude, origin, present
from whiteline.plans.calibration.emitted import Emitted
from whiteline.plans.calibration.looks import Look, usable_errors
from whiteline.plans.calibration.optic import Optic
from whiteline.plans.calibration.through_focus import Focus, ThroughFocus
from whiteline.plans.checks import require_count
from whiteline.plans.frames import Frames
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis
from whiteline.plans.restoring import Step

STREAM = "focus"
"""Of the events of what was expected, and of what was done about it."""

LARGEST = 0.5
"""Predicted error of the focus above which it is looked for anew [depths of focus]."""

NOTICED = 0.2
"""By how much the focus must have been off for the detail of the images to be believed again [depths of focus]."""

LACKING = 3.0
"""Detail that an image lacks tells of a defocus if it is more than so many of its standard errors: the best of many
images is so by chance, too."""


class KeptFocus:
    """Follows the focus of a stack, energy by energy.

    Parameters
    ----------
    sharpness : Readable
        Part of the live analysis, as `live.sharpness`.
    zone_plate : object
        With its axis `z` and its `calibration`.
    energy : Axis
        The energy axis, which places the zone plate.
    frames : Frames
        Takes the images.
    points : int
        Of a series through focus.
    most : int
        How many series there may be in a run.

    Raises
    ------
    OutOfRange, TypeError
        For what cannot be.
    """

    def __init__(
        self, sharpness: Readable[Any], zone_plate: object, energy: Axis, frames: Frames, *, points: int, most: int
    ) -> None:
        self._sharpness, self._energy = sharpness, energy
        self._optic = Optic(zone_plate)
        images = _Images(frames, energy, self._optic.z, sharpness)
        self._series = ThroughFocus(images, self._optic, points=points, span=None, search=None)
        self._most = require_count(most, "refocus_at_most", 0)
        self._limit = LARGEST
        self._done = 0
        self._expected = Expected()
        # a stream is of the same readables in all its events
        self._emitted = Emitted()

    def keep(self, at: float, run: str) -> MsgGenerator[None]:
        """Look for the focus, if it is likely to be off by too much; called at an energy, before its frames.

        Parameters
        ----------
        at : float
            Where the energy axis was sent [eV].
        run : str
            In which this is.
        """
        answer = yield from ask(self._sharpness, [self._energy])
        if answer.simulated:
            if self._done < self._most:
                self._done += 1
                yield from self._refocus(at, 0.0, run)
            return
        place = (yield from stubs.read(self._energy)) or {}
        energy = _value(place, self._energy.name, at)
        calibration = yield from present(self._optic.calibration)
        depth = 1e-3 * float(self._optic.law.depth_of_focus(energy))
        detector = _value(place, f"{self._energy.name}_detector_z", math.nan)
        self._expected.by_calibration = _known(calibration, energy, detector) / depth
        self._expected.by_detail = _lost(answer, self._optic.law, energy) / depth
        self._expected.why = answer.why
        total = self._expected.total
        off = total > self._limit and self._done < self._most
        self._expected.refocus = off
        yield from take_point([], [self._expected, self._energy], shutter=None, stream=STREAM)
        if off:
            self._done += 1
            moved = yield from self._refocus(at, self._expected.by_detail * depth, run)
            # what could not be mended is not tried at every energy; nor where the focus was as good as it can be, and
            # it was the sample that has shown less detail
            self._limit = LARGEST if moved > NOTICED * depth else 2 * total

    def _refocus(self, at: float, drifted: float, run: str) -> MsgGenerator[float]:
        """Look for the focus and take it over; return by how much it was off [mm], NaN if nothing was found."""
        stands = float((yield from bps.rd(self._optic.z, default_value=0.0)))
        focus: Focus | None = None
        why = ""
        try:
            focus = yield from self._series.find(stands, at, search=False)
        except ValueError as error:
            why = str(error)
        calibration = yield from present(self._optic.calibration)

        def make() -> Calibration:
            if focus is None:
                raise ValueError(why)
            if not isinstance(calibration, FocusCalibration):
                raise ValueError("the zone plate goes by a table: calibrate_focus measures it anew")
            about = origin(calibration, run)
            return refocused(
                calibration, energy=focus.energy, detector=focus.detector, reading=focus.best.z, error=focus.error,
                drifted=max(drifted, abs(focus.best.z - stands)), version=about.version, date=about.date,
                source=about.source,
            )  # fmt: skip

        found = yield from conclude("zone_plate", run, make, signal=self._optic.calibration, emitted=self._emitted)
        yield from stubs.checkpoint()
        yield from stubs.mv(self._energy, at)
        return abs(focus.best.z - stands) if found.applied and focus is not None else math.nan


class _Images:
    """Looks at images of a stack that are no part of it; a `Looks` of series through focus."""

    staged: Sequence[Readable[Any]] = ()

    def __init__(self, frames: Frames, energy: Axis, z: Axis, sharpness: Readable[Any]) -> None:
        self._frames, self._energy, self._z, self._sharpness = frames, energy, z, sharpness
        self._first_magnification = math.nan

    @property
    def steps(self) -> list[Step]:
        """None: the stack brings the sample back."""
        return []

    def arrive(self) -> MsgGenerator[None]:
        """Take a flat at this energy, and bring the sample in."""
        yield from self._frames.take_look_flats()
        yield from self._frames.go_in()

    def look(self) -> MsgGenerator[Look]:
        """Take an image, and ask how sharp it is."""
        reading = yield from self._frames.look()
        answer = yield from ask(self._sharpness, [self._energy])
        name = self._energy.name
        magnification = _value(reading, f"{name}_magnification", math.nan)
        if not math.isfinite(self._first_magnification):
            self._first_magnification = magnification
        # a sharpness per pixel of the sample: the image grows as the zone plate comes near
        scale = (magnification / self._first_magnification) ** 2 if math.isfinite(magnification) else 1.0
        return Look(
            z=_value(reading, self._z.name, math.nan),
            value=scale * answer.number("value"),
            error=scale * answer.number("error"),
            energy=_value(reading, name, math.nan),
            detector=_value(reading, f"{name}_detector_z", math.nan),
            why=answer.why,
        )

    def best(self, looks: Sequence[Look], zone_plate: ZonePlate) -> BestFocus:
        """Return where the series of sharpnesses is highest; raises `NoFocus`."""
        return focus_by_sharpness([one.z for one in looks], [one.value for one in looks], usable_errors(looks))


class Expected:
    """How far off the focus is likely to be, as a readable.

    Attributes
    ----------
    by_calibration, by_detail : float
        Standard error that the calibration predicts, and defocus by the fine detail that the newest image lacks
        [depths of focus]; NaN where it is not known.
    refocus : bool
        Whether it is looked for anew.
    why : str
        Why nothing is known of the newest image; empty if something is.
    """

    parent = None
    name = "focus"

    def __init__(self) -> None:
        self.by_calibration = self.by_detail = math.nan
        self.refocus = False
        self.why = ""

    @property
    def total(self) -> float:
        """Both together, as far as they are known [depths of focus]; NaN if neither is."""
        known = [one for one in (self.by_calibration, self.by_detail) if math.isfinite(one)]
        return math.hypot(*known) if known else math.nan

    def read(self) -> dict[str, Any]:
        """Return it."""
        values = {
            "focus_expected_error": self.total,
            "focus_by_calibration": self.by_calibration,
            "focus_by_detail": self.by_detail,
            "focus_refocus": int(self.refocus),
            "focus_reason": self.why,
        }
        return {key: {"value": value, "timestamp": time.time()} for key, value in values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is; depths of focus have no unit."""
        kinds = {str: "string", int: "integer", float: "number"}
        return {
            key: {"source": "PLAN", "dtype": kinds[type(one["value"])], "shape": []}  # type: ignore[typeddict-item]
            for key, one in self.read().items()
        }

    @property
    def hints(self) -> dict[str, Any]:
        """What a table shows."""
        return {"fields": ["focus_expected_error"]}


def _known(calibration: Calibration | None, energy: float, detector: float) -> float:
    """Return how well a calibration predicts the focus [mm]; NaN where it does not say."""
    if not isinstance(calibration, FocusCalibration):
        return math.nan
    if math.isfinite(detector):
        return float(calibration.full_field_error(energy, detector))
    return float(calibration.scanning_error(energy))


def _lost(answer: Answer, law: ZonePlate, energy: float) -> float:
    """Return the defocus that the fine detail tells [mm]; NaN where it is not known to a fifth, 0 if none is sure."""
    of_best, detail = answer.number("of_best"), answer.number("detail")
    pixel, error = answer.number("pixel_um"), answer.number("detail_error")
    if not (of_best > 0 and pixel > 0 and error < detail / 5):
        return math.nan
    if of_best + LACKING * error / detail > 1:
        return 0.0
    return defocus_of_detail(of_best, pixel, float(law.numerical_aperture(energy)))


def _value(reading: Mapping[str, Any], key: str, otherwise: float) -> float:
    return float(reading[key]["value"]) if key in reading else otherwise
