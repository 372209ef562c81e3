"""The laws and the twin were written apart, each in its own direction; over the whole range they undo each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis import deadtime
from whiteline.analysis.laws import bragg, full_field, scanning, undulator, zone_plate
from whiteline.sim import fluorescence, monochromator, optics
from whiteline.sim import undulator as twin_undulator

SI111 = bragg.d_spacing((1, 1, 1))
FIELD = (3.33, 5.47, 1.8)
energy = st.floats(4000, 20000)


def crystals(offset_deg: float = 0.0, spacing: float = SI111) -> monochromator.Monochromator:
    return monochromator.Monochromator(spacing, offset_deg, 1.43e-4, 10.0, 0.5, 0.2, 25.0)


@given(energy, st.floats(-0.5, 0.5), st.floats(-1e-3, 1e-3))
def test_the_angle_of_the_law_gives_its_energy_in_the_twin(value: float, offset: float, stretch: float) -> None:
    spacing = SI111 + stretch
    reading = bragg.bragg_angle(value, spacing) - offset
    assert crystals(offset, spacing).energy(reading) == pytest.approx(value, rel=1e-12)


@given(energy)
def test_dispersion(value: float) -> None:
    angle = bragg.bragg_angle(value, SI111)
    change = crystals().energy(angle, 0.0, -0.5) - crystals().energy(angle, 0.0, 0.5)
    assert change == pytest.approx(bragg.dispersion(value, SI111), rel=1e-6)


@given(energy)
def test_the_gap_of_the_law_keeps_the_beam_of_the_twin_where_it_is(value: float) -> None:
    gap = bragg.crystal_gap(value, SI111, 25.0)
    reading = bragg.bragg_angle(value, SI111)
    assert crystals().walk_um(gap, reading) == pytest.approx(0, abs=1e-9)
    assert crystals().walk_um(gap + 1e-3, reading) == pytest.approx(2 * np.cos(np.radians(reading)), rel=1e-6)


@given(energy, st.floats(0, 50))
def test_resolution(value: float, divergence: float) -> None:
    twin = monochromator.Monochromator(SI111, 0.0, 1.43e-4, divergence, 0.0, 0.0, 25.0)
    law = bragg.energy_resolution(value, SI111, 1.43e-4, divergence)
    assert twin.bandwidth(bragg.bragg_angle(value, SI111)) == pytest.approx(law, rel=1e-9)


@given(st.floats(4.2, 30), st.sampled_from([1, 3, 5, 7, 9]))
def test_undulator(gap: float, harmonic: int) -> None:
    law = undulator.Undulator(3.0, 20.0, 140, FIELD, 0.0, 100.0)
    twin = twin_undulator.Undulator(3.0, 20.0, 140, FIELD, 4.2)
    value = harmonic * twin.fundamental(gap)
    assert law.energy(gap, harmonic) == pytest.approx(value, rel=1e-9)
    assert law.gap(value, harmonic) == pytest.approx(gap, rel=1e-7)
    beside = value + law.harmonic_width(value, harmonic)
    assert twin.brightness(gap, beside) <= 1e-6 * twin.brightness(gap, value) + 1e-12


@given(st.floats(5000, 14000))
def test_the_harmonic_that_the_law_chooses_is_the_brightest_of_the_twin(value: float) -> None:
    law = undulator.Undulator(3.0, 20.0, 140, FIELD, 4.2, 100.0)
    twin = twin_undulator.Undulator(3.0, 20.0, 140, FIELD, 4.2)
    ranked = law.harmonics([value])
    seen = [twin.brightness(law.gap(value, harmonic), value) for harmonic in ranked]
    assert seen[0] == pytest.approx(1, rel=1e-6)
    wanted = [law.relative_flux(value, harmonic) / law.relative_flux(value, ranked[0]) for harmonic in ranked]
    assert seen == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@given(energy, st.floats(50, 400), st.floats(15, 100))
def test_zone_plate(value: float, diameter: float, zone: float) -> None:
    law, twin = zone_plate.ZonePlate(diameter, zone), optics.ZonePlate(diameter, zone)
    focal_length = law.focal_length(value)
    assert twin.focal_length(value) == pytest.approx(focal_length, rel=1e-12)
    assert twin.energy_of_focal_length(focal_length) == pytest.approx(value, rel=1e-12)
    assert twin.half_angle(value) == pytest.approx(law.numerical_aperture(value), rel=1e-12)
    assert 1e3 * twin.depth_of_focus(value) == pytest.approx(law.depth_of_focus(value), rel=1e-12)


@given(energy, st.floats(-0.1, 0.1))
def test_blur(value: float, defocus: float) -> None:
    law, twin = zone_plate.ZonePlate(244, 30), optics.ZonePlate(244, 30)
    assert twin.blur_nm(defocus, value) == pytest.approx(law.blur(defocus, value), rel=1e-12)


@given(energy, st.floats(5, 100), st.floats(-0.05, 0.05))
def test_where_the_law_puts_the_zone_plate_the_twin_is_sharp(value: float, scale: float, off: float) -> None:
    law, twin = zone_plate.ZonePlate(244, 30), optics.ZonePlate(244, 30)
    focal_length = law.focal_length(value)
    detector = full_field.detector_distance(focal_length, scale)
    p = full_field.zone_plate_distance(focal_length, detector)
    assert optics.sharp_energy(twin, p, detector - p) == pytest.approx(value, rel=1e-9)
    assert p - optics.sharp_plane(focal_length, detector - p) == pytest.approx(0, abs=1e-9)
    moved = p + off - optics.sharp_plane(focal_length, detector - p - off)
    assert moved == pytest.approx(full_field.defocus(p + off, detector, focal_length), abs=1e-9)


@given(energy, st.floats(0.5, 60))
def test_the_aperture_of_the_twin_cuts_where_the_law_says(value: float, distance: float) -> None:
    law = scanning.OrderSortingAperture(60, 90, 240, 0.5)
    twin = optics.OrderSortingAperture(60, 90)
    focal_length = zone_plate.ZonePlate(240, 60).focal_length(value)
    passes = twin.transmission(distance, focal_length, 240.0)
    assert (passes == 1) == (distance <= law.furthest(focal_length))
    assert 0 <= passes <= 1


@given(energy, st.floats(50, 500), st.floats(20, 500), st.floats(1, 6))
def test_mirrors(value: float, length: float, focal_length: float, angle: float) -> None:
    aperture = scanning.mirror_aperture(length, angle, focal_length)
    twin = optics.Mirrors((focal_length, focal_length), (aperture, aperture), (1e-9, 1e-9), 6e4, 0.7)
    assert twin.spot_nm(value)[0] == pytest.approx(scanning.mirror_spot(value, aperture), rel=1e-9)
    assert twin.walk_um((3.0, 3.0))[1] == pytest.approx(scanning.beam_walk(3.0, focal_length), rel=1e-12)


def test_the_dead_time_of_the_twin_is_undone_by_the_law(seed: int) -> None:
    tau, dwell = 0.25e-6, 1.0
    detector = fluorescence.FluorescenceDetector(4, 4096, 10.0, 110.0, tau, 0.01, 0.0, seed, 4)
    arriving = 2e6 * detector.line_shape(7480.3) * dwell
    counted = detector.counts(arriving, dwell, 0).sum(axis=1) / dwell
    true = deadtime.true_rate(counted.astype(float), tau)
    assert true == pytest.approx(2e6, rel=0.01)
    assert counted == pytest.approx(2e6 * np.exp(-0.5), rel=0.01)
