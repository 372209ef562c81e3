"""The axis of rotation is found and comes to the middle; where it does not, all is as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibration_fakes import CalibrationLine
from test_calibration_focus import events, run, state

from whiteline.analysis.calibration import RotationCalibration
from whiteline.analysis.live.fake import FakeLive
from whiteline.beamline.kept_calibrations import KeptCalibrations
from whiteline.plans import find_rotation_centre


@pytest.fixture
def line(seed: int) -> CalibrationLine:
    return CalibrationLine(np.random.default_rng(seed))


def about(line: CalibrationLine, **more: Any) -> Any:
    given = {"centre": line.live.rotation, "sample": line.sample, "shutter": line.shutter, "dwell_s": 0.1} | more
    return find_rotation_centre(line.camera, line.energy, line.sample.rotation, line.sample.x, **given)


@pytest.mark.parametrize("move", [False, True])
def test_the_axis_is_found_and_comes_to_the_middle_if_it_is_asked(
    line: CalibrationLine, tmp_path: Path, move: bool
) -> None:
    kept, before = KeptCalibrations(tmp_path), state(line)
    found, documents = run(about(line, pairs=3, move=move))
    for document in documents:
        kept(*document)
    assert found.applied, found.reason
    assert isinstance(found.calibration, RotationCalibration)
    assert abs(found.calibration.position - line.hidden.axis_um) < 6 * found.calibration.error
    assert found.calibration.error < line.pixel_um / 10
    assert found.quantities["off"][0] == pytest.approx(before["x"] - found.calibration.position)
    assert found.quantities["tilt"][0] == pytest.approx(1.5)
    assert found.quantities["column"][0] == pytest.approx(255.5 + found.quantities["off"][0] / line.pixel_um)
    assert kept.newest() == {"sample.rotation": found.calibration}
    after = state(line)
    assert after.pop("x") == pytest.approx(found.calibration.position if move else before["x"])
    before.pop("x")
    assert after == before
    # the sample was out for the flat alone, and turned by half a turn from image to image
    assert [one.sample_in for one in line.world.exposures] == [False] + [True] * (4 + 2 * move)
    angles = [one["sample_rotation"] for one in events(documents, "primary")]
    assert np.abs(np.diff(angles)).tolist() == [180.0] * 3 + ([0.0, 180.0] if move else [])


def nothing_changed(line: CalibrationLine, **more: Any) -> str:
    """Run the plan, which is to find nothing, and return why."""
    before = state(line)
    found, documents = run(about(line, move=True, **more))
    assert not found.applied
    assert state(line) == before
    (event,) = events(documents, "calibration")
    assert event["calibration_applied"] == 0
    assert event["calibration_reason"] == found.reason
    return str(found.reason)


def test_without_contrast_nothing_changes(line: CalibrationLine) -> None:
    line.contrast = 0.0
    assert nothing_changed(line) == "no axis of rotation was found: the two do not match"


def test_an_empty_frame_changes_nothing(line: CalibrationLine) -> None:
    line.live = FakeLive(failing={"rotation": "frame 1 has no good pixel"})
    assert nothing_changed(line) == "no axis of rotation was found: frame 1 has no good pixel"


def test_an_axis_that_is_known_too_poorly_is_not_kept(line: CalibrationLine) -> None:
    line.live = FakeLive(rotation=[{"column": 250.0}, {"column": 253.0}])
    assert "known to no better than 1.5 px, above 1 px" in nothing_changed(line)


def test_an_axis_that_does_not_follow_the_stage_is_told_and_the_stage_goes_back(line: CalibrationLine) -> None:
    line.carried = False
    assert "the axis did not follow the stage" in nothing_changed(line)


def test_a_middle_out_of_reach_is_told(line: CalibrationLine) -> None:
    line.sample.x.limits = (2.9, 10.0)
    assert "the stage was not moved: sample_x 2." in nothing_changed(line)


@pytest.mark.parametrize(
    ("more", "says"), [({"pairs": 0}, "pairs 0"), ({"frames": 0}, "frames 0"), ({"dwell_s": -1.0}, "dwell -1 s")]
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: CalibrationLine, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        next(about(line, **more))


def test_half_a_turn_goes_the_way_that_there_is(line: CalibrationLine) -> None:
    line.sample.rotation.limits = (-190.0, 90.0)
    _, documents = run(about(line))
    assert [one["sample_rotation"] for one in events(documents, "primary")] == [0.0, -180.0, 0.0]
    line.sample.rotation.limits = (-90.0, 90.0)
    line.world.exposures.clear()
    with pytest.raises(ValueError, match="sample_rotation -180"):
        run(about(line))
    assert not line.world.exposures
