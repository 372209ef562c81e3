"""A slice of a known phantom comes back: absorption, place and size, at uneven angles."""

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import Spheres

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.tomography import Window, angular_weights, preview_slice, reconstruct_slice, slice_error

WIDTH, CENTRE = 161, 77.4
DISCS = ((20.0, -12.0, 9.0, 0.02), (-25.0, 5.0, 14.0, 0.01), (3.0, 30.0, 6.0, 0.05))
"""x, z, radius, absorption per pixel."""


def sinogram(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    inner = (np.arange(8) + 0.5) / 8 - 0.5
    columns = (np.arange(WIDTH)[:, None] + inner).ravel() - CENTRE
    found = np.zeros((angles.size, columns.size))
    for x, z, radius, absorption in DISCS:
        at = x * np.cos(np.deg2rad(angles)) + z * np.sin(np.deg2rad(angles))
        found += absorption * 2 * np.sqrt(np.maximum(radius**2 - (columns - at[:, None]) ** 2, 0))
    return found.reshape(angles.size, WIDTH, 8).mean(axis=2)


def require_discs(found: NDArray[np.float64], by: float = 0.02) -> None:
    z, x = np.mgrid[:WIDTH, :WIDTH] - (WIDTH - 1) / 2
    away = np.isfinite(found)
    for at_x, at_z, radius, absorption in DISCS:
        distance = np.hypot(x - at_x, z - at_z)
        assert found[distance < radius - 2].mean() == pytest.approx(absorption, rel=by)
        # its content is where it is, and all of it
        near = distance < radius + 4
        assert found[near].sum() == pytest.approx(absorption * np.pi * radius**2, rel=2 * by)
        weight = np.where(distance < radius, found, 0)
        assert (weight * x).sum() / weight.sum() == pytest.approx(at_x, abs=0.05)
        assert (weight * z).sum() / weight.sum() == pytest.approx(at_z, abs=0.05)
        away &= ~near
    assert abs(np.nanmean(np.where(away, found, np.nan))) < 2e-4


@pytest.mark.parametrize("turn", [180.0, 360.0])
def test_discs_come_back_at_the_angles_that_were_measured(seed: int, turn: float) -> None:
    source = np.random.default_rng(seed)
    angles = 17.0 + turn * np.arange(240) / 240 + source.uniform(-0.3, 0.3, 240)
    values = sinogram(angles)
    require_discs(reconstruct_slice(values, angles, centre=CENTRE))
    require_discs(2 * reconstruct_slice(values, angles, centre=CENTRE, pixel_um=2.0))
    # an axis that is off by two pixels, or angles that are those of a steady turn from 0 on, would be seen
    with pytest.raises(AssertionError):
        require_discs(reconstruct_slice(values, angles, centre=CENTRE + 2))
    with pytest.raises(AssertionError):
        require_discs(reconstruct_slice(values, angles - 17.0, centre=CENTRE))


def test_each_angle_counts_for_what_is_nearest_to_it() -> None:
    assert angular_weights(np.arange(0, 180, 1.5)).sum() == pytest.approx(np.pi)
    assert angular_weights(np.arange(0, 361, 1.5)).sum() == pytest.approx(np.pi)
    # both ends of half a turn are one view
    np.testing.assert_allclose(np.rad2deg(angular_weights(np.arange(0, 181, 30.0))), [15, 30, 30, 30, 30, 30, 15])
    # what was not looked at is not laid upon the neighbours
    assert np.rad2deg(angular_weights(np.arange(0, 121, 1.0))).max() == pytest.approx(1)


@pytest.mark.parametrize("window", ["ramp", "hann"])
def test_the_error_of_a_slice_is_what_noise_makes_of_it(seed: int, window: Window) -> None:
    source = np.random.default_rng(seed)
    angles = np.sort(source.uniform(0, 180, 60))
    variance = 1e-4 * (1 + np.arange(65) / 65) * np.ones((60, 1))
    noise = source.standard_normal((40, 60, 65)) * np.sqrt(variance)
    found = np.array([reconstruct_slice(one, angles, centre=32.0, window=window) for one in noise])
    error = slice_error(variance, angles, centre=32.0, window=window)
    inside = np.isfinite(error)
    assert np.sqrt((found[:, inside] ** 2).mean() / (error[inside] ** 2).mean()) == pytest.approx(1, abs=0.04)


def test_a_place_that_some_projections_do_not_see_is_missing() -> None:
    found = reconstruct_slice(sinogram(np.arange(0, 180, 2.0)), np.arange(0, 180, 2.0), centre=CENTRE)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[80, 80 - 77 : 80 + 77]).all()


def test_a_preview_finds_axis_and_slice_from_raw_frames(seed: int) -> None:
    source = np.random.default_rng(seed)
    angles = np.arange(0, 181.5, 1.5) + source.uniform(-0.1, 0.1, 121)
    spheres = Spheres.random(source, 50, 55, 60)
    spheres.x[0], spheres.y[0], spheres.z[0], spheres.radius[0], spheres.absorption[0] = 20, 0.5, -10, 11, 0.03
    alone = np.hypot(spheres.x - 20, spheres.z + 10) + 99 * (np.arange(50) == 0) > spheres.radius + 12
    spheres.y[~alone] += 200 * (np.arange(50) != 0)[~alone]  # nothing else there
    density = spheres.projections(angles, (64, WIDTH), CENTRE)
    flat, dark = 2e4 * (1 + 0.3 * np.sin(np.arange(WIDTH) / 20)) * np.ones((64, 1)), 100.0
    frames = source.poisson(flat * np.exp(-density)) + dark
    found = preview_slice(frames, angles, flat + dark, dark, row=32)
    assert found.by == "pairs"
    assert found.centre.column == pytest.approx(CENTRE, abs=0.1)
    z, x = np.mgrid[:WIDTH, :WIDTH] - (WIDTH - 1) / 2
    sphere = np.hypot(x - 20, z + 10) < 8
    assert found.value[sphere].mean() == pytest.approx(0.03, rel=0.03)
    assert found.value[sphere].std() == pytest.approx(found.error[sphere].mean(), rel=0.4)
    given = preview_slice(frames, angles, flat + dark, dark, centre=CENTRE, band=3, pixel_um=0.02)
    assert given.by == "given"
    assert given.value[np.hypot(x - 20, z + 10) < 8].mean() == pytest.approx(1.5, rel=0.03)
    # no frame without texture has a partner, but its mass tells
    smooth = 0.5 * np.exp(-(((np.arange(WIDTH) - CENTRE) / 20) ** 2)) * np.ones((angles.size, 64, 1))
    fallen_back = preview_slice((flat * np.exp(-smooth) + dark)[:100], angles[:100], flat + dark, dark)
    assert fallen_back.by == "sinogram"
    assert fallen_back.centre.column == pytest.approx(CENTRE, abs=0.1)
    with pytest.raises(OutOfRange, match="row of the slice 64 px must lie between 0 and 63"):
        preview_slice(frames, angles, flat, row=64)
