"""When an interferometer's readings say that a stage rests, and that it is where it should be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def shown() -> Callable[[NDArray[np.float64]], list[Any]]:
    """Return readings at 100 Hz."""
    from whiteline.devices.interferometer import Shown

    return lambda positions: [Shown(n, 1000 + n / 100, float(position)) for n, position in enumerate(positions)]


def test_it_is_there_only_after_it_stayed_long_enough_without_a_break(shown: Any) -> None:
    from whiteline.devices.interferometer import stays_inside

    inside = [1.0] * 6  # 50 ms from the first to the last
    assert stays_inside(shown([9.0, *inside]), 1.0, 0.01, 0.0499)
    assert not stays_inside(shown([9.0, *inside[:-1]]), 1.0, 0.01, 0.0499)
    assert not stays_inside(shown([*inside, 9.0]), 1.0, 0.01, 0.0499)
    assert not stays_inside(shown([*inside[:3], 9.0, *inside[3:]]), 1.0, 0.01, 0.0499)
    assert not stays_inside(shown([]), 1.0, 0.01, 0.0)
    assert not stays_inside(shown([1.0]), 1.0, 0.01, 0.0)


@pytest.mark.parametrize(("off", "there"), [(0.009, True), (-0.009, True), (0.011, False), (-0.011, False)])
def test_the_band_goes_both_ways(shown: Any, off: float, there: bool) -> None:
    from whiteline.devices.interferometer import stays_inside

    assert stays_inside(shown([1.0 + off] * 20), 1.0, 0.01, 0.05) == there


def test_a_stage_that_vibrates_rests_and_one_that_creeps_does_not(shown: Any) -> None:
    from whiteline.devices.interferometer import steady

    times = np.arange(50) / 100
    vibration = 0.006 * np.sin(2 * np.pi * 23 * times)
    assert steady(shown(vibration), 0.015, 0.05)
    assert not steady(shown(vibration + times), 0.015, 0.05)  # 1 um/s: 50 nm in the time
    assert not steady(shown(vibration[:4]), 0.015, 0.05)
    assert not steady([], 0.015, 0.05)


def test_only_the_newest_readings_tell_whether_it_rests(shown: Any) -> None:
    from whiteline.devices.interferometer import steady

    assert steady(shown(np.r_[np.linspace(0, 5, 30), np.full(7, 5.0)]), 0.015, 0.05)
    assert not steady(shown(np.r_[np.full(30, 5.0), 5.5]), 0.015, 0.05)


def test_readings_that_come_seldom_tell_too(shown: Any) -> None:
    from whiteline.devices.interferometer import Shown, steady

    seldom = [Shown(n, n / 10, position) for n, position in enumerate([0.0, 5.0, 5.001])]  # at 10 Hz
    assert steady(seldom, 0.015, 0.05)
    assert not steady(seldom[:2], 0.015, 0.05)


@pytest.mark.parametrize("channels", [{}, {"u": 1}, {"x": 1, "theta": 2}])
def test_channels_are_those_of_the_sample(channels: dict[str, int]) -> None:
    from whiteline.devices.interferometer import Interferometer

    with pytest.raises(ValueError, match="must be of x, y and z, at least of one"):
        Interferometer("X:", name="interferometer", channels=channels)


def test_a_stage_that_is_to_be_turned_needs_a_rotation() -> None:
    from whiteline.devices.sample_stage import SampleStage

    with pytest.raises(ValueError, match="sample is to be turned to 90 deg before it goes out, but has no rotation"):
        SampleStage(name="sample", coarse={}, fine={}, out_mm=5.0, out_rotation_deg=90.0)
