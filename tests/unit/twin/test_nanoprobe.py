"""The scanning microscope: its spot, and what its detectors count."""

import dataclasses

import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.analysis.laws import bragg
from whiteline.analysis.laws.scanning import zone_plate_reading
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline, load
from whiteline.sim.bodies import Body, Ellipsoid
from whiteline.sim.counters import IonChamber, OpticalSpectrometer
from whiteline.sim.fluorescence import FluorescenceDetector, escape
from whiteline.sim.nanoprobe import Lens, Nanoprobe, Readings
from whiteline.sim.sample import Sample

GAINS = (1e6, 1e6, 1e6)


def at(nano: Beamline, energy: float, **changed: object) -> Readings:
    assert nano.zone_plate is not None
    parts = {
        "bragg": bragg.bragg_angle(energy, nano.monochromator.spacing),
        "crystal_gap": 12.9,
        "undulator_gap": nano.undulator.law(nano.ring).gap(energy, 5),
        "zone_plate": zone_plate_reading(energy, 0.0, nano.zone_plate.law.chromaticity),
        "aperture": -10.0,
    }
    return Readings(**(parts | changed))  # type: ignore[arg-type]


def sphere(probe: Nanoprobe, radius: float = 1.0) -> Nanoprobe:
    """The nanoprobe with one sphere of its first species in the beam."""
    species = probe.sample.species
    body = Body(Ellipsoid((0, 0, 0), (radius, radius, radius)), {species[0].name: 1.0}, {}, 0.0)
    return dataclasses.replace(probe, sample=Sample((body,), species))


def test_the_spot_in_focus(probe: Nanoprobe, nano: Beamline) -> None:
    spot = probe.probe(at(nano, 8400.0))
    assert abs(spot.defocus) < 1e-3
    assert spot.photons_per_s == pytest.approx(1e9, rel=0.02)
    # 0.437 Δr = 26.2 nm, and the source of 40 × 10 µm in 60 m shrunk by f = 97.6 mm
    assert spot.sigma_nm == pytest.approx((np.hypot(26.22, 27.6), np.hypot(26.22, 6.9)), rel=0.01)


def test_ten_electronvolt_off_focus(probe: Nanoprobe, nano: Beamline) -> None:
    wrong = dataclasses.replace(at(nano, 8400.0), zone_plate=at(nano, 8410.0).zone_plate)
    assert probe.probe(wrong).defocus == pytest.approx(-0.11614, rel=0.01)


def test_run_out_moves_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    first, second = (probe.probe(at(nano, energy)) for energy in (8200.0, 8600.0))
    moved = np.subtract(second.place_um, first.place_um)
    travel = at(nano, 8600.0).zone_plate - at(nano, 8200.0).zone_plate
    assert moved == pytest.approx(np.array([1.5, -3.0]) * travel, rel=1e-6)


def test_an_aperture_too_far_upstream_cuts_the_beam(probe: Nanoprobe, nano: Beamline) -> None:
    assert probe.probe(at(nano, 8400.0, aperture=-30.0)).photons_per_s < 0.7e9


def test_mirrors_do_not_lose_focus(nano: Beamline, seed: int) -> None:
    pair = twin.nanoprobe(nano.model_copy(update={"optic": "mirrors"}), seed=seed)
    spots = [pair.probe(at(nano, energy)) for energy in (8200.0, 8600.0)]
    assert [spot.defocus for spot in spots] == [0, 0]
    assert spots[0].sigma_nm[0] == pytest.approx(spots[1].sigma_nm[0], rel=0.05)
    tilted = pair.probe(at(nano, 8400.0, mirror_pitch_urad=(1.0, 0.0)))
    assert tilted.place_um[1] - pair.probe(at(nano, 8400.0)).place_um[1] == pytest.approx(0.6)


def test_thickness_under_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    one = sphere(probe)
    spot = one.probe(at(nano, 8400.0))
    there = dataclasses.replace(spot, place_um=(0.0, 0.0))
    assert one.thickness(there)[0] == pytest.approx(2.0, rel=2e-3)
    beside = dataclasses.replace(spot, place_um=(0.6, 0.0))
    assert one.thickness(beside)[0] == pytest.approx(2 * np.sqrt(1 - 0.36), rel=5e-3)
    assert one.thickness(dataclasses.replace(spot, place_um=(3.0, 0.0))).tolist() == [0, 0]


def test_fluorescence_is_that_of_the_formula(probe: Nanoprobe, nano: Beamline) -> None:
    """counts = I0 μ_K m w_K (branching)(geometry), summed over the lines of nickel and many points."""
    one = sphere(probe)
    x, y = one.probe(at(nano, 8400.0)).place_um
    readings = at(nano, 8400.0, sample_um=(x, y))
    points = [one.count(readings, 0.01, number, GAINS) for number in range(100)]
    spectrum = np.sum([point.fluorescence for point in points], axis=(0, 1))
    window = slice(720, 775)  # Kα1 and Kα2
    species = one.sample.species[0]
    jump = tables.partial_absorption(species.formula, species.density, "Ni", 8400.0) * (1 - 1 / tables.jump_ratio("Ni"))
    shape = float(species.near_edge(8400.0))
    k_alpha = sum(line.branching for line in tables.lines("Ni") if line.name.startswith("Ka"))
    expected = 1e9 * jump * shape * 2.0 * tables.fluorescence_yield("Ni") * k_alpha * 0.01
    rate = expected / k_alpha * 1.1 / 4
    assert spectrum[window].sum() == pytest.approx(expected * np.exp(-rate * 0.25e-6), rel=0.03)


