"""Every axis and every figure of the full-field microscope and its beam acts, in its own direction."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.sim.bodies import Body, Ellipsoid
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.sample import Sample
from whiteline.sim.truth import truth_of_image

Where = Callable[[float], Readings]
SENSOR = (2048, 2048)
MIDDLE = slice(1024, 1025)


def centre(microscope: FullFieldMicroscope, readings: Readings, *, axis: int, half: int = 1000) -> float:
    """Where the flat is brightest along an axis (0 rows, 1 columns), by the parabola of its logarithm [pixels]."""
    out = dataclasses.replace(readings, sample_um=(5000.0, 0.0))
    line = slice(1024 - half, 1024 + half)
    profile = np.log(microscope.expected(out, 0.2, 0)(*((line, MIDDLE) if axis == 0 else (MIDDLE, line))).ravel())
    second, first, _ = np.polyfit(np.arange(-half, half), profile.astype(float), 2)
    return float(-first / (2 * second))


def of_one(microscope: FullFieldMicroscope, place: tuple[float, float, float]) -> FullFieldMicroscope:
    species = microscope.sample.species
    body = Body(Ellipsoid(place, (1.0, 1.0, 1.0)), {species[0].name: 1.0}, {}, 0.0)
    return dataclasses.replace(microscope, sample=Sample((body,), species))


def test_rotation_carries_the_sample_around(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    behind = of_one(microscope, (0.0, 0.0, 2.0))
    region = Region.centred(SENSOR, (16, 320))

    def shadow(rotation: float) -> tuple[float, float]:
        readings = dataclasses.replace(in_focus(8350.0), rotation_deg=rotation)
        photons = behind.expected(readings, 0.2, 0)(slice(1016, 1032), slice(864, 1184)).sum(axis=0)
        truth = truth_of_image(behind, readings, 0, region).thickness_um[0].sum(axis=0)
        out = dataclasses.replace(readings, sample_um=(5000.0, 0.0))
        flat = behind.expected(out, 0.2, 0)(slice(1016, 1032), slice(864, 1184)).sum(axis=0)
        pixels = np.arange(-159.5, 160) * 0.02
        density = -np.log(photons / flat)
        return float((density * pixels).sum() / density.sum()), float((truth * pixels).sum() / truth.sum())

    assert shadow(0.0) == pytest.approx((0.0, 0.0), abs=0.03)
    assert shadow(90.0) == pytest.approx((2.0, 2.0), abs=0.03)


def test_the_illumination_is_a_gaussian_of_its_width(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    narrow = dataclasses.replace(microscope, illuminated_um=10.0)
    out = dataclasses.replace(in_focus(8350.0), sample_um=(5000.0, 0.0), zone_plate_xy_um=(0.0, 0.0))
    out = dataclasses.replace(out, zone_plate_xy_um=in_focus(8350.0).zone_plate_xy_um)
    photons = narrow.expected(out, 0.2, 0)
    middle, beside = (float(photons(MIDDLE, slice(column, column + 1))[0, 0]) for column in (1024, 1024 + 500))
    assert beside / middle == pytest.approx(np.exp(-0.5), rel=0.01)


def test_an_open_crystal_gap_moves_the_light_up(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    readings = in_focus(8350.0)
    wide = dataclasses.replace(readings, crystal_gap=readings.crystal_gap + 5e-3)
    moved = centre(microscope, wide, axis=0) - centre(microscope, readings, axis=0)
    assert moved * 0.020 == pytest.approx(2 * 5 * np.cos(np.radians(readings.bragg)), rel=0.01)
    assert centre(microscope, wide, axis=1) == pytest.approx(centre(microscope, readings, axis=1), abs=1)


def test_the_condenser_carries_the_light_and_the_lens_carries_the_image(
    microscope: FullFieldMicroscope, in_focus: Where
) -> None:
    readings = in_focus(8350.0)
    lit = dataclasses.replace(readings, condenser_um=(4.0, 0.0))
    assert (centre(microscope, lit, axis=1) - centre(microscope, readings, axis=1)) * 0.020 == pytest.approx(
        4.0, rel=0.01
    )
    x, y = readings.zone_plate_xy_um
    moved = dataclasses.replace(readings, zone_plate_xy_um=(x + 4.0, y))
    shift = (centre(microscope, moved, axis=1) - centre(microscope, readings, axis=1)) * 0.020
    assert shift == pytest.approx(-4.0 * 33.5 / 32.5, rel=0.01)
    before, after = (microscope.optics(one).shift_um[0] for one in (readings, moved))
    assert after - before == pytest.approx(4.0 * 33.5 / 32.5)


def test_the_sample_along_the_beam_goes_out_of_focus(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    off = microscope.optics(dataclasses.replace(in_focus(8350.0), sample_z=0.01))
    assert off.defocus == pytest.approx(-0.01, abs=2e-4)


@pytest.mark.parametrize(("change", "ratio"), [
    ({"time_s": 119.9}, np.exp(-119.9 / 28800)),
    ({"open": False}, 0.0),
    # NIST: μ/ρ of Al is 50.3 cm²/g at 8 keV and 26.2 at 10 keV, so 44.4 here, a fiftieth of it by scattering
    ({"filters": ("Al 100",)}, np.exp(-0.01 * 2.70 * 44.4)),
    ({"filters": ("Al 100", "Al 50")}, np.exp(-0.015 * 2.70 * 44.4)),
    ({"pitch_urad": 20.0, "fine_pitch_urad": -20.0}, 1.0),
])  # fmt: skip
def test_what_weakens_the_beam(
    microscope: FullFieldMicroscope, in_focus: Where, change: dict[str, object], ratio: float
) -> None:
    readings = in_focus(8350.0)
    changed = dataclasses.replace(readings, **change)  # type: ignore[arg-type]
    assert microscope.flux(changed, 8350.0) / microscope.flux(readings, 8350.0) == pytest.approx(
        ratio, rel=0.04, abs=1e-9
    )


def test_half_a_harmonic_beside_its_peak(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    width = 8350.0 / (5 * 140)
    off = dataclasses.replace(in_focus(8350.0), undulator_gap=in_focus(8350.0 + width / 2).undulator_gap)
    ratio = microscope.flux(off, 8350.0) / microscope.flux(in_focus(8350.0), 8350.0)
    assert ratio == pytest.approx(np.sinc(0.5) ** 2, rel=0.02)


def test_a_thermal_jump(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    still, warm = (
        microscope.optics(dataclasses.replace(in_focus(8333.0), thermal_jump_urad=jump)).energy for jump in (0.0, 10.0)
    )
    assert warm - still == pytest.approx(-0.3412, rel=1e-3)


def test_even_harmonics_do_not_shine(microscope: FullFieldMicroscope) -> None:
    device = microscope.beam.undulator
    for even in (2, 4, 6):
        assert device.brightness(5.0, even * device.fundamental(5.0)) < 1e-6


def test_hot_pixels_grow_with_the_exposure(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    dark = dataclasses.replace(in_focus(8350.0), open=False)
    short, long = (microscope.frame(dark, exposure, 0).astype(float) - 100 for exposure in (0.5, 1.0))
    hot = (short > 2000) & (long < 60000)
    assert hot.sum() > 50
    assert np.median(long[hot] / short[hot]) == pytest.approx(2, rel=0.02)


def test_the_pattern_stays_with_its_pixels(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    out = dataclasses.replace(in_focus(8350.0), sample_um=(5000.0, 0.0))
    for row in (900, 960):
        region = Region(row, 1000, 64, 64)
        mean = np.mean([microscope.frame(out, 0.2, number, region) for number in range(20)], axis=0) - 100
        rows, columns = slice(row, row + 64), slice(1000, 1064)
        flat: NDArray[np.float64] = mean / microscope.expected(out, 0.2, 0)(rows, columns)
        wanted = microscope.camera.sensitivity[rows, columns]
        cold = abs(flat / np.median(flat) - 1) < 0.1  # a hot pixel is no part of the pattern
        assert np.corrcoef(flat[cold], wanted[cold])[0, 1] > 0.9
    other = dataclasses.replace(microscope.camera, seed=microscope.camera.seed + 1)
    assert not np.array_equal(other.sensitivity[:8], microscope.camera.sensitivity[:8])


def test_a_camera_of_twelve_bits_saturates_sooner(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    old = dataclasses.replace(microscope, camera=dataclasses.replace(microscope.camera, bits=12))
    assert old.frame(in_focus(8350.0), 0.2, 0, Region.centred(SENSOR, (64, 64))).max() == 4095


@pytest.mark.parametrize("region", [(3000, 3000, 0, 0), (100, 100, 2000, 0), (100, 100, 0, 2000)])
def test_a_region_off_the_sensor_is_refused(
    microscope: FullFieldMicroscope, in_focus: Where, region: tuple[int, int, int, int]
) -> None:
    rows, columns, row, column = region
    with pytest.raises(ValueError, match=r"is not on the sensor of 2048 × 2048"):
        microscope.frame(in_focus(8350.0), 0.2, 0, Region(row, column, rows, columns))
    with pytest.raises(ValueError, match=r"is not on any sensor"):
        Region(-1, 0, 10, 10)
    with pytest.raises(ValueError, match=r"exposure -0.2 s must be above 0"):
        microscope.frame(in_focus(8350.0), -0.2, 0, Region(0, 0, 10, 10))


def test_far_out_of_focus_the_light_is_kept_and_is_as_wide_as_the_cone(
    microscope: FullFieldMicroscope, in_focus: Where
) -> None:
    """Half a millimetre off, on the coarser grid: the shadow keeps its sum and spreads as the geometry says."""
    one = dataclasses.replace(of_one(microscope, (0.0, 0.0, 0.0)), illuminated_um=1e6)
    readings = in_focus(8350.0)
    part = slice(1024 - 500, 1024 + 500)
    lost = {}
    for defocus in (0.0, 0.5):
        off = dataclasses.replace(readings, zone_plate=readings.zone_plate + defocus)
        scale = one.optics(off).pixel_nm / 20
        photons = one.expected(off, 0.2, 0)(part, part).astype(float)
        shadow = 1 - photons / photons[0, 0]
        rows = np.arange(1000) - 499.5
        total = shadow.sum()
        mean = (shadow.sum(axis=1) * rows).sum() / total
        spread = np.sqrt((shadow.sum(axis=1) * (rows - mean) ** 2).sum() / total) * scale
        lost[defocus] = total * scale**2, spread
    assert lost[0.5][0] == pytest.approx(lost[0.0][0], rel=0.02)
    cone = 1e6 * 0.5 * 0.002475 / 2 / 20  # |δ| NA / 2, in pixels
    assert np.sqrt(lost[0.5][1] ** 2 - lost[0.0][1] ** 2) == pytest.approx(cone, rel=0.03)


def test_any_part_of_a_blurred_image_is_the_same(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    readings = dataclasses.replace(in_focus(8350.0), zone_plate=in_focus(8350.0).zone_plate + 0.5)
    expected = microscope.expected(readings, 0.2, 0)
    whole = expected(slice(900, 1203), slice(801, 1300))
    assert expected(slice(1007, 1100), slice(905, 1001)) == pytest.approx(whole[107:200, 104:200], rel=1e-4)


def test_monitors_see_beam_and_foil(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    """A nickel foil takes its edge out of the reference beam: its steepest point is the energy of the edge."""
    energies = np.arange(8325.0, 8342.0, 1.0)
    seen = [microscope.monitor(in_focus(energy), 1.0, 0, (1e5, 1e3), "Ni") for energy in energies]
    bare = [microscope.monitor(in_focus(energy), 1.0, 0, (1e5, 1e3)) for energy in energies]
    density = np.array(
        [np.log(without.reference / behind.reference) for without, behind in zip(bare, seen, strict=True)]
    )
    assert energies[:-1][np.argmax(np.diff(density))] + 0.5 == pytest.approx(8333, abs=0.6)
    assert density[-1] - density[0] > 0.5
    assert [one.incident for one in seen] == pytest.approx([one.incident for one in bare], rel=0.01)
    with pytest.raises(ValueError, match=r"the foil wheel has no 'Zn'; it has Mn, Fe, Co, Ni, Cu"):
        microscope.monitor(in_focus(8350.0), 1.0, 0, (1e5, 1e3), "Zn")


def test_every_detector_has_its_own_noise() -> None:
    nano, txm = twin.nanoprobe(load("nanoprobe")), twin.full_field(load("txm"))
    numbers = [
        txm.camera.number, txm.monitors.incident.number, txm.monitors.reference.number,
        nano.transmitted.number, nano.fluorescence.number, nano.spectrometer.number,
    ]  # fmt: skip
    assert len(set(numbers)) == len(numbers)
    assert nano.monitors.incident.number == txm.monitors.incident.number


def test_two_seeds_drift_apart() -> None:
    first, second = (twin.full_field(load("txm"), seed=seed).drift.position(100.0) for seed in (1, 2))
    assert first != second
