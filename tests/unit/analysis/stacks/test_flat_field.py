"""Flats between those that were taken, and the change of the beam in a blank region, against simulated counting."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.stacks import (
    Counting,
    average_flats,
    blank_region,
    correct_by_blank,
    interpolate_flats,
    optical_density,
)


def test_flats_are_averaged_pixel_by_pixel(seed: int) -> None:
    flats = np.random.default_rng(seed).integers(0, 65_535, (7, 5, 6)).astype(np.uint16)
    mean, number = average_flats(flats)
    np.testing.assert_allclose(mean, flats.mean(axis=0), rtol=1e-6)
    assert number == 7
    with pytest.raises(ValueError, match="at least one"):
        average_flats(np.empty((0, 4, 4)))


def test_a_beam_that_changes_linearly_is_interpolated_exactly_and_never_beyond_its_flats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pattern, slope = rng.uniform(5000, 9000, (4, 5)), rng.uniform(-40, 40, (4, 5))
    taken, wanted = np.array([0.0, 10.0, 25.0]), np.array([-3.0, 0.0, 4.0, 10.0, 19.0, 25.0, 60.0])
    flats = pattern + slope * taken[:, None, None]
    found = interpolate_flats(flats, taken, wanted, averaged=[2, 4, 8])
    expected = pattern + slope * np.clip(wanted, 0, 25)[:, None, None]
    np.testing.assert_allclose(found.flat, expected, rtol=1e-6)
    weight = 9 / 15
    np.testing.assert_allclose(
        found.worth,
        [2, 2, 1 / (0.6**2 / 2 + 0.4**2 / 4), 4, 1 / ((1 - weight) ** 2 / 4 + weight**2 / 8), 8, 8],
    )
    single = interpolate_flats(flats[:1], [5.0], wanted)
    np.testing.assert_allclose(single.flat, np.broadcast_to(flats[0], (7, 4, 5)), rtol=1e-6)


def test_densities_by_interpolated_flats_have_the_errors_that_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, incident, averaged = 30_000, 5000.0, 2
    flats = rng.poisson(incident * averaged, (2, pixels)) / averaged
    wanted = np.array([0.0, 0.5, 0.8])
    found = interpolate_flats(flats, [0.0, 1.0], wanted, averaged=averaged)
    raw = rng.poisson(incident * np.exp(-0.2), (3, pixels))
    density = optical_density(raw, found.flat, counting=Counting(flats=found.worth))
    pulls = (density.density - 0.2) / np.sqrt(density.variance)
    assert np.abs(np.sqrt((pulls**2).mean(axis=1)) - 1).max() < 5 / np.sqrt(2 * pixels) + 0.003


def test_flats_that_cannot_be_interpolated_are_refused() -> None:
    flats = np.ones((2, 3, 3))
    with pytest.raises(ValueError, match="need one time each, not 3"):
        interpolate_flats(flats, [0, 1, 2], [0.5])
    with pytest.raises(ValueError, match="must ascend"):
        interpolate_flats(flats, [1, 1], [0.5])
    with pytest.raises(OutOfRange, match="time of a frame nan"):
        interpolate_flats(flats, [0, 1], [np.nan])
    with pytest.raises(OutOfRange, match="averaged flats 0"):
        interpolate_flats(flats, [0, 1], [0.5], averaged=0)


def test_a_blank_region_gives_the_change_of_the_beam_with_its_error(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    counting = Counting(gain=2.0, read_noise=3.0, flats=2)
    truth = 1 + 0.05 * rng.standard_normal(400)
    region = np.zeros((12, 12), bool)
    region[:6, 1:11] = True
    incident, dark = 200 * rng.uniform(0.5, 1.5, (12, 12)), rng.uniform(90, 110, (12, 12))
    density = np.where(region, 0.0, 1.0)
    raw = 2 * (rng.poisson(truth[:, None, None] * incident * np.exp(-density)) + rng.normal(0, 3, (400, 12, 12)))
    raw += dark
    flat = 2 * (rng.poisson(2 * incident, (400, 12, 12)) / 2 + rng.normal(0, 3 / np.sqrt(2), (400, 12, 12))) + dark
    blank = blank_region(raw, flat, region, dark, counting=counting)
    pulls = (blank.factor - truth) / blank.error
    assert abs(np.sqrt((pulls**2).mean()) - 1) < 5 / np.sqrt(2 * 400)
    assert abs(pulls.mean()) < 5 / np.sqrt(400)
    # χ² per degree of freedom: 59 in each of 400 frames; 1 % for counts that are not quite normal
    assert blank.reduced_chi2.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / (59 * 400)) + 0.01)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        again = blank_region(file.create_dataset("raw", data=raw), flat, region, dark, counting=counting)
    np.testing.assert_array_equal(again.factor, blank.factor)


def test_a_sample_inside_the_blank_region_is_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    density = np.zeros((20, 20))
    density[5:10, 5:10] = 0.3
    raw, flat = rng.poisson(1000 * np.exp(-density)), rng.poisson(1000.0, (20, 20))
    region = np.ones((20, 20), bool)
    assert blank_region(raw[None], flat, region).reduced_chi2[0] > 2


def test_the_beam_is_taken_out_of_the_density(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factor = rng.uniform(0.9, 1.1, 4)
    raw = np.exp(-0.5) * 1e6 * factor[:, None, None] * np.ones((4, 8, 8))
    raw[:, :4] *= np.exp(0.5)
    flat, region = np.full((8, 8), 1e6), np.zeros((8, 8), bool)
    region[:4] = True
    blank = blank_region(raw, flat, region)
    found = correct_by_blank(optical_density(raw, flat).density, blank)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :4], 0, atol=1e-6)
    np.testing.assert_allclose(found[:, 4:], 0.5, atol=1e-6)
    with pytest.raises(ValueError, match="4 factors of the beam do not fit 3 frames"):
        correct_by_blank(found[:3], blank)


def test_a_frame_without_light_in_the_region_has_no_factor_and_others_keep_theirs() -> None:
    raw = np.full((3, 8, 8), 500.0)
    raw[1] = 0
    region = np.ones((8, 8), bool)
    blank = blank_region(raw, np.full((8, 8), 1000.0), region)
    np.testing.assert_array_equal(np.isnan(blank.factor), [False, True, False])
    np.testing.assert_array_equal(np.isnan(blank.error), [False, True, False])
    raw[0, 2, 2] = np.nan
    assert blank_region(raw, np.full((8, 8), 1000.0), region).factor[0] == pytest.approx(0.5)
    few = np.zeros((8, 8), bool)
    few[0, 0] = True
    with pytest.raises(ValueError, match="holds 1 pixels and needs at least 16"):
        blank_region(raw, np.full((8, 8), 1000.0), few)
    with pytest.raises(ValueError, match="must be a mask"):
        blank_region(raw, np.full((8, 8), 1000.0), np.ones((8, 8)))  # type: ignore[arg-type]