def test_nickel_does_not_fluoresce_below_its_edge(probe: Nanoprobe, nano: Beamline) -> None:
    one = sphere(probe)

    def nickel(energy: float) -> int:
        place = one.probe(at(nano, energy)).place_um
        return int(one.count(at(nano, energy, sample_um=place), 0.1, 0, GAINS).fluorescence[:, 720:775].sum())

    assert nickel(8250.0) < 0.02 * nickel(8400.0)


def test_counters_see_the_sample(probe: Nanoprobe, nano: Beamline) -> None:
    one = sphere(probe)
    x, y = one.probe(at(nano, 8400.0)).place_um
    inside, outside = (one.count(at(nano, 8400.0, sample_um=place), 1.0, 0, GAINS) for place in ((x, y), (x + 3, y)))
    passed = np.exp(-2.0 * one.sample.species[0].absorption(8400.0))
    assert inside.transmitted / outside.transmitted == pytest.approx(passed, rel=0.01)
    assert inside.incident == pytest.approx(outside.incident, rel=0.01)


def test_light_shows_the_species(probe: Nanoprobe, nano: Beamline) -> None:
    one = sphere(probe)
    x, y = one.probe(at(nano, 8400.0)).place_um
    light = one.count(at(nano, 8400.0, sample_um=(x, y)), 0.1, 0, GAINS).light - 600.0
    wavelengths = one.spectrometer.wavelengths
    band = abs(wavelengths - 700) < 120
    assert (light * wavelengths)[band].sum() / light[band].sum() == pytest.approx(700, abs=3)
    assert light[abs(wavelengths - 700) < 30].mean() > 20 * light[abs(wavelengths - 450) < 30].mean()


def test_the_same_point_twice_is_the_same(probe: Nanoprobe, nano: Beamline) -> None:
    first, again, other = (probe.count(at(nano, 8400.0), 0.05, number, GAINS) for number in (3, 3, 4))
    assert first.incident == again.incident
    assert np.array_equal(first.fluorescence, again.fluorescence)
    assert np.array_equal(first.light, again.light)
    assert not np.array_equal(first.fluorescence, other.fluorescence)


def test_width_of_a_line() -> None:
    detector = FluorescenceDetector(4, 4096, 10.0, 110.0, 0.25e-6, 0.01, 1e-4, 1, 4)
    shape = detector.line_shape(5895.0)
    centres = (np.arange(4096) + 0.5) * 10
    assert shape.sum() == pytest.approx(1)
    assert (shape * centres).sum() == pytest.approx(5895)
    sigma = np.sqrt((shape * (centres - 5895) ** 2).sum())
    assert 2.3548 * sigma == pytest.approx(np.hypot(110, 2.3548 * np.sqrt(0.115 * 3.66 * 5895)), rel=1e-3)


def test_escape_of_a_thin_layer_is_complete_and_of_a_thick_one_is_not() -> None:
    assert escape(0.1, 0.2, 1e-9, 30.0) == pytest.approx(1)
    assert escape(0.0, 0.0, 5.0, 30.0) == 1
    assert escape(0.1, 0.2, 100.0, 30.0) == pytest.approx(1 / 50, rel=1e-6)


def test_ion_chamber_noise_dark_current_and_saturation(seed: int) -> None:
    chamber = IonChamber(0.02, 0.0, 1e5, 10.0, seed, 2)
    counts = np.array([chamber.counts(1e6, 8333.0, 1e12, 0.1, number) for number in range(2000)], float)
    current = 1e6 * 0.02 * 8333 / 34.8 * 1.602176634e-19
    assert counts.mean() == pytest.approx(1e12 * current * 1e5 * 0.1, rel=6 * 0.0224 / np.sqrt(2000))
    # 2000 photons are absorbed in a count: their Poisson noise is 2.2 %
    assert counts.std() / counts.mean() == pytest.approx(1 / np.sqrt(2000), rel=0.1)
    assert chamber.counts(1e12, 8333.0, 1e9, 0.1, 0) == pytest.approx(10 * 1e5 * 0.1, abs=1)
    closed = IonChamber(0.02, 1e-12, 1e5, 10.0, seed, 2)
    dark = [closed.counts(0.0, 8333.0, 1e9, 1.0, number) for number in range(200)]
    assert np.mean(dark) == pytest.approx(1e9 * 1e-12 * 1e5, rel=0.02)


def test_optical_spectrum_counts_its_photons(seed: int) -> None:
    grating = OpticalSpectrometer(1024, (350.0, 1000.0), 1.0, 1e-2, 600.0, 3.0, seed, 5)
    spectra = np.stack([grating.spectrum([(600.0, 10.0, 1e6)], number) for number in range(50)]).astype(float)
    assert (spectra - 600).sum(axis=1).mean() == pytest.approx(1e4, rel=0.02)


def test_a_zone_plate_is_the_optic_unless_mirrors_are_asked_for() -> None:
    assert isinstance(twin.nanoprobe(load("nanoprobe")).optic, Lens)
