"""White-line positions against an independent estimate of the noise-free spectra, and their errors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.energies import xanes
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection
from whiteline.analysis.maps.white_line import white_line, white_line_window
from whiteline.analysis.spectrum_files import read_columns

Array = NDArray[Any]

EDGE = 8333.0
NI = np.array(xanes("Ni"))
WINDOW = (8341.0, 8360.0)


def species(energy: Array, shift: float, height: float, width: float = 3.0) -> Array:
    """An edge with a white line, in units of the edge jump."""
    position = EDGE + 10 + shift
    step = 0.5 + np.arctan((energy - position) / 1.5) / np.pi
    return step + height / (1 + ((energy - position - 4) / width) ** 2)


def stack_of(source: np.random.Generator, spectra: Array, amounts: Array, energy: Array, counts: float) -> Any:
    """Noise-free optical density less its background, measured optical density, and its variance."""
    clean = np.tensordot(spectra.T, amounts, axes=1)
    total = clean + ((EDGE / energy) ** 2.8)[:, None, None] * (0.05 + 0.3 * amounts.sum(axis=0))
    flat = source.poisson(counts * 10, clean.shape) / 10
    seen = np.maximum(source.poisson(counts * np.exp(-total)), 1)
    return clean, -np.log(seen / flat), 1 / seen + 1 / (10 * flat)


def independent(energy: Array, clean: Array, window: tuple[float, float] = WINDOW) -> Array:
    """Energy of the maximum of the spline through each spectrum (E, n), on a fine grid."""
    grid = np.arange(*window, 0.004)
    positions: Array = grid[np.argmax(CubicSpline(energy, clean)(grid), axis=0)]
    return positions


def amounts_of(source: np.random.Generator, number: int, side: int = 96) -> Array:
    """Particles of pure and mixed species with sharp boundaries, in every thickness."""
    parts = source.dirichlet(np.full(number, 0.7), (12, 12)).repeat(side // 12, axis=0).repeat(side // 12, axis=1)
    thick = source.uniform(0.4, 1.2, (4, 4)).repeat(side // 4, axis=0).repeat(side // 4, axis=1)
    return np.moveaxis(parts, 2, 0) * thick


def pull_rms(value: Array, truth: Array, error: Array) -> float:
    return float(np.sqrt(np.nanmean(((value - truth) / error) ** 2)))


def largest_mean_pull(found: Map, perfect: Map) -> float:
    """Five standard errors of the mean pull: the noise of the components is common to all pixels, the rest is not.

    `perfect` is the same map with the errors that it had if infinitely many pixels had taught the components.
    """
    common = 1 - np.nanmean((perfect.error / found.error) ** 2)
    return float(5 * np.sqrt(common + 1 / found.valid.sum()))


def as_map(energy: Array, clean: Array) -> Array:
    """The independent positions of a stack that is alike within each of 12 × 12 squares."""
    side = clean.shape[1] // 12
    positions = independent(energy, clean[:, ::side, ::side].reshape(energy.size, -1))
    return positions.reshape(12, 12).repeat(side, axis=0).repeat(side, axis=1)


@pytest.mark.parametrize(("number", "counts"), [(2, 20_000.0), (3, 20_000.0), (3, 5000.0)])
def test_white_line_of_sharp_particles_is_right_within_its_errors(seed: int, number: int, counts: float) -> None:
    source = np.random.default_rng(seed)
    kinds = [(0.0, 0.9), (1.5, 0.8), (-1.0, 0.7)][:number]
    spectra = np.stack([species(NI, *kind) for kind in kinds])
    clean, density, variance = stack_of(source, spectra, amounts_of(source, number), NI, counts)
    projection = Projection.learn(NI, density, variance)
    line = white_line(NI, density, variance, WINDOW, EDGE, projection=projection)
    perfect = white_line(NI, density, variance, WINDOW, EDGE, projection=replace(projection, pixels=10**15))
    truth = as_map(NI, clean)
    assert line.valid.mean() > 0.999
    assert 0.9 < pull_rms(line.value, truth, line.error) < 1.1
    assert abs(np.nanmean((line.value - truth) / line.error)) < largest_mean_pull(line, perfect)


def test_order_of_energies_does_not_matter_nor_need_there_be_an_edge(seed: int) -> None:
    source = np.random.default_rng(seed)
    energy = np.arange(8336.0, 8366.0)
    spectra = np.stack([species(energy, 0.0, 0.9), species(energy, 1.5, 0.8)])
    _, density, variance = stack_of(source, spectra, amounts_of(source, 2), energy, 20_000)
    order = source.permutation(energy.size)
    line = white_line(energy, density, variance, WINDOW)
    mixed = white_line(energy[order], density[order], variance[order], WINDOW)
    np.testing.assert_allclose(mixed.value, line.value, atol=5e-3)
    # Without the background subtracted, its fall moves the maximum a little towards low energy.
    clean = np.tensordot(spectra.T, amounts_of(np.random.default_rng(seed), 2), axes=1)
    assert abs(np.nanmean(line.value) - as_map(energy, clean).mean()) < 1.5


def test_a_maximum_at_the_border_or_without_prominence_is_masked(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, -7.0, 0.9), species(NI, 0.0, 0.0)])
    amounts = np.zeros((3, 48, 48))
    amounts[0, :16], amounts[1, 16:32], amounts[2, 32:] = 0.7, 0.7, 0.7
    _, density, variance = stack_of(source, spectra, amounts, NI, 20_000)
    line = white_line(NI, density, variance, (8343.0, 8360.0), EDGE)
    assert line.valid[:16].mean() > 0.99
    assert not line.valid[16:32].any()  # its white line lies at 8340 eV, below the window
    assert line.valid[32:].mean() < 0.01  # a step has no maximum
    assert np.isnan(line.value[16:32]).all()


def test_a_maximum_made_by_noise_is_masked(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 0.0, 0.0)])
    amounts = np.zeros((2, 48, 48))
    amounts[0, :24], amounts[1, 24:] = 0.7, 0.7
    _, density, variance = stack_of(source, spectra, amounts, NI, 2000)
    # With many components the noise of a pixel ripples its spectrum.
    line = white_line(NI, density, variance, (8345.0, 8360.0), EDGE, components=20)
    assert line.valid[24:].mean() < 0.1


def test_bad_pixels_are_masked_and_touch_no_other(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 1.5, 0.8)])
    _, density, variance = stack_of(source, spectra, amounts_of(source, 2), NI, 20_000)
    projection = Projection.learn(NI, density, variance)
    whole = white_line(NI, density, variance, WINDOW, EDGE, projection=projection)
    bad = source.random((96, 96)) < 0.05
    density[source.integers(NI.size), bad] = source.choice([np.nan, np.inf, -np.inf])
    line = white_line(NI, density, variance, WINDOW, EDGE, projection=projection)
    assert not line.valid[bad].any()
    assert np.isnan(line.value[bad]).all()
    np.testing.assert_array_equal(line.value[~bad], whole.value[~bad])


def test_measured_nickel_oxides_have_their_white_lines_apart(seed: int, measured: Path) -> None:
    source = np.random.default_rng(seed)
    files = [read_columns(measured / name, "keV") for name in ("ni_k_NiO.txt", "ni_k_LiNiO2.txt")]
    spectra = np.stack([CubicSpline(one.energy, one.absorption)(NI) for one in files])
    amounts = np.zeros((2, 48, 48))
    amounts[0, :24], amounts[1, 24:] = 0.8, 0.8
    _, density, variance = stack_of(source, spectra, amounts, NI, 20_000)
    line = white_line(NI, density, variance, white_line_window("Ni"), EDGE)
    for part, one in ((slice(24), files[0]), (slice(24, 48), files[1])):
        truth = independent(one.energy, one.absorption[:, None], (8342.0, 8358.0))[0]
        # What a list of 1 eV steps can know of a measured spectrum.
        assert abs(np.nanmean(line.value[part]) - truth) < 0.35
    assert np.nanmean(line.value[24:]) - np.nanmean(line.value[:24]) == pytest.approx(1.6, abs=0.4)


def test_windows_that_cannot_serve_are_refused_in_a_sentence() -> None:
    source = np.random.default_rng(0)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 1.5, 0.8)])
    _, density, variance = stack_of(source, spectra, source.uniform(0.3, 0.8, (2, 20, 20)), NI, 20_000)
    with pytest.raises(ValueError, match="is not covered"):
        white_line(NI, density, variance, (8590.0, 8700.0))
    with pytest.raises(ValueError, match="swap the two"):
        white_line(NI, density, variance, WINDOW[::-1])
    with pytest.raises(ValueError, match="holds 2 energies and needs 4"):
        white_line(NI, density, variance, (8345.5, 8347.5))
    with pytest.raises(OutOfRange, match="is no energy"):
        white_line(NI, density, variance, (-5.0, 20.0))
    with pytest.raises(ValueError, match="no usual white-line window"):
        white_line_window("Zr")
    assert white_line_window("Ni") == WINDOW
