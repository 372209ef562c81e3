"""Every axis and every figure of the scanning microscope acts, in its own direction."""

import dataclasses

import numpy as np
import pytest

from whiteline.analysis.laws import bragg
from whiteline.analysis.laws.scanning import zone_plate_reading
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline
from whiteline.sim.bodies import Body, Ellipsoid
from whiteline.sim.drift import Drift
from whiteline.sim.nanoprobe import Lens, Nanoprobe, Point, Probe, Readings
from whiteline.sim.optics import OrderSortingAperture, overlap
from whiteline.sim.sample import Sample
from whiteline.sim.truth import truth_of_raster

GAINS = (1e6, 1e6, 1e6)
LAW = ZonePlate(240, 60)


def at(nano: Beamline, energy: float = 8400.0, **changed: object) -> Readings:
    parts = {
        "bragg": bragg.bragg_angle(energy, nano.monochromator.spacing),
        "crystal_gap": 12.9,
        "undulator_gap": nano.undulator.law(nano.ring).gap(energy, 5),
        "zone_plate": zone_plate_reading(energy, 0.0, LAW.chromaticity),
        "aperture": -10.0,
    }
    return Readings(**(parts | changed))  # type: ignore[arg-type]


def of_one(probe: Nanoprobe, place: tuple[float, float, float], radius: float = 1.0) -> Nanoprobe:
    species = probe.sample.species
    body = Body(Ellipsoid(place, (radius, radius, radius)), {species[0].name: 1.0}, {}, 0.0)
    calm = Drift(0.0, 0.0, 1.0, 0)
    return dataclasses.replace(probe, sample=Sample((body,), species), drift=calm)


def on(probe: Nanoprobe, nano: Beamline, x: float, y: float, **changed: object) -> Readings:
    """Readings with the spot at a place of the sample [µm]."""
    here = probe.probe(at(nano, **changed)).place_um
    return at(nano, sample_um=(here[0] - x, here[1] - y), **changed)


def test_a_defocus_blurs_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    readings = at(nano)
    off = probe.probe(dataclasses.replace(readings, zone_plate=readings.zone_plate + 0.2))
    assert off.sigma_nm[0] == pytest.approx(np.hypot(LAW.blur(0.2, 8400.0), 27.6), rel=0.01)
    assert off.defocus == pytest.approx(0.2, abs=1e-3)


def test_the_sample_along_the_beam(probe: Nanoprobe, nano: Beamline) -> None:
    near, far = (probe.probe(at(nano, sample_z=z)).defocus for z in (0.0, 0.1))
    assert far - near == pytest.approx(-0.1, abs=1e-9)


def test_the_drift_moves_the_sample_under_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    moves = (5.0, 50.0)
    start, later = (probe.probe(at(nano, time_s=t, moves_s=moves)).place_um for t in (0.0, 200.0))
    drifted = np.subtract(probe.drift.position(200.0, moves), probe.drift.position(0.0, moves))
    assert np.subtract(later, start) == pytest.approx(-1e-3 * drifted, abs=1e-9)
    assert np.hypot(*drifted) > 1


@pytest.mark.parametrize(("axis", "sign"), [("sample_um", -1), ("zone_plate_xy_um", 1)])
def test_sideways_axes_move_the_spot(probe: Nanoprobe, nano: Beamline, axis: str, sign: int) -> None:
    start, moved = (probe.probe(at(nano, **{axis: place})).place_um for place in ((0.0, 0.0), (0.3, -0.7)))
    assert np.subtract(moved, start) == pytest.approx([sign * 0.3, sign * -0.7])


def test_rotation_carries_the_sample_around(probe: Nanoprobe, nano: Beamline) -> None:
    behind = of_one(probe, (0.0, 0.0, 2.0))

    def passed(x: float, rotation: float) -> float:
        readings = on(behind, nano, x, 0.0, rotation_deg=rotation)
        point = behind.count(readings, 0.5, 0, (1e8, 1e8, 1e7))
        chambers = behind.transmitted.absorbed * 1e7, behind.monitors.incident.absorbed * 1e8
        return (point.transmitted / chambers[0]) / (point.incident / chambers[1])

    inside = float(np.exp(-2.0 * behind.sample.species[0].absorption(8400.0)))
    found = [passed(x, rotation) for x, rotation in ((0.0, 0.0), (2.0, 0.0), (0.0, 90.0), (2.0, 90.0))]
    assert found == pytest.approx([inside, 1.0, 1.0, inside], abs=0.01)
    assert inside < 0.95


