"""How far an image is out of focus by the detail that it lacks, and what a calibration learns from one more focus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from whiteline.analysis.calibration import FocusCalibration
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.focus.refocus import blur_of_detail, defocus_of_detail, refocused
from whiteline.analysis.laws.full_field import zone_plate_distance
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.analysis.live.frame_work import detail_of

PLATE = ZonePlate(244.0, 30.0)
DETECTOR = 1631.0
ORIGIN = {"version": 1, "date": "2026-03-01", "source": "a run"}


def discs(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Return an image of sharp discs, blurred."""
    y, x = np.mgrid[:512, :512]
    image = np.zeros((512, 512))
    for _ in range(60):
        cy, cx, radius = rng.uniform(0, 512), rng.uniform(0, 512), rng.uniform(15, 40)
        image += rng.uniform(0.3, 1.0) * (np.hypot(y - cy, x - cx) < radius)
    return gaussian_filter(image, sigma)


@pytest.mark.parametrize("blur", [0.5, 0.75, 1.0, 1.5])
def test_blur_is_told_by_the_detail_of_images(seed: int, blur: float) -> None:
    found = []
    for number in range(3):
        variance = np.full((512, 512), 1e-8, np.float32)
        sharp, soft = (
            detail_of(discs(np.random.default_rng([seed, number]), sigma).astype(np.float32), variance)[0]
            for sigma in (1.0, float(np.hypot(1.0, blur)))
        )
        found.append(blur_of_detail(soft / sharp))
    assert np.mean(found) == pytest.approx(blur, rel=0.2)


def test_half_a_depth_of_focus_takes_a_third_of_the_fine_detail() -> None:
    # Gaussian blur of half the outer zone width, at pixels of 20 nm: 0.75 px. By Simpson's rule by hand: 0.644 of the
    # fine band is left, 0.940 of the coarse one
    half = PLATE.depth_of_focus(8350.0) / 2000
    aperture = float(PLATE.numerical_aperture(8350.0))
    assert defocus_of_detail(0.685, 0.02, aperture) == pytest.approx(half, rel=0.05)
    assert defocus_of_detail(1.2, 0.02, aperture) == 0.0
    assert np.isnan(defocus_of_detail(float("nan"), 0.02, aperture))
    with pytest.raises(OutOfRange, match="fine detail"):
        defocus_of_detail(-0.1, 0.02, aperture)


def calibration(covariance: tuple[tuple[float, float], tuple[float, float]]) -> FocusCalibration:
    return FocusCalibration(
        a0=0.1, a1=PLATE.chromaticity, covariance=covariance, diameter_um=244.0, outer_zone_width_nm=30.0,
        **(ORIGIN | {"version": 0}),
    )  # fmt: skip


@given(st.floats(7000.0, 9000.0), st.floats(-0.05, 0.05), st.booleans())
def test_without_a_covariance_only_the_zero_moves(energy: float, off: float, full_field: bool) -> None:
    before = calibration(((0.0, 0.0), (0.0, 0.0)))
    focal = before.a1 * energy
    detector = DETECTOR if full_field else float("nan")
    expected = before.a0 + (float(zone_plate_distance(focal, DETECTOR)) if full_field else -focal)
    found = refocused(
        before, energy=energy, detector=detector, reading=expected + off, error=1e-4, drifted=1.0, **ORIGIN
    )
    assert found.a0 == pytest.approx(before.a0 + off, abs=1e-6)
    assert found.a1 == before.a1
    assert found.version == 1


def test_what_was_known_and_what_was_found_weigh_by_their_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariance = np.array([[4e-6, -4e-10], [-4e-10, 1e-13]])
    truth = rng.multivariate_normal([0.1, PLATE.chromaticity], covariance, 4000)
    pulls = []
    for a0, a1 in truth:
        energy, error = float(rng.uniform(8000, 9000)), 1e-3
        reading = a0 + float(zone_plate_distance(a1 * energy, DETECTOR)) + error * rng.standard_normal()
        matrix = tuple(tuple(float(one) for one in row) for row in covariance)
        found = refocused(
            calibration(matrix),
            energy=energy,
            detector=DETECTOR,
            reading=reading,
            error=error,
            **ORIGIN,  # type: ignore[arg-type]
        )
        pulls.append(np.linalg.solve(np.linalg.cholesky(np.array(found.covariance)), [a0 - found.a0, a1 - found.a1]))
    rms = np.sqrt(np.mean(np.square(pulls), axis=0))
    np.testing.assert_allclose(rms, 1.0, atol=0.06)
    assert np.array(found.covariance)[0, 0] < covariance[0, 0]
