"""Frames: the same bit for bit, and with the statistics, drift, blur and magnification that were asked for."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.sim.bodies import Body, Ellipsoid, projected
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.sample import Sample

Where = Callable[[float], Readings]

SENSOR = (2048, 2048)
SMALL = Region.centred(SENSOR, (256, 256))

IN_ANOTHER_PROCESS = """
import hashlib, sys
from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.sim.camera import Region
beamline = load("txm")
microscope = twin.full_field(beamline, seed=int(sys.argv[1]))
region = Region.centred((2048, 2048), (300, 200))
frame = microscope.frame(readings_in_focus(beamline, 8350.0, 5), 0.2, int(sys.argv[2]), region)
print(hashlib.sha256(frame.tobytes()).hexdigest())
"""


def without_sample(readings: Readings) -> Readings:
    return dataclasses.replace(readings, sample_um=(5000.0, 0.0))


def plain(microscope: FullFieldMicroscope, **camera: float) -> FullFieldMicroscope:
    """The microscope with an even illumination and a camera without pattern and hot pixels."""
    even = {"pattern": 0.0, "hot_share": 0.0} | camera
    return dataclasses.replace(
        microscope,
        illuminated_um=1e6,
        camera=dataclasses.replace(microscope.camera, **even),  # type: ignore[arg-type]
    )


def disc(microscope: FullFieldMicroscope, places: list[tuple[float, float]], radius: float) -> Sample:
    """Discs of one species at these places [µm], long along the beam: they absorb far more than the noise."""
    name = microscope.sample.species[0].name
    bodies = tuple(Body(Ellipsoid((x, y, 0), (radius, radius, 8 * radius)), {name: 1.0}, {}, 0.0) for x, y in places)
    return Sample(bodies, microscope.sample.species)


def centroids(density: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Centres of gravity (column, row) of equal vertical strips of an image, in pixels."""
    found = []
    for strip in range(parts):
        columns = slice(strip * density.shape[1] // parts, (strip + 1) * density.shape[1] // parts)
        piece = density[:, columns]
        rows, cols = np.mgrid[: piece.shape[0], columns.start : columns.stop]
        found.append([(piece * cols).sum() / piece.sum(), (piece * rows).sum() / piece.sum()])
    return np.array(found)


def test_same_seed_and_number_same_frame_in_any_order(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    first = {number: microscope.frame(in_focus(8350.0), 0.2, number, SMALL) for number in (0, 1, 2)}
    again = {number: microscope.frame(in_focus(8350.0), 0.2, number, SMALL) for number in (2, 0, 1)}
    for number in first:
        assert np.array_equal(first[number], again[number])
    assert not np.array_equal(first[0], first[1])


def test_the_frame_does_not_depend_on_the_threads(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    alone = microscope.frame(in_focus(8350.0), 0.2, 7, SMALL)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as executor:
            assert np.array_equal(alone, microscope.frame(in_focus(8350.0), 0.2, 7, SMALL, executor))


def test_two_processes_see_the_same_frame_and_another_seed_another(seed: int) -> None:
    def digest(seed: int, frame: int) -> str:
        command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(seed), str(frame)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert digest(seed, 11) == digest(seed, 11)
    assert len({digest(seed, 11), digest(seed, 12), digest(seed + 1, 11)}) == 3


@pytest.mark.parametrize("exposure_s", [0.002, 0.015, 0.2])
def test_photon_statistics(microscope: FullFieldMicroscope, in_focus: Where, exposure_s: float) -> None:
    """Mean and variance over frames of every pixel, below and above where Poisson is drawn as normal."""
    even = plain(microscope)
    steady = dataclasses.replace(even.beam, monochromator=dataclasses.replace(even.beam.monochromator, jitter_urad=0.0))
    even = dataclasses.replace(even, beam=steady)
    readings = without_sample(in_focus(8350.0))
    region = Region.centred(SENSOR, (128, 128))
    frames = np.stack([even.frame(readings, exposure_s, number, region) for number in range(40)]).astype(float)
    counts = even.counts_without_sample(readings, exposure_s)
    pixels = 128 * 128
    mean, variance = frames.mean() - 100, frames.var(axis=0, ddof=1).mean()
    expected = counts + 1.6**2 + 1 / 12  # and the rounding to whole numbers
    assert abs(mean - counts) < 6 * np.sqrt(expected / frames.size) + 1e-4 * counts
    assert variance == pytest.approx(expected, rel=6 * np.sqrt(2 / 39 / pixels))


def test_dark_frames(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    dark = dataclasses.replace(in_focus(8350.0), open=False)
    frames = np.stack([plain(microscope).frame(dark, 0.2, number, SMALL) for number in range(20)]).astype(float)
    assert frames.mean() == pytest.approx(100, abs=6 * 1.6 / np.sqrt(frames.size))
    assert frames.std() == pytest.approx(np.sqrt(1.6**2 + 1 / 12), rel=6 / np.sqrt(2 * frames.size))


def test_ten_thousand_counts_in_a_fifth_of_a_second(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    assert microscope.counts_without_sample(in_focus(8350.0), 0.2) == pytest.approx(1e4, rel=0.02)


def test_fixed_pattern_belongs_to_the_camera(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    quiet = dataclasses.replace(microscope, illuminated_um=1e6)
    readings = without_sample(in_focus(8350.0))
    halves = [
        np.mean([quiet.frame(readings, 0.2, number, SMALL) for number in range(start, start + 20)], axis=0)
        for start in (0, 20)
    ]
    cold = np.abs(halves[0] / np.median(halves[0]) - 1) < 0.1
    first, second = (half[cold] / half[cold].mean() - 1 for half in halves)
    assert np.sqrt(np.mean(first * second)) == pytest.approx(0.01, rel=0.03)


def test_hot_pixels_and_saturation(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    dark = dataclasses.replace(in_focus(8350.0), open=False)
    frame = microscope.frame(dark, 1.0, 0)
    hot = np.argwhere(frame > 500)
    assert hot.shape[0] == pytest.approx(1e-4 * 2048**2, rel=0.02)
    assert np.array_equal(hot, np.argwhere(microscope.frame(dark, 1.0, 1) > 500))
    assert microscope.frame(without_sample(in_focus(8350.0)), 5.0, 0, SMALL).max() == 65535


def test_binning_adds_pixels(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    readings = in_focus(8350.0)
    fine = microscope.frame(readings, 0.05, 0, Region.centred(SENSOR, (128, 128))).astype(float) - 100
    coarse = microscope.frame(readings, 0.05, 0, Region.centred(SENSOR, (64, 64), 2)).astype(float) - 100
    summed = fine.reshape(64, 2, 64, 2).sum(axis=(1, 3))
    pulls = (coarse - summed) / np.sqrt(coarse + summed + 5 * 1.6**2)
    assert np.std(pulls) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("shape", [(100, 37), (1, 1), (129, 2048)])
def test_any_region_has_its_shape(microscope: FullFieldMicroscope, in_focus: Where, shape: tuple[int, int]) -> None:
    assert microscope.frame(in_focus(8350.0), 0.2, 0, Region.centred(SENSOR, shape)).shape == shape


def test_a_region_is_a_part_of_the_whole_sensor(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    expected = microscope.expected(in_focus(8350.0), 0.2, 0)
    whole = expected(slice(900, 1200), slice(800, 1300))
    assert expected(slice(1000, 1100), slice(900, 1000)) == pytest.approx(whole[100:200, 100:200], rel=1e-5)


@pytest.mark.parametrize("energy", [8200.0, 8350.0, 8600.0])
def test_magnification_measured_in_the_frame(microscope: FullFieldMicroscope, in_focus: Where, energy: float) -> None:
    """Two discs 6 µm apart: with a detector that stands still, the image grows as the true magnification."""
    pair = dataclasses.replace(plain(microscope), sample=disc(microscope, [(-3.0, 0.0), (3.0, 0.0)], 1.0))
    standing = dataclasses.replace(in_focus(energy), detector=in_focus(8350.0).detector, sample_um=(0.0, 0.0))
    optics = pair.optics(standing)
    region = Region.centred(SENSOR, (256, 512))
    frames = np.mean([pair.frame(standing, 0.2, number, region) for number in range(4)], axis=0) - 100
    density = np.clip(-np.log(frames / np.median(frames[:, :20])), 0, None)
    density[density < 0.02] = 0
    (left, _), (right, _) = centroids(density, 2)
    assert (right - left) * optics.pixel_nm == pytest.approx(6000, rel=5e-4)
    assert optics.pixel_nm * optics.magnification == pytest.approx(650, rel=1e-12)


def test_drift_and_stage_measured_in_the_frame(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    one = dataclasses.replace(plain(microscope), sample=disc(microscope, [(0.0, 0.0)], 1.5))
    region = Region.centred(SENSOR, (256, 256))

    def place(readings: Readings) -> NDArray[np.float64]:
        frames = np.mean([one.frame(readings, 0.2, number, region) for number in range(8)], axis=0) - 100
        density = np.clip(-np.log(frames / np.median(frames[:20])), 0, None)
        density[density < 0.02] = 0
        return centroids(density, 1)[0] * one.optics(readings).pixel_nm

    start = in_focus(8350.0)
    later = dataclasses.replace(start, time_s=200.0, moves_s=(5.0, 50.0))
    moved = place(later) - place(start)
    asked = np.subtract(one.drift.position(200.0, (5.0, 50.0)), one.drift.position(0.0))
    assert moved == pytest.approx(asked, abs=0.5)  # a fortieth of a pixel
    stepped = place(dataclasses.replace(start, sample_um=(0.3, -0.2))) - place(start)
    assert stepped == pytest.approx([300, -200], abs=0.5)


def test_run_out_moves_the_image_and_the_sideways_axes_take_it_back(
    microscope: FullFieldMicroscope, in_focus: Where
) -> None:
    low, high = (microscope.optics(in_focus(energy)) for energy in (8200.0, 8600.0))
    assert low.shift_um == pytest.approx(high.shift_um, abs=1e-9)
    left = dataclasses.replace(in_focus(8600.0), zone_plate_xy_um=in_focus(8200.0).zone_plate_xy_um)
    travel = in_focus(8600.0).zone_plate - in_focus(8200.0).zone_plate
    shift = np.subtract(microscope.optics(left).shift_um, high.shift_um)
    assert shift == pytest.approx(np.array([1.5, -3.0]) * travel * 33.5 / 32.5, rel=1e-6)


@pytest.mark.parametrize("depths_of_focus", [0.0, 0.5, 1.0, -1.0])
def test_blur_measured_in_the_frame(microscope: FullFieldMicroscope, in_focus: Where, depths_of_focus: float) -> None:
    """A defocus blurs as its cone does: the transfer of the frame against that of a frame that is not blurred."""
    even = plain(microscope)
    readings = in_focus(8350.0)
    depth = even.optics(readings).depth_of_focus
    off = dataclasses.replace(readings, zone_plate=readings.zone_plate + depths_of_focus * depth)
    optics = even.optics(off)
    assert optics.defocus / depth == pytest.approx(depths_of_focus, abs=0.01)
    region = slice(1024 - 256, 1024 + 256)
    image = np.log(even.expected(off, 0.2, 0)(region, region).astype(float))
    reference = np.log(unblurred(even, off, region))
    # fitted: the Gaussian that turns the sharp picture into the blurred one
    sigmas = np.linspace(0.4, 2.4, 401)
    window = np.hanning(512)[:, None] * np.hanning(512)
    spectrum, wanted = (np.fft.rfft2(np.exp(one) * window) for one in (reference, image))
    fy, fx = np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None]
    misfit = [np.abs(spectrum * np.exp(-2 * np.pi**2 * s**2 * (fx**2 + fy**2)) - wanted).sum() for s in sigmas]
    measured_nm = sigmas[int(np.argmin(misfit))] * optics.pixel_nm
    asked_nm = np.hypot(13.11, 1.0 * 30 * abs(depths_of_focus))
    assert measured_nm == pytest.approx(asked_nm, rel=0.03)


def unblurred(microscope: FullFieldMicroscope, readings: Readings, region: slice) -> NDArray[np.float64]:
    """Photons on a part of the sensor with a perfect lens."""
    optics = microscope.optics(readings)
    pixels = np.arange(region.start, region.stop, dtype=float)
    x, y = microscope.places(optics, pixels, pixels)
    layers = microscope.sample.layers(microscope.sample.attenuations(optics.energy))
    flux = microscope.flux(readings, optics.energy) * (1e-3 * optics.pixel_nm) ** 2
    return flux * microscope.zone_plate.efficiency * 0.2 * np.exp(-projected(layers, x, y).astype(float))


def test_jitter_of_the_energy(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    energies = [microscope.optics(in_focus(8333.0), number).energy for number in range(2000)]
    assert np.std(energies) == pytest.approx(0.2 * 0.03412, rel=0.1)
    assert np.mean(energies) == pytest.approx(8333.0, abs=6 * 0.00682 / np.sqrt(2000))
    later = dataclasses.replace(in_focus(8333.0), time_s=3600.0)
    assert microscope.optics(later, 0).energy - energies[0] == pytest.approx(-0.5 * 0.03412, rel=1e-3)


def test_an_electronvolt_off_is_a_quarter_of_the_depth_of_focus(
    microscope: FullFieldMicroscope, in_focus: Where
) -> None:
    right, wrong = in_focus(8333.0), in_focus(8334.0)
    off = microscope.optics(dataclasses.replace(right, bragg=wrong.bragg))
    assert abs(off.defocus) / off.depth_of_focus == pytest.approx(0.25, abs=0.015)
    assert off.sharp_energy == pytest.approx(8333.0, abs=1e-6)


def test_no_beam_gives_a_dark_frame(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    detuned = dataclasses.replace(in_focus(8350.0), fine_pitch_urad=500.0)
    dumped = dataclasses.replace(in_focus(8350.0), time_s=10.0, dumps_s=((5.0, 20.0),))
    for readings in (detuned, dumped):
        assert microscope.frame(readings, 0.2, 0, SMALL).mean() == pytest.approx(100, abs=5)


def test_a_detector_too_near_is_refused(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    with pytest.raises(ValueError, match=r"sees no image: it must stand further than the focal length"):
        microscope.optics(dataclasses.replace(in_focus(8350.0), detector=80.0))


def test_a_sample_that_turns_during_the_exposure_is_smeared(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    """Its frame differs from one at the middle angle as the mean over the angles that it passed does."""
    where = dataclasses.replace(in_focus(8360.0), rotation_deg=20.0)
    middle = Region.centred(SENSOR, (128, 128), 4)

    def mean(first: int, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = [dataclasses.replace(where, rotation_deg=angle) for angle in angles]
        return np.mean([microscope.frame(one, 0.02, first + n, middle) for n, one in enumerate(turned)], axis=0)

    passed = mean(0, 20.0 + 16.0 * (np.arange(12) - 5.5) / 12)
    smear = passed - mean(20, np.full(6, 20.0))
    beside = mean(40, np.full(6, 20.0))
    turning = microscope.frame(where, 0.02, 50, middle, turn_deg=16.0)
    standing = microscope.frame(where, 0.02, 51, middle)
    like, unlike = (float(np.sum(smear * (one - beside))) for one in (turning, standing))
    assert like > 2 * abs(unlike)
