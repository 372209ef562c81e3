"""Properties of the laws that hold for any input, beside their golden values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis import deadtime, dose, tables
from whiteline.analysis.laws import bragg, full_field, motion, scanning
from whiteline.analysis.laws.undulator import Undulator

SI111 = bragg.d_spacing((1, 1, 1))
energy = st.floats(2000, 30000)
lens = st.floats(5, 120)


def test_a_law_returns_the_kind_that_it_is_given() -> None:
    assert isinstance(bragg.bragg_angle(8333.0, SI111), float)
    assert bragg.bragg_angle(np.array([8333.0, 9000.0]), SI111).shape == (2,)
    assert isinstance(motion.move_duration(1.0, 1.0, 0.1), float)


@given(energy)
def test_angle_and_energy_undo_each_other(value: float) -> None:
    assert bragg.bragg_energy(bragg.bragg_angle(value, SI111), SI111) == pytest.approx(value, rel=1e-12)


@given(lens, st.floats(1.5, 100))
def test_zone_plate_for_the_detector_that_gives_a_magnification_gives_it(focal_length: float, scale: float) -> None:
    detector = full_field.detector_distance(focal_length, scale)
    zone_plate = full_field.zone_plate_distance(focal_length, detector)
    assert full_field.magnification(zone_plate, detector) == pytest.approx(scale, rel=1e-9)
    assert abs(full_field.defocus(zone_plate, detector, focal_length)) < 1e-9


@given(lens, st.floats(4.01, 200))
def test_the_zone_plate_is_always_in_focus_wherever_the_detector_stands(focal_length: float, ratio: float) -> None:
    detector = ratio * focal_length
    zone_plate = full_field.zone_plate_distance(focal_length, detector)
    assert 1 / zone_plate + 1 / (detector - zone_plate) == pytest.approx(1 / focal_length, rel=1e-9)


@given(st.floats(0, 0.999), st.floats(1e-8, 1e-5))
def test_dead_time_is_undone_up_to_the_rate_of_most_counts(busy: float, tau: float) -> None:
    counted = deadtime.counted_rate(busy / tau, tau)
    assert deadtime.true_rate(counted, tau) == pytest.approx(busy / tau, rel=1e-6, abs=1e-9)
    assert deadtime.live_fraction(counted, tau) == pytest.approx(np.exp(-busy), rel=1e-6)


def test_dead_time_at_the_rate_of_most_counts_itself() -> None:
    assert deadtime.true_rate(1 / (np.e * 0.25e-6), 0.25e-6) == pytest.approx(4e6, rel=1e-6)


@given(st.floats(-50, 50), st.floats(0.01, 10), st.just(0.0) | st.floats(1e-3, 2))
def test_a_move_takes_as_long_as_its_trapezoid(distance: float, velocity: float, ramp: float) -> None:
    took = motion.move_duration(distance, velocity, ramp)
    time = np.linspace(0, took, 20001)
    speed = np.full(time.shape, velocity)
    if ramp:
        speed = np.clip(np.minimum(time, took - time) * velocity / ramp, 0, velocity)
    assert np.trapezoid(speed, time) == pytest.approx(abs(distance), rel=1e-3, abs=1e-6)


def test_settling_comes_after_the_motion() -> None:
    assert motion.move_duration(0.0, 1.0, 0.1, 0.3) == pytest.approx(0.3)
    assert motion.move_duration(2.0, 1.0, 0.1, 0.3) - motion.move_duration(2.0, 1.0, 0.1) == pytest.approx(0.3)


@given(st.floats(5200, 12000), st.floats(5200, 12000))
def test_harmonics_are_ranked_by_their_weakest_energy(first: float, second: float) -> None:
    device = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2, 30.0)
    ranked = device.harmonics([first, second])
    weakest = [min(device.relative_flux(first, n), device.relative_flux(second, n)) for n in ranked]
    assert weakest == sorted(weakest, reverse=True)


def test_the_brightest_harmonic_that_reaches_all_energies_is_chosen() -> None:
    device = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2, 30.0)
    assert device.harmonics([8200.0, 8600.0])[0] == device.choose_harmonic([8200.0, 8600.0])
    flux = {n: min(device.relative_flux(e, n) for e in (8200.0, 8600.0)) for n in device.harmonics([8200.0, 8600.0])}
    assert max(flux, key=lambda n: flux[n]) == device.choose_harmonic([8600.0, 8200.0])


@given(st.floats(4.2, 30), st.sampled_from([1, 3, 5, 7]))
def test_gap_and_energy_of_an_undulator_undo_each_other(gap: float, harmonic: int) -> None:
    device = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2, 30.0)
    value = device.energy(gap, harmonic)
    free = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 0.0, 100.0)
    assert free.gap(value, harmonic) == pytest.approx(gap, rel=1e-7)


@pytest.mark.parametrize("harmonic", [1, 3, 5, 7])
@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_the_flux_function_is_the_harmonic_of_an_electron_on_its_sine(harmonic: int, k: float) -> None:
    """The field on the axis, integrated over one period of the motion, without a Bessel function.

    Sideways it moves as cos x; where it does, it falls behind, which adds Z sin 2x to the phase of the light.
    """
    device = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 0.0, 100.0)
    length = 20.0 * 1e7 / (2 * harmonic * (3e9 / 510998.95) ** 2) * (1 + k**2 / 2)
    x = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    z = harmonic * k**2 / (4 * (1 + k**2 / 2))
    amplitude = 2 * np.mean(np.cos(x) * np.exp(1j * (harmonic * x + z * np.sin(2 * x))))
    flux = harmonic * k**2 / (1 + k**2 / 2) * abs(amplitude) ** 2
    assert device.relative_flux(12398.419843320 / length, harmonic) == pytest.approx(flux, rel=1e-6)


@given(*[st.floats(-100, 100)] * 4)
def test_least_clearance_holds_at_every_moment_of_any_two_moves(a: float, b: float, c: float, d: float) -> None:
    least = scanning.least_clearance((a, b), (c, d))
    share = np.linspace(0, 1, 11)
    first, second = a + share * (b - a), c + share * (d - c)
    assert (second[None, :] - first[:, None]).min() == pytest.approx(least, abs=1e-9)


def test_the_least_clearance_sees_a_collision_that_both_ends_hide() -> None:
    assert scanning.least_clearance((-20.0, -5.0), (-10.0, -1.0)) < 0


def test_mirrors() -> None:
    aperture = scanning.mirror_aperture(100.0, 3.0, 300.0)
    assert aperture == pytest.approx(5e-4, rel=1e-4)
    assert scanning.mirror_spot(8333.0, aperture) == pytest.approx(0.443 * 0.14879 / 5e-4, rel=1e-3)
    assert scanning.beam_walk(1.0, 300.0) == pytest.approx(0.6)


def test_image_shift_of_a_lens_that_wanders() -> None:
    assert full_field.image_shift(1.0, 32.5) == pytest.approx(33.5 / 32.5)


def test_doses_add_up_and_say_their_band() -> None:
    both = dose.dose([1e6, 2e6], [8360.0, 8360.0], "NiO")
    assert both.gray == pytest.approx(3 * dose.dose(1e6, 8360.0, "NiO").gray)
    assert both.band == (both.gray / 2, both.gray * 2)
    assert "Gy (" in str(both)


def test_partial_absorptions_add_up_to_the_whole() -> None:
    parts = sum(tables.partial_absorption("NiO", 6.67, element, 8400.0) for element in ("Ni", "O"))
    assert parts == pytest.approx(float(tables.absorption("NiO", 6.67, 8400.0)), rel=1e-9)