@pytest.mark.parametrize("sigma", [(400.0, 20.0), (20.0, 400.0)])
def test_thickness_is_averaged_over_the_spot(probe: Nanoprobe, sigma: tuple[float, float]) -> None:
    one = of_one(probe, (0.0, 0.0, 0.0))
    wide = Probe(8400.0, 0.0, sigma, (0.3, 0.0), 1e9)
    grid = np.linspace(-3, 3, 601)
    x, y = np.meshgrid(grid, grid)
    weight = np.exp(-0.5 * (((x - 0.3) / (1e-3 * sigma[0])) ** 2 + (y / (1e-3 * sigma[1])) ** 2))
    sphere = 2 * np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    assert one.thickness(wide)[0] == pytest.approx((weight * sphere).sum() / weight.sum(), rel=0.03)


def test_thickness_is_averaged_along_the_path(probe: Nanoprobe) -> None:
    one = of_one(probe, (0.0, 0.0, 0.0))
    sharp = Probe(8400.0, 0.0, (1.0, 1.0), (0.2, 0.0), 1e9)
    for path in ((0.6, 0.0), (0.0, 0.6), (0.3, -0.3)):
        along = np.linspace(-0.5, 0.5, 2001)
        x, y = 0.2 - along * path[0], -along * path[1]
        assert one.thickness(sharp, path_um=path)[0] == pytest.approx(np.mean(2 * np.sqrt(1 - x**2 - y**2)), rel=1e-3)


def test_the_truth_of_a_raster_is_the_mean_along_each_path(probe: Nanoprobe, nano: Beamline) -> None:
    one = of_one(probe, (0.5, -0.25, 0.0))
    readings = on(one, nano, 0.0, 0.0)
    columns = readings.sample_um[0] - np.array([-1.5, 0.5])
    rows = readings.sample_um[1] - np.array([-0.25, 0.5, 2.0])
    truth = truth_of_raster(one, readings, columns, rows, path_um=(0.2, 0.0))
    assert truth.thickness_um.shape == (2, 3, 2)
    along = np.linspace(-0.1, 0.1, 101)
    assert truth.thickness_um[0, 0, 1] == pytest.approx(np.mean(2 * np.sqrt(1 - along**2)), rel=5e-3)
    assert truth.thickness_um[0, 1, 1] == pytest.approx(np.mean(2 * np.sqrt(1 - 0.75**2 - along**2)), rel=2e-2)
    assert truth.thickness_um[0, 0, 0] == truth.thickness_um[0, 2, 1] == 0
    assert truth.fraction[:, 0, 1] == pytest.approx([1, 0])
    assert np.isnan(truth.half_height[2, 0])


def test_the_truth_of_a_raster_is_in_focus_whatever_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    readings = at(nano)
    off = dataclasses.replace(readings, zone_plate=readings.zone_plate + 1.0, zone_plate_xy_um=(-1.5, 3.0))
    x = y = np.linspace(-2, 2, 5)
    sharp, blurred = (truth_of_raster(probe, one, x, y).thickness_um for one in (readings, off))
    assert blurred == pytest.approx(sharp, abs=1e-3)


def mirrored(nano: Beamline, seed: int) -> Nanoprobe:
    return twin.nanoprobe(nano.model_copy(update={"optic": "mirrors"}), seed=seed)


def test_the_spot_of_the_mirrors(nano: Beamline, seed: int) -> None:
    """Horizontal: 100 mm at 3 mrad in front of 150 mm, source 40 µm; vertical: in front of 300 mm, source 10 µm."""
    spot = mirrored(nano, seed).probe(at(nano))
    nanometres = 0.1 * 12398.42 / 8400
    horizontal = np.hypot(0.443 * nanometres / 1e-3, 40e3 * 150 / 60e3)
    vertical = np.hypot(0.443 * nanometres / 5e-4, 10e3 * 300 / 60e3)
    assert 2.354820 * np.array(spot.sigma_nm) == pytest.approx([horizontal, vertical], rel=1e-3)
    assert spot.photons_per_s == pytest.approx(0.7e9, rel=0.02)


def test_the_mirrors_walk_each_in_its_direction(nano: Beamline, seed: int) -> None:
    pair = mirrored(nano, seed)
    still = pair.probe(at(nano)).place_um
    for pitch, moved in (((1.0, 0.0), (0.0, 0.6)), ((0.0, 1.0), (0.3, 0.0))):
        place = pair.probe(at(nano, mirror_pitch_urad=pitch)).place_um
        assert np.subtract(place, still) == pytest.approx(moved, abs=1e-9)


