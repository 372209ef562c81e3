"""Focus calibration: (A0, A1) with errors that hold, with and without the design, and the run-out of the axis."""

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.focus import fit_focus, fit_run_out
from whiteline.analysis.laws.full_field import detector_distance, image_shift, zone_plate_distance
from whiteline.analysis.laws.zone_plate import ZonePlate

ZONE_PLATE = ZonePlate(244.0, 30.0)
WRITTEN = {"date": "2026-03-01T09:30:00", "source": "a run"}


@pytest.mark.filterwarnings("ignore:A1 = ")
@pytest.mark.parametrize("full_field", [False, True])
@pytest.mark.parametrize("design_error", [0.003, None])
def test_pulls_of_a0_a1_and_both_together_are_one(seed: int, full_field: bool, design_error: float | None) -> None:
    source = np.random.default_rng(seed)
    pulls = []
    for _ in range(150):
        ratio = 1 + source.normal(0, design_error or 0.001)
        a0, a1 = source.uniform(-5, 5), ZONE_PLATE.chromaticity * ratio
        energies = source.uniform(7000, 9000, source.integers(3, 8))
        errors = source.uniform(2e-4, 1e-3, energies.size)
        detector = None
        exact = a0 - a1 * energies
        if full_field:
            detector = detector_distance(ZONE_PLATE.focal_length(energies), 32.5) * source.uniform(0.9, 1.3)
            exact = a0 + zone_plate_distance(a1 * energies, detector)
        found = fit_focus(
            energies,
            exact + source.normal(0, errors),
            errors,
            ZONE_PLATE,
            detector=detector,
            design_error=design_error,
            **WRITTEN,
        )
        off = np.array([found.calibration.a0 - a0, found.calibration.a1 - a1])
        covariance = np.array(found.calibration.covariance)
        pulls.append([*off / np.sqrt(np.diag(covariance)), np.sqrt(off @ np.linalg.solve(covariance, off) / 2)])
    spread = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert (spread > 0.75).all()
    assert (spread < 1.27).all()


@pytest.mark.filterwarnings("ignore:A1 = ")
def test_one_energy_gives_a0_by_the_design() -> None:
    energy, design = 8333.0, ZONE_PLATE.chromaticity
    found = fit_focus([energy], [3.0 - design * energy], [0.001], ZONE_PLATE, design_error=1e-4, **WRITTEN).calibration
    assert found.a0 == pytest.approx(3.0, abs=1e-9)
    assert found.a1 == pytest.approx(design)
    # A0 is as uncertain as the focal length that the design gives; the reading at that energy is not.
    assert np.sqrt(found.covariance[0][0]) == pytest.approx(np.hypot(0.001, 1e-4 * design * energy), rel=1e-6)
    assert found.scanning_error(energy) == pytest.approx(0.001, rel=1e-4)


@pytest.mark.parametrize("full_field", [False, True])
def test_two_energies_are_known_as_well_as_they_were_measured(full_field: bool) -> None:
    energies, errors = np.array([7500.0, 9000.0]), np.array([0.002, 0.005])
    focal = ZONE_PLATE.focal_length(energies)
    detector = 6 * focal if full_field else None
    readings = 1.0 - focal if detector is None else 1.0 + zone_plate_distance(focal, detector)
    fit = fit_focus(energies, readings, errors, ZONE_PLATE, detector=detector, design_error=None, **WRITTEN)
    found = fit.calibration
    predicted = found.scanning_error(energies) if detector is None else found.full_field_error(energies, detector)
    assert predicted == pytest.approx(errors, rel=1e-6)
    assert np.isnan(fit.reduced_chi_square)


def test_the_golden_focal_length_is_recovered() -> None:
    energies = np.array([7112.0, 8333.0, 8979.0])
    found = fit_focus(energies, 1.5 - ZONE_PLATE.focal_length(energies), [0.001] * 3, ZONE_PLATE, **WRITTEN)
    assert found.calibration.focal_length(8333.0) == pytest.approx(49.198, abs=1e-3)
    assert np.allclose(found.residuals, 0, atol=1e-9)
    assert not found.scaled


