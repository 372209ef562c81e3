"""Positions of pixels: right by the truth, with errors as large as they say."""

import numpy as np
import pytest
from flying import Flown

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.fly import during_exposure, mean_position_error, pixel_positions


def test_positions_are_right_to_their_error_in_spite_of_lag_and_vibration(seed: int) -> None:
    flown = Flown(seed)
    found = pixel_positions(flown.x, flown.x_start, flown.x_end, flown.dwell, noise=flown.noise_um)
    off = found.mean - flown.true_x
    assert np.sqrt((off**2).mean()) < 0.001
    assert (off / found.error).std() == pytest.approx(1, abs=0.05)
    nominal = flown.step_um * flown.column
    assert np.abs(nominal - flown.true_x).max() > 0.03, "the stage did not lag"
    # every second line runs backwards; the mean of all that run one way is ten times as sharp as the bound
    assert found.travelled[::2].mean() == pytest.approx(0.02, abs=2e-4)
    assert found.travelled[1::2].mean() == pytest.approx(-0.02, abs=2e-4)


@pytest.mark.parametrize(("gate_s", "nm"), [(1e-3, 0.5), (1e-4, 1.581139), (0.1, 0.05)])
def test_noise_goes_with_the_root_of_the_gate(gate_s: float, nm: float) -> None:
    assert mean_position_error(gate_s, 0.5) == pytest.approx(nm, rel=1e-6)


def test_a_detector_that_counts_half_of_the_gate_was_half_a_half_pixel_before(seed: int) -> None:
    flown = Flown(seed, vibration_um=0.0)
    whole = pixel_positions(flown.x, flown.x_start, flown.x_end, flown.dwell, noise=flown.noise_um)
    half = during_exposure(whole, flown.dwell, flown.gate_s / 2, noise=flown.noise_um)
    direction = np.where(np.arange(flown.lines) % 2 == 1, -1, 1)[:, None]
    pulls = (half.mean - (flown.true_x - direction * flown.step_um / 4)) / half.error
    assert np.abs(pulls.mean()) < 0.1
    assert pulls.std() == pytest.approx(1, abs=0.05)
    with pytest.raises(OutOfRange, match=r"exposure 0\.002 s must not be longer than the shortest gate"):
        during_exposure(whole, flown.dwell, 2e-3, noise=0.0005)


def test_a_pulse_that_did_not_come_has_no_position() -> None:
    missing = np.array([[1.0, np.nan]])
    found = pixel_positions(missing, missing, missing, [[1e-3, np.nan]], noise=0.0005)
    assert np.isfinite(found.error).tolist() == [[True, False]]
    assert np.isnan(found.mean[0, 1])
    with pytest.raises(ValueError, match="must have one shape"):
        pixel_positions(missing, missing, missing, [1e-3], noise=0.0005)
    with pytest.raises(OutOfRange, match="noise of a position channel"):
        mean_position_error(1e-3, -1.0)
