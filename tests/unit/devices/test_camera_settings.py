"""What a camera may be set to, and what follows from it; no IOC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis.checks import OutOfRange
from whiteline.devices.camera_settings import CameraSettings

SENSOR = (100, 120)
"""Rows and columns."""

MODES = ("Internal", "External")
GOOD = CameraSettings(0.1, 0.02, 3, (8, 4, 60, 40), 2, "Internal", 5.0)


def test_shape_and_time_follow_from_the_settings() -> None:
    GOOD.require("camera", SENSOR, MODES)
    assert GOOD.shape == (3, 20, 30)
    assert GOOD.duration(internal=True) == pytest.approx(0.36)
    assert GOOD.duration(internal=True, period=0.5) == pytest.approx(1.5)
    assert GOOD.duration(internal=False) == pytest.approx(15.36)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"exposure": 0.0}, "exposure of camera 0 s must be a finite number above 0"),
        ({"exposure": float("nan")}, "must be a finite number above 0"),
        ({"exposure": 5000.0}, "must lie between 0 and 3600 s; give it in seconds"),
        ({"readout": -0.1}, "readout of camera -0.1 s must not be negative"),
        ({"pulse_wait": float("inf")}, "pulse_wait of camera inf s must be a finite number"),
        ({"frames": 0}, "frames of camera 0 must be a whole number from 1 on"),
        ({"frames": True}, "frames of camera 1 must be a whole number"),
        ({"binning": 1.5}, "binning of camera 1.5 must be a whole number"),
        ({"roi": (0, 0, 122, 40)}, "width of camera 122 pixels from x = 0 leaves the sensor, which ends at 120"),
        ({"roi": (0, 90, 60, 20)}, "height of camera 20 pixels from y = 90 leaves the sensor, which ends at 100"),
        ({"roi": (-1, 0, 60, 40)}, "roi x of camera -1 must be a whole number from 0 on"),
        ({"roi": (0, 0, 60, 41)}, "height of camera 41 pixels must be a multiple of the binning 2; take 40"),
    ],
)
def test_what_is_not_possible_is_refused_with_name_value_limit_and_unit(wrong, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OutOfRange, match=says):
        GOOD.changed(wrong).require("camera", SENSOR, MODES)


def test_a_trigger_mode_is_one_that_the_ioc_lists() -> None:
    with pytest.raises(ValueError, match="'Bulb' is not one of those of its IOC: Internal, External"):
        GOOD.changed({"trigger_mode": "Bulb"}).require("camera", SENSOR, MODES)
    with pytest.raises(ValueError, match=r"must be \(x, y, width, height\)"):
        GOOD.changed({"roi": (0, 0, 60)}).require("camera", SENSOR, MODES)


@given(st.integers(0, 130), st.integers(1, 130), st.integers(0, 130), st.integers(1, 130), st.integers(1, 9))
def test_a_region_is_taken_exactly_if_it_lies_on_the_sensor_in_whole_binned_pixels(
    x: int, width: int, y: int, height: int, binning: int
) -> None:
    fits = x + width <= SENSOR[1] and y + height <= SENSOR[0] and width % binning == height % binning == 0
    settings = GOOD.changed({"roi": (x, y, width, height), "binning": binning})
    if fits:
        settings.require("camera", SENSOR, MODES)
        frames, rows, columns = settings.shape
        assert (frames, rows * binning, columns * binning) == (3, height, width)
    else:
        with pytest.raises(OutOfRange):
            settings.require("camera", SENSOR, MODES)