def test_errors_that_were_too_small_are_scaled_up(seed: int) -> None:
    source = np.random.default_rng(seed)
    energies = np.linspace(7000, 9000, 12)
    readings = -ZONE_PLATE.chromaticity * energies + source.normal(0, 0.01, 12)
    found = fit_focus(energies, readings, np.full(12, 0.001), ZONE_PLATE, **WRITTEN)
    honest = fit_focus(energies, readings, np.full(12, 0.01), ZONE_PLATE, **WRITTEN)
    assert found.scaled
    assert not honest.scaled
    assert found.calibration.covariance[0][0] > 0.05 * honest.calibration.covariance[0][0]
    assert found.reduced_chi_square > 10


def test_an_optic_that_is_not_the_one_described_warns() -> None:
    energies = np.array([7000.0, 8000.0, 9000.0])
    readings = -1.05 * ZONE_PLATE.chromaticity * energies
    with pytest.warns(UserWarning, match="check the axis and the optic"):
        found = fit_focus(energies, readings, [1e-4] * 3, ZONE_PLATE, **WRITTEN)
    assert found.calibration.deviation == pytest.approx(0.05, abs=1e-3)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(OutOfRange, match="keV"):
        fit_focus([8.3, 8.4], [1.0, 2.0], [0.1, 0.1], ZONE_PLATE, **WRITTEN)
    with pytest.raises(OutOfRange, match="spread of the energies"):
        fit_focus([8333.0, 8333.2], [1.0, 1.0], [0.1, 0.1], ZONE_PLATE, design_error=None, **WRITTEN)
    with pytest.raises(OutOfRange, match="error of the reading"):
        fit_focus([8333.0], [1.0], [0.0], ZONE_PLATE, **WRITTEN)
    with pytest.raises(OutOfRange, match="reading in focus"):
        fit_focus([8333.0], [np.nan], [0.1], ZONE_PLATE, **WRITTEN)
    with pytest.raises(OutOfRange, match="four focal lengths"):
        fit_focus([8333.0], [50.0], [0.1], ZONE_PLATE, detector=100.0, **WRITTEN)
    with pytest.raises(ValueError, match="one length"):
        fit_focus([8333.0], [1.0, 2.0], [0.1], ZONE_PLATE, **WRITTEN)
    energies = np.array([7000.0, 8000.0])
    with pytest.raises(ValueError, match="direction of the axis"):
        fit_focus(energies, ZONE_PLATE.chromaticity * energies, [0.01] * 2, ZONE_PLATE, design_error=None, **WRITTEN)


@pytest.mark.parametrize("magnification", [None, 32.5])
@pytest.mark.parametrize("errors_given", [True, False])
def test_run_out_is_found_within_its_error(seed: int, magnification: float | None, errors_given: bool) -> None:
    source = np.random.default_rng(seed)
    x, y, pixel = 1.5, -3.0, 0.02
    pulls = []
    for _ in range(80):
        readings = np.sort(source.uniform(46, 52, 15))
        away = readings - 50
        if magnification is None:  # the probe moves, so the sample appears to move the other way
            moved = np.stack([-y * away, -x * away], axis=1) / pixel
        else:
            moved = image_shift(np.stack([y * away, x * away], axis=1), magnification) / pixel
        shifts = moved + source.normal(0, 0.5, moved.shape)
        shifts[3] = np.nan
        errors = np.full(shifts.shape, 0.5) if errors_given else None
        found = fit_run_out(readings, shifts, pixel_um=pixel, errors=errors, magnification=magnification)
        pulls += [(found.x - x) / found.error_x, (found.y - y) / found.error_y]
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.45


def test_run_out_needs_travel() -> None:
    with pytest.raises(OutOfRange, match="travel of the axis"):
        fit_run_out([1.0, 1.0, 1.0], np.zeros((3, 2)), pixel_um=0.02)
    with pytest.raises(OutOfRange, match="number of images"):
        fit_run_out([1.0, 2.0], np.zeros((2, 2)), pixel_um=0.02)
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        fit_run_out([1.0, 2.0, 3.0], np.zeros(3), pixel_um=0.02)
