"""Optical density and its variance, against closed forms in double precision and against simulated counting."""

from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.stacks import Counting, density_of_block, frame_optical_density, optical_density, require_light

SHAPE = (5, 24, 31)


def frames(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Raw uint16, flat and dark that are good everywhere."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(300, 30_000, shape).astype(np.uint16)
    flat = rng.uniform(20_000, 40_000, shape).astype(np.float32)
    dark = rng.uniform(90, 110, shape[1:]).astype(np.float32)
    return raw, flat, dark


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_density_is_the_logarithm_of_flat_over_raw_for_any_type_of_counts(seed: int, kind: type) -> None:
    raw, flat, dark = frames(seed)
    raw = (raw % 130 + 115).astype(kind)
    found = optical_density(raw, flat, dark)
    expected = np.log((flat.astype(float) - dark) / (raw.astype(float) - dark))
    # (raw − dark) of at least 5 is known to 2⁻²⁴ × 250 / 5 in single precision
    np.testing.assert_allclose(found.density, expected, atol=5e-6)
    assert found.density.dtype == found.variance.dtype == np.float32
    assert found.valid.all()


def test_the_compiled_logarithm_is_right_to_single_precision_over_all_transmissions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratio = np.exp(rng.uniform(-60, 34, (1, 200_000)))
    raw = (1 / ratio).astype(np.float32)
    found = optical_density(raw, np.ones_like(raw), variance=False).density
    expected = -np.log(raw.astype(float))
    assert np.abs(found - expected).max() < 4e-6  # half a digit of 60
    near_one = (1 + rng.uniform(-0.3, 0.3, (1, 100_000))).astype(np.float32)
    found = optical_density(near_one, np.ones_like(near_one), variance=False).density
    np.testing.assert_allclose(found, -np.log(near_one.astype(float)), atol=2e-7)


def test_variance_is_that_of_the_formula_with_every_kind_of_noise(seed: int) -> None:
    raw, flat, dark = frames(seed)
    counting = Counting(gain=2.5, read_noise=3.0, frames=4, flats=7, darks=9)
    n, n0 = (raw - dark.astype(float)) / 2.5, (flat.astype(float) - dark) / 2.5
    expected = (1 / n + 9 / n**2) / 4 + (1 / n0 + 9 / n0**2) / 7 + (1 / n - 1 / n0) ** 2 * 9 / 9
    np.testing.assert_allclose(optical_density(raw, flat, dark, counting=counting).variance, expected, rtol=2e-5)
    bare = optical_density(raw, flat, dark).variance
    np.testing.assert_allclose(bare, 1 / (raw - dark.astype(float)) + 1 / (flat.astype(float) - dark), rtol=2e-5)


@pytest.mark.parametrize(
    ("gain", "read_noise", "averaged", "flats", "darks"),
    [(1.0, 0.0, 1, 1, None), (1.0, 1.6, 1, 10, None), (3.7, 12.0, 1, 5, 4), (0.4, 8.0, 5, 20, 2)],
)
def test_errors_are_those_of_simulated_counting(
    seed: int, gain: float, read_noise: float, averaged: int, flats: int, darks: int | None
) -> None:
    rng = np.random.default_rng(seed)
    pixels, truth, incident = 40_000, np.array([0.1, 0.7, 1.5])[:, None], 4000.0

    def mean_of(expected: NDArray[Any] | float, number: int) -> NDArray[Any]:
        photons = rng.poisson(number * np.broadcast_to(expected, (3, pixels))) / number
        return gain * (photons + rng.normal(0, read_noise / np.sqrt(number), (3, pixels))) + 100

    raw, flat = mean_of(incident * np.exp(-truth), averaged), mean_of(incident, flats)
    dark = np.full(pixels, 100.0)
    if darks is not None:
        dark += rng.normal(0, gain * read_noise / np.sqrt(darks), pixels)
    counting = Counting(gain=gain, read_noise=read_noise, frames=averaged, flats=flats, darks=darks)
    found = optical_density(raw, flat, dark, counting=counting)
    pulls = (found.density - truth) / np.sqrt(found.variance)
    # 5 standard errors of a root mean square of so many pulls, and 0.5 % for the expansion of the logarithm
    assert np.abs(np.sqrt((pulls**2).mean(axis=1)) - 1).max() < 5 / np.sqrt(2 * pixels) + 0.005


def test_frame_stack_file_and_lazy_array_give_the_same(seed: int, tmp_path: Path) -> None:
    raw, flat, dark = frames(seed)
    raw[2, 3, 4] = 0
    counting = Counting(read_noise=2, flats=3, saturation=29_000)
    whole = optical_density(raw, flat, dark, counting=counting)
    for workers in (1, 2, 9):
        again = optical_density(raw, flat, dark, counting=counting, workers=workers)
        np.testing.assert_array_equal(again.density, whole.density)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        stored = file.create_dataset("raw", data=raw, chunks=(1, 24, 31), compression="gzip")
        flats = file.create_dataset("flat", data=flat)
        others = [optical_density(stored, flats, dark, counting=counting)]
        lazy = optical_density(da.from_array(raw, (5, 7, 31)), flat, dark, counting=counting)
        assert type(lazy.density).__module__.startswith("dask")
        others.append(type(whole)(*(one.compute() for one in (lazy.density, lazy.variance, lazy.valid))))
    singles = [
        frame_optical_density(raw[n], flat[n], dark, counting=counting, energy=8333.0 + n) for n in range(len(raw))
    ]
    others.append(
        type(whole)(
            np.stack([one.density for one in singles]),
            np.stack([one.variance for one in singles]),
            np.logical_and.reduce([one.valid for one in singles]),
        )
    )
    for other in others:
        for name in ("density", "variance", "valid"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
    density, variance, valid = density_of_block(
        raw.reshape(5, -1)[:, 100:300], flat.reshape(5, -1)[:, 100:300], dark.reshape(1, -1)[:, 100:300], counting
    )
    np.testing.assert_array_equal(density, whole.density.reshape(5, -1)[:, 100:300])
    np.testing.assert_array_equal(variance, whole.variance.reshape(5, -1)[:, 100:300])
    np.testing.assert_array_equal(valid, whole.valid.ravel()[100:300])


def test_without_variance_the_density_is_the_same_and_lazy_too(seed: int) -> None:
    raw, flat, dark = frames(seed)
    bare = optical_density(raw, flat, dark, variance=False)
    assert bare.variance is None
    np.testing.assert_allclose(bare.density, optical_density(raw, flat, dark).density, atol=3e-7)
    lazy = optical_density(da.from_array(raw, (5, 7, 31)), flat, dark, variance=False)
    assert lazy.variance is None
    np.testing.assert_array_equal(lazy.density.compute(), bare.density)


def test_each_energy_has_its_own_number_of_flats(seed: int) -> None:
    raw, flat, dark = frames(seed)
    found = optical_density(raw, flat, dark, counting=Counting(flats=[1, 2, 3, 4, 5])).variance
    for index in range(5):
        alone = frame_optical_density(raw[index], flat[index], dark, counting=Counting(flats=index + 1))
        np.testing.assert_array_equal(found[index], alone.variance)
    with pytest.raises(OutOfRange, match="numbers of averaged flats: 2 are given for 5 energies"):
        optical_density(raw, flat, dark, counting=Counting(flats=[1, 2]))


def test_one_flat_serves_all_energies(seed: int) -> None:
    raw, flat, dark = frames(seed)
    common = np.broadcast_to(flat[0], flat.shape).copy()
    np.testing.assert_array_equal(
        optical_density(raw, flat[0], dark).density, optical_density(raw, common, dark).density
    )


def test_faulty_pixels_are_masked_alone_and_only_where_they_are_faulty(seed: int) -> None:
    raw, flat, dark = frames(seed)
    counts = raw.astype(np.float32)
    clean = optical_density(counts, flat, dark, counting=Counting(saturation=30_000))
    faulty = {
        "not a number": (0, 0, 0),
        "zero": (1, 1, 1),
        "at the dark": (2, 2, 2),
        "infinite": (3, 3, 3),
        "saturated": (4, 4, 4),
        "dark flat": (0, 5, 5),
        "flat at the dark": (1, 6, 6),
        "flat is not a number": (2, 7, 7),
        "flat is saturated": (3, 8, 8),
    }
    counts[0, 0, 0], counts[1, 1, 1], counts[2, 2, 2] = np.nan, 0, dark[2, 2]
    counts[3, 3, 3], counts[4, 4, 4] = np.inf, 30_000
    flat = np.minimum(flat, 29_999)
    clean = optical_density(raw, flat, dark, counting=Counting(saturation=30_000))
    flat[0, 5, 5], flat[1, 6, 6], flat[2, 7, 7], flat[3, 8, 8] = 0, dark[6, 6], np.nan, 30_001
    hot = np.ones(SHAPE[1:], bool)
    hot[9, 9] = False
    found = optical_density(counts, flat, dark, counting=Counting(saturation=30_000), good=hot)
    wrong = np.zeros(SHAPE, bool)
    for place in faulty.values():
        wrong[place] = True
    wrong[:, 9, 9] = True
    np.testing.assert_array_equal(np.isnan(found.density), wrong)
    np.testing.assert_array_equal(np.isnan(found.variance), wrong)
    np.testing.assert_array_equal(found.valid, ~wrong.any(axis=0))
    np.testing.assert_array_equal(found.density[~wrong], clean.density[~wrong])


def test_a_flat_without_light_is_refused_with_its_energy(seed: int) -> None:
    raw, flat, dark = frames(seed)
    energies = 8330.0 + np.arange(5)
    flat[3] = 0
    with pytest.raises(ValueError, match="the flat at 8333 eV is nowhere above the dark"):
        optical_density(raw, flat, dark, energies=energies)
    with pytest.raises(ValueError, match="the flat number 3 is nowhere above the dark"):
        optical_density(raw, flat, dark)
    with pytest.raises(ValueError, match="the flat at 8333 eV"):
        frame_optical_density(raw[3], flat[3], dark, energy=8333.0)
    flat[3] = np.nan
    with pytest.raises(ValueError, match="the flat at 8333 eV"):
        require_light(flat, dark, energies)
    lazy = optical_density(da.from_array(raw, (5, 7, 31)), flat, dark)
    assert not lazy.valid.compute().any()
    # a single pixel of light is no fault of the flat
    flat[3], flat[3, 20, 20] = 0, 500
    assert optical_density(raw, flat, dark, energies=energies).valid.sum() == 1


@pytest.mark.parametrize(
    ("raw", "flat", "dark", "says"),
    [
        ((3, 4, 5), (2, 4, 5), (4, 5), r"a flat of shape \(2, 4, 5\) fits neither"),
        ((3, 4, 5), (3, 4, 5), (4, 6), r"a dark of shape \(4, 6\) does not fit"),
        ((3,), (3,), (), "is no stack"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    raw: tuple[int, ...], flat: tuple[int, ...], dark: tuple[int, ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        optical_density(np.ones(raw), np.ones(flat), np.zeros(dark))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gain": 0.0}, "gain 0 counts per photon must be"),
        ({"read_noise": -1.0}, "read noise -1 photons must be"),
        ({"flats": 0}, "averaged flats 0 must be at least 1"),
        ({"frames": 0}, "averaged frames 0 must be"),
        ({"darks": 0}, "averaged darks 0 must be"),
        ({"saturation": -5.0}, "saturation -5 counts must be"),
    ],
)
def test_a_counting_that_is_not_possible_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OutOfRange, match=says):
        Counting(**options)


values = st.one_of(st.floats(0, 70_000), st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-45, 1e-30]))


@given(st.lists(st.tuples(values, values, st.floats(0, 300)), min_size=1, max_size=9))
def test_whatever_is_counted_a_value_is_finite_with_an_error_or_masked(
    counted: list[tuple[float, float, float]],
) -> None:
    raw, flat, dark = np.array(counted, np.float32).T
    lit = np.append(flat, 1e4)[None]
    found = optical_density(np.append(raw, 1e3)[None], lit, np.append(dark, 0), counting=Counting(saturation=65_535))
    np.testing.assert_array_equal(np.isfinite(found.density[0]), found.valid)
    np.testing.assert_array_equal(np.isfinite(found.variance[0]), found.valid)
    assert found.valid[-1]
    assert (found.variance[0][found.valid] > 0).all()