def test_each_chamber_has_its_own_amplifier(probe: Nanoprobe, nano: Beamline) -> None:
    plain = probe.count(at(nano), 1.0, 0, (1e7, 1e7, 1e7))
    for index, name in enumerate(("incident", "reference", "transmitted")):
        gains = tuple(1e8 if index == number else 1e7 for number in range(3))
        counts = probe.count(at(nano), 1.0, 0, gains)  # type: ignore[arg-type]
        for other in ("incident", "reference", "transmitted"):
            ratio = getattr(counts, other) / getattr(plain, other)
            assert ratio == pytest.approx(10 if other == name else 1, rel=0.02), other


def test_light_is_in_proportion_to_the_atoms(probe: Nanoprobe, nano: Beamline) -> None:
    def light(radius: float) -> float:
        one = of_one(probe, (0.0, 0.0, 0.0), radius)
        return float((one.count(on(one, nano, 0.0, 0.0), 1.0, 0, GAINS).light - 600.0).sum())

    one = of_one(probe, (0.0, 0.0, 0.0), 0.1)
    depth = one.thickness(one.probe(on(one, nano, 0.0, 0.0)))[0]
    absorbed = 1e9 * one.sample.species[0].absorption(8400.0) * depth
    assert light(0.1) == pytest.approx(absorbed * 20.0 * 1e-3, rel=0.05)
    assert light(1.0) / light(0.5) == pytest.approx(2, rel=0.05)


def test_the_aperture_cuts_the_ring_of_light() -> None:
    """Against points thrown on the ring, with the pinhole in its middle and beside it."""
    pinhole, source = OrderSortingAperture(60, 90), np.random.default_rng(1)
    focal_length = LAW.focal_length(8400.0)
    for distance, beside in ((30.0, (0.0, 0.0)), (10.0, (25.0, 0.0)), (10.0, (15.0, 20.0)), (5.0, (80.0, 0.0))):
        outer, inner = 120 * distance / focal_length, 45 * distance / focal_length
        points = source.uniform(-outer, outer, (400_000, 2))
        lit = (np.hypot(*points.T) <= outer) & (np.hypot(*points.T) >= inner)
        passed = np.hypot(*(points - beside).T) <= 30
        share = np.count_nonzero(lit & passed) / np.count_nonzero(lit)
        assert pinhole.transmission(distance, focal_length, 240.0, beside) == pytest.approx(share, abs=0.006)


def test_discs_that_share_nothing_or_all() -> None:
    assert overlap(1.0, 2.0, 3.5) == 0
    assert overlap(1.0, 2.0, 0.5) == pytest.approx(np.pi)


def test_the_pinhole_follows_its_own_zero_and_the_spot(probe: Nanoprobe, nano: Beamline) -> None:
    assert isinstance(probe.optic, Lens)
    offset = dataclasses.replace(probe, optic=dataclasses.replace(probe.optic, aperture_zero=5.0))
    assert offset.probe(at(nano, aperture=-25.0)).photons_per_s == pytest.approx(
        probe.probe(at(nano, aperture=-30.0)).photons_per_s
    )
    beside = probe.probe(at(nano, aperture_xy_um=(60.0, 0.0))).photons_per_s
    assert beside < 0.01 * probe.probe(at(nano)).photons_per_s
    along = probe.probe(at(nano, aperture_xy_um=(60.0, 0.0), zone_plate_xy_um=(60.0, 0.0))).photons_per_s
    assert along == pytest.approx(probe.probe(at(nano)).photons_per_s, rel=1e-6)


def test_self_absorption_weakens_what_is_thick(probe: Nanoprobe, nano: Beamline) -> None:
    def nickel(thick: Nanoprobe) -> int:
        counted: Point = thick.count(on(thick, nano, 0.0, 0.0), 500.0, 0, GAINS)
        return int(counted.fluorescence[:, 720:775].sum())

    dim = dataclasses.replace(probe, photons_per_s=1e6)
    thin, thick = (of_one(dim, (0.0, 0.0, 0.0), radius) for radius in (0.2, 10.0))
    with_it = [dataclasses.replace(one, take_off_deg=30.0) for one in (thin, thick)]
    assert nickel(thin) > 30_000
    assert nickel(with_it[0]) == pytest.approx(nickel(thin), rel=0.07)
    assert nickel(with_it[1]) < 0.6 * nickel(thick)


def test_a_dwell_of_nothing_is_refused(probe: Nanoprobe, nano: Beamline) -> None:
    with pytest.raises(ValueError, match=r"dwell 0 s must be above 0"):
        probe.count(at(nano), 0.0, 0, GAINS)
