"""The focus kept during a stack: looked for anew when it is likely to be off, and only then."""

import math
from typing import Any

import numpy as np
import pytest
from calibration_fakes import CalibrationLine, Hidden
from test_calibration_focus import events, run

from whiteline.analysis.calibration import FocusCalibration, calibration_from_json
from whiteline.analysis.focus.refocus import _left
from whiteline.analysis.live.fake import FakeLive
from whiteline.plans import xanes_stack
from whiteline.plans.preflight import preflight

ENERGIES = [8330.0 + 3 * number for number in range(8)]
PIXEL_UM = 0.02
DEPTH_MM = 0.0243


class Stack:
    """A stack on a beamline whose zone plate drifts along the beam when a certain energy is reached."""

    def __init__(self, rng: np.random.Generator, *, drifts_at: float = math.inf, by: float = 0.0) -> None:
        self.line = CalibrationLine(rng, hidden=Hidden(zero_mm=0.0, ratio=1.0))
        self.drifts_at, self.by = drifts_at, by
        self.off: dict[float, float] = {}
        self.live = FakeLive(sharpness=self.told)
        self.trusted = True
        self.newest = 0.0

    def told(self, number: int) -> dict[str, Any]:
        """Say how sharp the newest frame is."""
        line = self.line
        sigma = abs(self.newest) * 1e3 * float(line.design.numerical_aperture(line.world.energy)) / 2 / PIXEL_UM
        of_best = _left(sigma) * (1 + 0.01 * line.rng.standard_normal())
        told = line.sharpness(number) | {"of_best": of_best, "detail": 0.4 * of_best, "pixel_um": PIXEL_UM}
        return told | {"detail_error": 0.004 if self.trusted else 1.0}

    def defocus(self) -> float:
        """Return how far the zone plate stands from focus [mm]."""
        line = self.line
        if line.world.energy >= self.drifts_at:
            line.hidden.zero_mm = self.by
        return line.defocus()

    def plan(self, **more: Any) -> Any:
        """Return the scan; how far each frame was off is noted as it is counted."""
        line = self.line

        def counted(world: Any) -> float:
            if world.sample_in:
                self.newest = self.off[world.energy] = self.defocus()
            return 1000.0

        line.world.signal = counted
        given = {"sharpness": self.live.sharpness, "zone_plate": line.zone_plate} | more
        return xanes_stack(
            line.camera, line.energy, ENERGIES, sample=line.sample, shutter=line.shutter, exposure_s=0.1, **given
        )

    @property
    def calibration(self) -> FocusCalibration:
        """What the zone plate holds."""
        found = self.line.zone_plate.calibration.calibration
        assert isinstance(found, FocusCalibration)
        return found


@pytest.mark.parametrize("by", [0.02, -0.03])
def test_a_focus_that_is_lost_is_found_again_once(seed: int, by: float) -> None:
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[3], by=by)
    _, documents = run(stack.plan())
    expected = events(documents, "focus")
    assert [one["focus_refocus"] for one in expected].count(1) == 1
    at = next(number for number, one in enumerate(expected) if one["focus_refocus"]) + 1
    assert at == 4  # the frames of the fourth energy have told it
    assert all(abs(stack.off[energy]) < 0.05 * DEPTH_MM for energy in ENERGIES[at:])
    (found,) = events(documents, "calibration")
    assert found["calibration_applied"] == 1
    assert calibration_from_json(found["calibration_result"]) == stack.calibration
    assert stack.calibration.a0 == pytest.approx(by, abs=0.05 * DEPTH_MM)
    assert stack.calibration.version == 1
    # the images of the series are no part of the stack
    assert len(events(documents, "primary")) == len(ENERGIES)
    assert len(events(documents, "look")) >= 11


def test_flats_of_a_series_through_focus_are_not_taken_for_those_of_the_stack(seed: int) -> None:
    """Flats are known by their numbers: a run that goes on would leave out as many as were taken besides."""
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[3], by=0.02)
    _, documents = run(stack.plan(flats="each"))
    assert [one["focus_refocus"] for one in events(documents, "focus")].count(1) == 1
    assert [one["energy"] for one in events(documents, "flat")] == pytest.approx(ENERGIES)
    assert [one["energy"] for one in events(documents, "look_flat")] == pytest.approx([ENERGIES[4]])


def test_a_focus_that_is_lost_twice_is_found_twice(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[2], by=0.02)
    once = stack.defocus

    def twice() -> float:
        if stack.line.world.energy >= ENERGIES[5]:
            stack.by = 0.045
        return once()

    stack.defocus = twice  # type: ignore[method-assign]
    _, documents = run(stack.plan())
    assert [one["focus_refocus"] for one in events(documents, "focus")].count(1) == 2
    assert [one["calibration_applied"] for one in events(documents, "calibration")] == [1, 1]
    assert abs(stack.off[ENERGIES[-1]]) < 0.05 * DEPTH_MM


def test_detail_that_the_sample_lacks_in_focus_starts_one_series_and_no_more(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed))
    in_focus = stack.told
    stack.live = FakeLive(sharpness=lambda number: in_focus(number) | ({"of_best": 0.4} if number > 2 else {}))
    _, documents = run(stack.plan())
    assert [one["focus_refocus"] for one in events(documents, "focus")].count(1) == 1
    assert len(events(documents, "primary")) == len(ENERGIES)


def test_a_lack_of_detail_within_its_error_starts_nothing(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed))
    in_focus = stack.told
    noisy = {"of_best": 0.45, "detail": 0.2, "detail_error": 0.039}
    stack.live = FakeLive(sharpness=lambda number: in_focus(number) | noisy)
    _, documents = run(stack.plan())
    assert not events(documents, "look")


def test_nothing_is_done_while_the_focus_is_good(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[3], by=0.2 * DEPTH_MM)
    before = stack.calibration
    _, documents = run(stack.plan())
    expected = events(documents, "focus")
    assert len(expected) == len(ENERGIES) - 1
    assert not any(one["focus_refocus"] for one in expected)
    assert all(one["focus_expected_error"] < 0.5 for one in expected)
    assert stack.calibration is before
    assert not events(documents, "look")


def test_what_is_not_known_well_starts_nothing(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[3], by=0.03)
    stack.trusted = False
    _, documents = run(stack.plan())
    assert all(math.isnan(one["focus_by_detail"]) for one in events(documents, "focus"))
    assert not events(documents, "look")


def test_a_series_that_finds_nothing_changes_nothing_and_is_not_tried_at_each_energy(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed), drifts_at=ENERGIES[2], by=0.03)
    stack.line.contrast = 0.0
    before = stack.calibration
    _, documents = run(stack.plan())
    (found,) = events(documents, "calibration")
    assert found["calibration_applied"] == 0
    assert found["calibration_reason"]
    assert stack.calibration is before
    assert len(events(documents, "primary")) == len(ENERGIES)


def test_preflight_counts_the_series_that_there_may_be(seed: int) -> None:
    stack = Stack(np.random.default_rng(seed))
    report = preflight(stack.plan(refocus_points=9, refocus_at_most=2))
    # two of nine places each, which may both be taken once more about what they have found
    assert report.walked.events["look"] == 2 * 2 * 9
    assert report.walked.up_to
    assert not report.violations


@pytest.mark.parametrize("lacking", [{"sharpness": None}, {"zone_plate": None}, {"flats": "none"}])
def test_all_that_is_needed_must_be_given(seed: int, lacking: dict[str, Any]) -> None:
    stack = Stack(np.random.default_rng(seed))
    with pytest.raises(ValueError, match="sharpness, zone_plate and flats are needed"):
        list(stack.plan(**lacking))
