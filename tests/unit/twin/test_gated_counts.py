"""Counting in many gates at once gives what counting point by point gives, and spectra have the photons they should."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from whiteline.beamline import twin
from whiteline.beamline.description import Beamline
from whiteline.beamline.simulation.settings import start_positions
from whiteline.sim.counters import IonChamber
from whiteline.sim.gated_counts import gated_monitors, gated_points, lit, thickness_along
from whiteline.sim.gated_spectra import gated_spectra, gated_windows, lines_of
from whiteline.sim.gates import Gates
from whiteline.sim.knife import Knife
from whiteline.sim.nanoprobe import Nanoprobe, Readings

GAINS = (1e9, 1e8, 1e8)


def standing(nano: Beamline, **changed: object) -> Readings:
    """The axes as they stand at the start, some elsewhere."""
    start = start_positions(nano)
    parts = {
        "bragg": start["monochromator.bragg"] - 0.03,
        "crystal_gap": 12.9,
        "undulator_gap": start["undulator.gap"] + 0.008,
        "zone_plate": start["zone_plate.z"],
        "zone_plate_xy_um": (start["zone_plate.x"], start["zone_plate.y"]),
        "aperture": -10.0,
    }
    return Readings(**(parts | changed))  # type: ignore[arg-type]


def gates_of(readings: Readings, places: np.ndarray, dwell_s: float, path: float = 0.0) -> Gates:
    count = len(places)
    return Gates(
        start_s=np.arange(count) * dwell_s,
        length_s=np.full(count, dwell_s),
        sample_um=places,
        path_um=np.tile([path, 0.0], (count, 1)),
        bragg=np.full(count, readings.bragg),
        rotation_deg=np.zeros(count),
        turn_deg=np.zeros(count),
        moments_s=np.array([0.0, count * dwell_s]),
        moments=[readings, readings],
    )


@pytest.fixture
def over_particles(probe: Nanoprobe, seed: int) -> np.ndarray:
    """Places of the stage that bring particles under the spot, in their middles and near their rims."""
    source = np.random.default_rng(seed)
    centres = np.array([body.outline.centre[:2] for body in probe.sample.bodies])
    return -(np.repeat(centres, 8, axis=0) + source.normal(0, 0.5, (8 * len(centres), 2)))


def test_the_thickness_under_many_spots_is_that_under_each(probe: Nanoprobe, nano: Beamline, over_particles) -> None:  # type: ignore[no-untyped-def]
    readings = standing(nano)
    spot = probe.spot(readings, 8360.0)
    sigma = np.tile(spot.sigma_nm, (len(over_particles), 1))
    path = np.tile([0.02, 0.01], (len(over_particles), 1))
    many = thickness_along(probe.sample, -over_particles, sigma, path, 3.0)
    assert (many.sum(axis=1) > 0).mean() > 0.5
    for place, found in zip(over_particles, many, strict=True):
        one = dataclasses.replace(spot, place_um=(-place[0], -place[1]))
        assert found == pytest.approx(probe.thickness(one, 3.0, (0.02, 0.01)), abs=1e-5)


def test_spectra_of_energies_at_once(probe: Nanoprobe) -> None:
    energies = np.concatenate([np.linspace(8200, 8600, 41), 8333 + np.linspace(-1.2, 1.2, 13)])
    for species in probe.sample.species:
        assert species.absorptions(energies) == pytest.approx([species.absorption(one) for one in energies], rel=1e-9)
        emissions = species.emissions(energies)
        for number, energy in enumerate(energies):
            single = dict(species.fluorescence(float(energy)))
            assert {line: rates[number] for line, rates in emissions} == pytest.approx(single, rel=1e-9)
    foil = probe.monitors.foils["Ni"]
    assert foil.transmissions(energies) == pytest.approx([foil.transmission(one) for one in energies], rel=1e-9)


def test_chambers_count_in_gates_as_they_count_at_points(
    probe: Nanoprobe, nano: Beamline, over_particles, seed
) -> None:  # type: ignore[no-untyped-def]
    """The mean over places agrees within the noise of both, for each chamber and with a foil in the reference beam."""
    readings, dwell_s = standing(nano), 0.01
    source = np.random.default_rng(seed)
    gates = gates_of(readings, over_particles, dwell_s)
    light = lit(probe, gates, gates.energies(probe.beam, source))
    found = np.mean(gated_points(probe, light, gates.length_s, GAINS, "Ni", source), axis=1)
    points = [
        probe.count(dataclasses.replace(readings, sample_um=tuple(place)), dwell_s, number, GAINS, "Ni")
        for number, place in enumerate(over_particles.tolist())
    ]
    wanted = np.mean([(one.incident, one.reference, one.transmitted) for one in points], axis=0)
    # 10⁷ photons: 2 % of them counted in the first chamber, half in the others
    assert found == pytest.approx(wanted, rel=6 * np.sqrt(2 / (1e7 * 0.02 * len(points))) + 1e-3)


def test_behind_a_knife_gates_count_what_points_do(probe: Nanoprobe, nano: Beamline, seed: int) -> None:
    readings, dwell_s = standing(nano), 0.01
    spot = probe.probe(readings)
    knife = Knife(1000.0, 50.0)
    cut, clear = (dataclasses.replace(probe, knife=one) for one in (knife, None))
    # the stage brings the edge to the spot, and 0.1 µm to either side
    off = np.linspace(-0.1, 0.1, 21)
    places = np.stack([spot.place_um[0] - 1000.0 - off, np.full(off.size, -1000.0)], axis=1)
    expected = norm.sf(1e3 * off / spot.sigma_nm[0])
    source = np.random.default_rng(seed)
    gates = gates_of(readings, places, dwell_s)
    light = lit(cut, gates, gates.energies(cut.beam, source))
    behind = gated_points(cut, light, gates.length_s, GAINS, "", source)[2]
    moved = [dataclasses.replace(readings, sample_um=tuple(place)) for place in places.tolist()]
    points = [cut.count(one, dwell_s, number, GAINS) for number, one in enumerate(moved)]
    whole = np.mean([clear.count(one, dwell_s, number, GAINS).transmitted for number, one in enumerate(moved)])
    for found in (behind, [one.transmitted for one in points]):
        assert np.asarray(found) / whole == pytest.approx(expected, abs=0.02)
    # what is before the sample sees nothing of it
    assert np.mean([one.incident for one in points]) == pytest.approx(
        np.mean([clear.count(one, dwell_s, number, GAINS).incident for number, one in enumerate(moved)]), rel=0.02
    )


def test_a_chamber_saturates_and_has_its_noise(seed: int) -> None:
    chamber = IonChamber(absorbed=0.02, dark_A=1e-12, hz_per_V=1e5, largest_V=10.0, seed=1, number=2)
    source, many = np.random.default_rng(seed), np.ones(4000)
    counts = chamber.gated_counts(1e9 * many, 8333 * many, 1e8, 0.01 * many, source)
    single = [chamber.counts(1e9, 8333.0, 1e8, 0.01, number) for number in range(400)]
    assert counts.mean() == pytest.approx(np.mean(single), rel=6 * np.sqrt(1 / 2e5 / 400))
    assert counts.std() == pytest.approx(np.std(single), rel=0.25)
    assert (chamber.gated_counts(1e9 * many, 8333 * many, 1e12, 0.01 * many, source) >= 10_000).all()
    assert (chamber.gated_counts(0 * many, 8333 * many, 1e5, 0.01 * many, source) <= 1).all()


def test_spectra_have_the_lines_that_a_point_has(probe: Nanoprobe, nano: Beamline, over_particles, seed: int) -> None:  # type: ignore[no-untyped-def]
    readings, dwell_s = standing(nano), 0.02
    source = np.random.default_rng(seed)
    gates = gates_of(readings, over_particles, dwell_s)
    light = lit(probe, gates, gates.energies(probe.beam, source))
    blocks = list(gated_spectra(probe.fluorescence, lines_of(probe, light), gates.length_s, source))
    spectra = np.concatenate(blocks)
    assert spectra.shape == (len(over_particles), 4, 4096)
    points = [
        probe.count(dataclasses.replace(readings, sample_um=tuple(place)), dwell_s, number, GAINS).fluorescence
        for number, place in enumerate(over_particles.tolist())
    ]
    ours, theirs = (np.sum(one, axis=(0, 1)).astype(float) for one in (spectra, points))
    compton, nickel = slice(800, 850), slice(720, 770)
    for part in (compton, nickel, slice(None)):
        assert ours[part].sum() == pytest.approx(theirs[part].sum(), abs=6 * np.sqrt(2 * theirs[part].sum()))
    place = np.arange(4096)
    for part in (nickel, compton):
        mean, width = ((weights[part] @ place[part]) / weights[part].sum() for weights in (ours, theirs))
        assert mean == pytest.approx(width, abs=6 * 12 / np.sqrt(theirs[part].sum()))
    each = spectra.sum(axis=(0, 2))
    assert each == pytest.approx(each.mean(), abs=6 * np.sqrt(each.mean()))


def test_windows_count_what_spectra_hold(
    probe: Nanoprobe, nano: Beamline, over_particles: np.ndarray, seed: int
) -> None:
    """Of the same expectation, each with its own noise; a window within another one shares its counts."""
    source = np.random.default_rng(seed)
    gates = gates_of(standing(nano), over_particles, 0.02)
    light = lit(probe, gates, gates.energies(probe.beam, source))
    lines, windows = lines_of(probe, light), [(730, 765), (740, 750), (815, 840)]
    counts, events = gated_windows(probe.fluorescence, lines, gates.length_s, windows, source)
    spectra = np.concatenate(list(gated_spectra(probe.fluorescence, lines, gates.length_s, source))).sum(axis=1)
    for found, (first, beyond) in zip(counts, windows, strict=True):
        held = spectra[:, first:beyond].sum(axis=1, dtype=float)
        assert found.sum() > 1000
        assert (found - held).std() == pytest.approx(np.sqrt((found + held).mean()), rel=0.35)
        assert found.sum() == pytest.approx(held.sum(), abs=5 * np.sqrt(2 * held.sum()))
    assert events.sum() == pytest.approx(spectra.sum(), abs=5 * np.sqrt(2.0 * spectra.sum()))
    assert (counts[1] <= counts[0]).all()
    assert (counts[0] + counts[2] <= events).all()


def test_a_busy_detector_spaces_its_counts(probe: Nanoprobe, nano: Beamline, seed: int) -> None:
    """Their variance is that of chance, less twice the share of the time in which an element was busy."""
    source, centre = np.random.default_rng(seed), probe.sample.bodies[0].outline.centre
    gates = gates_of(standing(nano), np.tile([-centre[0], -centre[1]], (20_000, 1)), 1e-3)
    light = lit(probe, gates, gates.energies(probe.beam, source))
    bright = dataclasses.replace(light, photons_per_s=np.full(20_000, light.photons_per_s.max()))
    detector = dataclasses.replace(probe.fluorescence, dead_time_s=1e-6)
    _, events = gated_windows(detector, lines_of(probe, bright), gates.length_s, [(730, 765)], source)
    busy = events.mean() / detector.elements / 1e-3 * detector.dead_time_s
    assert busy > 0.05
    assert events.var() / events.mean() == pytest.approx(1 - 2 * busy, abs=0.05)


def test_nothing_counts_where_nothing_is_reflected(probe: Nanoprobe, nano: Beamline, seed: int) -> None:
    readings, source = standing(nano, bragg=-5.0), np.random.default_rng(seed)
    gates = gates_of(readings, np.zeros((50, 2)), 0.01)
    light = lit(probe, gates, gates.energies(probe.beam, source))
    assert (light.photons_per_s == 0).all()
    assert np.max(gated_points(probe, light, gates.length_s, (1e5, 1e5, 1e5), "", source)) <= 1


def test_each_gate_has_its_own_energy_and_jitter(probe: Nanoprobe, nano: Beamline, seed: int) -> None:
    readings = standing(nano)
    gates = gates_of(readings, np.zeros((2000, 2)), 0.001)
    sweep = dataclasses.replace(gates, bragg=np.linspace(13.8, 13.6, 2000))
    energy = sweep.energies(probe.beam, np.random.default_rng(seed))
    still = np.array([probe.beam.monochromator.energy(one) for one in sweep.bragg])
    # 0.2 µrad is 0.0068 eV here
    assert np.std(energy - still) == pytest.approx(0.0068, rel=0.15)
    assert np.mean(energy - still) == pytest.approx(0, abs=6 * 0.0068 / np.sqrt(2000))


def test_the_chambers_of_a_full_field_microscope(txm: Beamline, in_focus, seed: int) -> None:  # type: ignore[no-untyped-def]
    microscope = twin.full_field(txm, seed=seed)
    readings, source = in_focus(8400.0), np.random.default_rng(seed)
    gates = gates_of(readings, np.zeros((200, 2)), 0.01)
    energy = gates.energies(microscope.beam, source)
    found = np.mean(gated_monitors(microscope, gates, energy, (1e5, 1e4), "", source), axis=1)
    points = [microscope.monitor(readings, 0.01, number, (1e5, 1e4)) for number in range(200)]
    wanted = np.mean([(one.incident, one.reference) for one in points], axis=0)
    assert found == pytest.approx(wanted, rel=3e-3)
