"""The magnification: as true as is said, over what was held before; and what cannot be measured changes nothing."""

from typing import Any

import numpy as np
import pytest
from calibration_fakes import CalibrationLine, Hidden
from test_calibration_focus import ENERGIES, by_image, events, run, state

from whiteline.analysis.calibration import MagnificationCalibration
from whiteline.analysis.live.fake import FakeLive
from whiteline.plans import calibrate_focus, calibrate_magnification


@pytest.fixture
def line(seed: int) -> CalibrationLine:
    return CalibrationLine(np.random.default_rng(seed))


def by_moves(line: CalibrationLine, **more: Any) -> Any:
    given = {"shift": line.live.shift, "sample": line.sample, "shutter": line.shutter, "dwell_s": 0.1} | more
    return calibrate_magnification(line.camera, line.energy, line.sample.x, **given)


def held(line: CalibrationLine) -> Any:
    return line.energy.magnification_calibration.calibration


def test_the_factor_is_right_and_the_next_one_is_on_top_of_it(line: CalibrationLine) -> None:
    before = state(line)
    for version in (1, 2):
        found, documents = run(by_moves(line))
        assert found.applied, found.reason
        assert held(line) == found.calibration
        assert isinstance(found.calibration, MagnificationCalibration)
        assert (found.calibration.version, found.calibration.source) == (version, documents[0][1]["uid"])
        assert abs(found.calibration.factor - line.hidden.magnification) < 6 * found.calibration.error
        assert found.calibration.error < 1e-3
    assert state(line) == before
    assert len(events(documents, "primary")) == 7


def test_calibrate_focus_gives_it_too(line: CalibrationLine) -> None:
    line.hidden = Hidden(zero_mm=0.01, ratio=1.0)
    how = by_image(line, search=None, displaced=line.sample.x)
    plan = calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **how)
    before = state(line)
    found, documents = run(plan)
    assert found.applied, found.reason
    factor, error, _ = found.quantities["magnification"]
    assert abs(factor - line.hidden.magnification) < 6 * error
    assert held(line).factor == factor
    assert [one["calibration_of"] for one in events(documents, "calibration")] == ["zone_plate", "magnification"]
    assert len({one["group"] for name, one in documents if name == "start"}) == 1
    assert state(line) | {"detector": 0, "gap": 0, "zone_plate_z": 0} == before | {
        "detector": 0, "gap": 0, "zone_plate_z": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "more", "says"),
    [
        ({"contrast": 0.0}, {}, "no magnification was found: image 1 cannot be compared"),
        ({}, {"displacement": 12.0}, "no magnification was found: image 1 cannot be compared"),
        ({"pixel_um": 4.0}, {}, "relative error of the magnification"),
        ({"magnified": 1.2}, {}, "must lie within 0.1 of 1; does the axis move across the beam"),
        ({"failing": "it has no flat"}, {}, "no magnification was found: it has no flat"),
        ({"limits": (2.0, 4.0)}, {}, "sample_x 1 um must lie between"),
    ],
)
def test_bad_luck_changes_nothing_and_is_told(
    line: CalibrationLine, change: dict[str, Any], more: dict[str, Any], says: str
) -> None:
    line.contrast, line.pixel_um = change.get("contrast", 1.0), change.get("pixel_um", 0.04)
    line.hidden.magnification = change.get("magnified", 1.003)
    line.sample.x.limits = change.get("limits", (-500.0, 500.0))
    if "failing" in change:
        line.live = FakeLive(failing={"shift": change["failing"]})
    before = state(line)
    found, documents = run(by_moves(line, **more))
    assert not found.applied
    assert says in found.reason
    assert events(documents, "calibration")[0]["calibration_reason"] == found.reason
    assert held(line) is None
    assert state(line) == before


@pytest.mark.parametrize(
    ("more", "says"),
    [({"moves": 1}, "moves 1"), ({"displacement": 0.0}, "displacement 0 µm"), ({"frames": 0}, "frames 0")],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: CalibrationLine, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        next(by_moves(line, **more))
