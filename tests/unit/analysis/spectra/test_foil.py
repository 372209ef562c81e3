"""Calibration against a foil: the measured nickel foil, known shifts, and the error against repeated noise."""

from pathlib import Path

import numpy as np
import pytest

from whiteline.analysis.calibration import EnergyCalibration, fit_energy
from whiteline.analysis.laws.bragg import bragg_angle, bragg_energy, d_spacing
from whiteline.analysis.spectra import calibrate_on_foil, edge_absorption, edge_by_derivative
from whiteline.analysis.spectrum_files import read_xdi

ENERGY = np.arange(8250.0, 8450.0, 0.5)
SPACING = d_spacing((1, 1, 1))


def foil(edge: float = 8333.0, energy: np.ndarray = ENERGY) -> np.ndarray:
    """An edge like that of a metal, in two rises of like steepness."""
    first = {"b0": 0.3, "b1": -1e-4, "e0": edge, "jump": 0.7, "width": 0.5}
    second = {"b0": 0.0, "b1": 0.0, "e0": edge + 12, "jump": 1.0, "width": 0.5}
    return edge_absorption(energy, first, 1.44, 1.2) + edge_absorption(energy, second, 1.44, 1.2)


def test_the_measured_nickel_foil_is_off_by_what_others_find_too_and_at_8333_eV_once_calibrated(measured: Path) -> None:
    spectrum = read_xdi(measured / "ni_k_foil.xdi")
    found = calibrate_on_foil(spectrum.energy, spectrum.absorption, element="Ni")
    print(f"Ni foil: first inflection {found.measured:.2f} ± {found.error:.2f} eV, shift {found.shift:+.2f} eV")
    assert found.tabulated == 8333
    # The steepest step between two points of the file is that from 8331.0 to 8331.5 eV.
    assert found.measured == pytest.approx(8331.25, abs=0.5)
    assert 0 < found.error < 0.05
    calibrated = edge_by_derivative(found.calibrated(spectrum.energy), spectrum.absorption, search=(8320, 8340))
    assert calibrated.energy == pytest.approx(8333, abs=0.5)


def test_a_shift_that_was_put_in_comes_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at_rest = calibrate_on_foil(ENERGY, foil(), 1e-3, element="Ni")
    assert at_rest.shift == pytest.approx(0, abs=0.15)  # the second rise pulls at the first
    for shift in rng.uniform(-8, 8, 10):
        found = calibrate_on_foil(ENERGY, foil(8333 - shift), 1e-3, element="Ni")
        assert found.shift - at_rest.shift == pytest.approx(shift, abs=0.03)


@pytest.mark.parametrize("known", [True, False], ids=["error given", "error estimated"])
def test_the_error_of_the_shift_is_its_scatter_under_repeated_noise(seed: int, known: bool) -> None:
    rng = np.random.default_rng(seed)
    truth, sigma = foil(), 3e-3
    centre = calibrate_on_foil(ENERGY, truth, sigma, element="Ni").measured
    pulls = []
    for _ in range(1500):
        values = truth + sigma * rng.standard_normal(ENERGY.size)
        found = calibrate_on_foil(ENERGY, values, sigma if known else None, element="Ni")
        pulls.append((found.measured - centre) / found.error)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.1)  # 1 ± 0.02


def test_readings_of_two_foils_give_back_the_calibration_of_the_axis() -> None:
    offset = 0.004  # deg, of the true axis; the energies were computed without it
    assumed = EnergyCalibration(
        spacing=SPACING, offset=0.0, covariance=((1e-10, 0.0), (0.0, 1e-6)), version=1, date="2024-01-01", source="none"
    )
    readings, errors = [], []
    for element, edge in (("Ni", 8333.0), ("Cu", 8979.0)):
        energy = np.arange(edge - 80, edge + 80, 0.5)
        seen = bragg_energy(bragg_angle(energy, SPACING) + offset, SPACING)  # what is really there at each setting
        found = calibrate_on_foil(energy, foil(edge, seen), 1e-3, element=element)
        reading, error = found.bragg_reading(assumed)
        readings.append(reading)
        errors.append(error)
        per_ev = abs(bragg_angle(edge + 0.5, SPACING) - bragg_angle(edge - 0.5, SPACING))
        assert error == pytest.approx(found.error * per_ev, rel=0.01)
    fitted = fit_energy(
        (8333.0, 8979.0), readings, errors, spacing=SPACING, version=2, date="2024-01-02", source="foils"
    )
    for edge in (8333.0, 8979.0):
        assert fitted.energy(bragg_angle(edge, SPACING) - offset) == pytest.approx(edge, abs=0.2)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (8250, 8328, "end of the scan at .* must lie at least 10 eV above the Ni K edge at 8333 eV"),
        (8328, 8440, "begin of the scan at .* must lie at least 10 eV below the Ni K edge at 8333 eV"),
        (8350, 8440, "begin of the scan at"),
    ],
)
def test_a_scan_that_does_not_hold_the_edge_is_refused(low: float, high: float, words: str) -> None:
    part = np.clip(ENERGY, low, high) == ENERGY
    with pytest.raises(ValueError, match=words):
        calibrate_on_foil(ENERGY[part], foil()[part], 1e-3, element="Ni")


def test_another_foil_or_an_edge_at_the_end_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with pytest.raises(ValueError, match="begin of the scan at 8250 eV must lie at least 10 eV below the Fe K edge"):
        calibrate_on_foil(ENERGY, foil(), element="Fe")
    empty = 0.4 - 1e-4 * (ENERGY - 8250) + 1e-3 * rng.standard_normal(ENERGY.size)
    with pytest.raises(ValueError, match="no edge between 8308 and 8358 eV"):
        calibrate_on_foil(ENERGY, empty, 1e-3, element="Ni")
    with pytest.raises(ValueError, match="at the end of the range"):
        calibrate_on_foil(ENERGY, foil(8333 + 25), 1e-3, element="Ni", search=(-25, 25.5))
    with pytest.raises(ValueError, match="element 'ni' is not known"):
        calibrate_on_foil(ENERGY, foil(), element="ni")
