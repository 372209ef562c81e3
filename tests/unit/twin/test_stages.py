"""Stages miss, shake and wobble as the description says, and interferometer and encoder see it."""

import numpy as np
import pytest

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.sim.stages import StageErrors


@pytest.fixture
def errors(seed: int) -> StageErrors:
    return twin.stage_errors(load("nanoprobe"), seed=seed)


def test_where_the_coarse_stage_lands(errors: StageErrors) -> None:
    landed = np.array([errors.landed_nm(axis, move) for axis in range(3) for move in range(500)])
    assert landed.std() == pytest.approx(50, rel=6 / np.sqrt(2 * 1500))
    assert errors.landed_nm(1, 7) == errors.landed_nm(1, 7)
    assert errors.landed_nm(1, 7) != errors.landed_nm(2, 7)


def test_the_rotation_wobbles_by_its_figure_and_comes_back(errors: StageErrors) -> None:
    around = np.array([errors.wobbled_nm(angle) for angle in np.linspace(0, 360, 721)])
    assert np.abs(around).max() == pytest.approx(50)
    assert around[0] == pytest.approx(around[-1], abs=1e-9)


def test_the_vibration_has_its_size_and_its_frequencies(errors: StageErrors) -> None:
    times = np.arange(0, 2, 1e-3)
    shaken = errors.vibrated_nm(0, times)
    assert np.sqrt(np.mean(shaken**2)) == pytest.approx(3, rel=0.01)
    power = np.abs(np.fft.rfft(shaken)) ** 2
    strongest = np.sort(np.fft.rfftfreq(times.size, 1e-3)[np.argsort(power)[-2:]])
    assert strongest == pytest.approx([40, 120])


def test_the_interferometer_sees_position_vibration_and_its_own_noise(errors: StageErrors) -> None:
    mean, rms = np.transpose([errors.interferometer(0, 1000.0, time, 0.5) for time in np.arange(0, 100, 0.5)])
    assert mean.mean() == pytest.approx(1000, abs=6 * 0.5 / np.sqrt(200 * 500))
    assert mean.std() == pytest.approx(0.5 / np.sqrt(500), rel=0.35)
    assert rms.mean() == pytest.approx(np.hypot(3, 0.5), rel=0.01)


def test_the_encoder(errors: StageErrors) -> None:
    noise = np.array([errors.encoder_urad_of(number) for number in range(1000)])
    assert noise.std() == pytest.approx(0.05, rel=6 / np.sqrt(2000))
