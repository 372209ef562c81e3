"""What cannot be right is refused in one sentence that names it, its limit, its unit and the remedy."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis import deadtime, dose, energies, tables
from whiteline.analysis.checks import OutOfRange, require_between, require_energy
from whiteline.analysis.laws import bragg, full_field, motion, scanning
from whiteline.analysis.laws.undulator import Undulator
from whiteline.analysis.laws.zone_plate import ZonePlate

SI111 = bragg.d_spacing((1, 1, 1))
UNDULATOR = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2, 30.0)
APERTURE = scanning.OrderSortingAperture(60, 90, 240, 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bragg.bragg_angle(8.333, SI111), "8.333 looks like keV: write 8333"),
        (lambda: bragg.bragg_angle(-20.0, SI111), "add the energy of the edge"),
        (lambda: bragg.bragg_angle(float("nan"), SI111), "must be a finite number"),
        (lambda: bragg.bragg_angle(1500.0, SI111), "cannot be reflected: the lowest is 1977"),
        (lambda: bragg.bragg_energy(0.0, SI111), "Bragg angle 0 deg must lie above 0"),
        (lambda: bragg.d_spacing((0, 0, 0)), "sum of the squared Miller indices 0 must be"),
        (lambda: bragg.crystal_gap(8333.0, SI111, -25.0), "beam offset -25 mm must be a finite number above 0"),
        (lambda: UNDULATOR.gap(5000.0, 5), "gap of 3.442 mm on harmonic 5, outside 4.2 to 30 mm; harmonic 3 would do"),
        (lambda: UNDULATOR.gap(30000.0, 5), "above harmonic 5 at any gap; harmonic 9 or 11 or 13 or 15 would do"),
        (lambda: UNDULATOR.gap(8333.0, 4), "harmonic 4 must be odd"),
        (lambda: UNDULATOR.energy(3.0, 5), "undulator gap 3 mm must lie between 4.2 and 30 mm"),
        (lambda: UNDULATOR.choose_harmonic([]), "number of energies 0 must be at least 1"),
        (lambda: UNDULATOR.choose_harmonic([1000.0]), "1000 eV is reached by no harmonic"),
        (lambda: UNDULATOR.choose_harmonic([2000.0, 29000.0]), "no one harmonic reaches both; divide the list"),
        (lambda: ZonePlate(244, -30), "outer zone width -30 nm must be a finite number above 0"),
        (lambda: ZonePlate(244, 30).focal_length(8.333), "looks like keV"),
        (lambda: full_field.detector_distance(49.2, 0.5), "magnification 0.5 must be above 1"),
        (lambda: full_field.zone_plate_distance(49.2, 150.0), "at least four focal lengths, 196.8 mm; move"),
        (lambda: full_field.defocus(50.0, 90.0, 49.0), "image distance 40 mm must be above the focal length"),
        (lambda: APERTURE.check(0.2, 96.8), "must be at least the clearance, 0.5 mm; move it upstream"),
        (lambda: APERTURE.check(30.0, 96.8), "cuts the first order: at most 24.2 mm here; move it downstream"),
        (lambda: scanning.OrderSortingAperture(100, 90, 240, 0.5), "else the zero order passes"),
        (lambda: scanning.OrderSortingAperture(60, 250, 240, 0.5), "must be smaller than the zone plate, 240 µm"),
        (lambda: motion.move_duration(1.0, 0.0, 0.2), "velocity 0 units/s must be a finite number above 0"),
        (lambda: deadtime.true_rate(2e6, 0.25e-6), "check the dead time, or reduce the flux"),
        (lambda: deadtime.true_rate(-1.0, 0.25e-6), "rate -1 1/s must be finite and not negative"),
        (lambda: dose.dose(-1.0, 8333.0, "NiO"), "fluence -1 1/µm² must be finite and not negative"),
        (lambda: dose.fluence_of_counts(1e4, 20, 1.5), "efficiency 1.5 must lie above 0 and up to 1"),
        (lambda: tables.edge_energy("ni"), "element 'ni' is not known; write Ni"),
        (lambda: tables.edge_energy("Nn"), "write a symbol such as Ni"),
        (lambda: tables.edge_energy("Ni", "K1"), "edge 'K1' of Ni is not known; it has K, L1"),
        (lambda: tables.absorption("Ni(", 6.7, 8333.0), "cannot be read; write it as"),
        (lambda: tables.absorption("NiO", 0.0, 8333.0), "density of NiO 0 g/cm³ must be"),
        (lambda: tables.atoms_per_um3("FeO", 5.7, "Ni"), "FeO holds no Ni; it holds Fe, O"),
        (lambda: motion.move_duration(float("nan"), 1.0, 0.2), "distance nan must be a finite number"),
        (lambda: motion.move_duration(1.0, 1.0, float("inf")), "acceleration time inf s must be finite"),
        (lambda: scanning.least_clearance((-20.0, float("nan")), (-10.0, -9.0)), "end of a move nan mm"),
        (lambda: APERTURE.check(10.0, float("nan")), "focal length nan mm must be a finite number"),
        (lambda: APERTURE.check(float("nan"), 96.8), "must be at least the clearance"),
        (lambda: bragg.energy_resolution(8333.0, SI111, 1e-4, float("nan")), "divergence nan µrad"),
        (lambda: full_field.magnification(50.0, float("nan")), "detector distance nan mm must be above"),
        (lambda: full_field.magnification(50.0, 10.0), "detector distance 10 mm must be above that of the zone plate"),
        (lambda: full_field.defocus(50.0, 1700.0, float("nan")), "focal length nan mm must be a finite number"),
        (lambda: dose.dose(1e6, [8360.0, 8370.0], "NiO"), "need energies of the same"),
        (lambda: tables.mass_absorption("NiO", 9e5), "must be at most 800 keV"),
        (lambda: tables.excitable_line("Ni", "", 9000.0), "name a line of Ni"),
        (lambda: tables.excitable_line("Ni", "Za", 9000.0), "Ni has no line 'Za'; it has Ka1"),
        (lambda: energies.by_regions([]), "needs at least one region"),
        (lambda: energies.by_regions([(8.3, 8.4, 0.001)]), "8.3 looks like keV: write 8300"),
        (lambda: energies.by_regions([(-10, 10, 1)]), "an offset from an edge is no energy"),
        (lambda: energies.by_regions([(-10, 10, 1)], relative_to=8.333), "edge that regions are relative to 8.333 eV"),
        (lambda: energies.by_regions([(8400, 8300, 1)]), "swap the two"),
        (lambda: energies.by_regions([(8300, 8400, 0)]), "step 0 eV must be a finite number above 0"),
        (lambda: energies.by_regions([(8300, 8400, 1e-6)]), "take a larger one"),
        (lambda: energies.by_regions([(8300, 8400, 1, -0.1)]), "dwell -0.1 s must be a finite number above 0"),
        (lambda: energies.by_wavenumber(8333.0, 5, 3, 0.05), "swap the two"),
        (lambda: energies.exafs("Ni", to=1.0), "swap the two"),
    ],
)  # fmt: skip
def test_one_clear_sentence(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        call()
    sentence = str(refused.value)
    assert words in sentence
    assert "\n" not in sentence


@given(st.one_of(st.floats(max_value=99.999), st.just(float("nan")), st.just(float("inf"))))
def test_no_number_under_100_and_no_nan_is_an_energy(value: float) -> None:
    with pytest.raises(OutOfRange):
        require_energy([8333.0, value])


@given(st.floats(100, 1e6))
def test_any_energy_in_eV_is_one(value: float) -> None:
    require_energy(value)
    assert bragg.wavelength(value) * value == pytest.approx(12398.419843320)


def test_an_interval_refuses_nan() -> None:
    with pytest.raises(OutOfRange):
        require_between(np.array([1.0, np.nan]), 0, 2, "position", "mm")


def test_a_refusal_carries_its_parts_and_survives_a_trip_to_another_process() -> None:
    with pytest.raises(OutOfRange) as refused:
        require_energy(8.333)
    again = pickle.loads(pickle.dumps(refused.value))
    assert str(again) == str(refused.value)
    assert (again.name, again.value, again.unit) == ("energy", 8.333, "eV")
