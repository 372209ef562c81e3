"""The maximum of a scan: where it truly is, within the error that is told; and none where there is none."""

import contextlib

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.peak import NoPeak, find_peak


def bell(x: np.ndarray, centre: float, fwhm: float) -> np.ndarray:
    return np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2)


@pytest.mark.parametrize("counts", [1e-9, 1e6])
def test_a_peak_is_found_where_it_is_whatever_its_unit(counts: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    centre, fwhm = random.uniform(-20, 20), random.uniform(8, 20)
    x = np.linspace(-40, 40, 31) + 150.0
    peak = find_peak(x, counts * (0.1 + bell(x - 150.0, centre, fwhm)))
    assert peak.position == pytest.approx(150.0 + centre, abs=1e-5 * fwhm)
    assert peak.fwhm == pytest.approx(fwhm, rel=1e-4)
    assert peak.height == pytest.approx(counts, rel=1e-4)
    assert peak.background == pytest.approx(0.1 * counts, rel=1e-3)


def test_the_error_that_is_told_is_that_of_the_noise(seed: int) -> None:
    """Of 60 noisy scans the mean square of the pulls is that of a normal distribution, within 6 of its own errors."""
    random = np.random.default_rng(seed)
    x, pulls = np.linspace(-3, 3, 41), []
    for _ in range(60):
        centre = random.uniform(-1.5, 1.5)
        peak = find_peak(x, bell(x, centre, 1.5) + random.normal(0.2, 0.02, x.size))
        pulls.append((peak.position - centre) / peak.error)
    assert np.mean(np.square(pulls)) == pytest.approx(1.0, abs=6 * np.sqrt(2 / 60))


def test_the_line_of_an_undulator_is_no_bell_but_its_maximum_is_found(seed: int) -> None:
    centre = float(np.random.default_rng(seed).uniform(-1, 1))
    x = np.linspace(-3, 3, 31)
    assert find_peak(x, np.sinc(x - centre) ** 2).position == pytest.approx(centre, abs=0.005)


def test_noise_is_no_peak(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = 0
    for _ in range(30):
        with contextlib.suppress(NoPeak):
            find_peak(np.arange(21.0), random.normal(1000, 30, 21))
            found += 1
    assert found <= 2


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full(21, 5.0), "all over from 0 to 20"),
        (np.arange(21.0), "rises towards 20, the end of the scan"),
        (bell(np.arange(21.0), -3.0, 8.0), "rises towards 0, the end of the scan"),
        (np.eye(21)[9], "a single point stands out"),
    ],
)
def test_why_there_is_none_is_told(values: np.ndarray, says: str) -> None:
    with pytest.raises(NoPeak, match=says):
        find_peak(np.arange(21.0), values)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(OutOfRange, match="number of places 6 must be at least 7"):
        find_peak(np.arange(6.0), np.arange(6.0))
    with pytest.raises(ValueError, match="must be of one length"):
        find_peak(np.arange(8.0), np.arange(9.0))
    x = np.arange(21.0)
    y = bell(x, 10.3, 6.0)
    y[3] = np.nan
    assert find_peak(x, y).position == pytest.approx(10.3, abs=1e-4)
