"""Edge energies at half height against an independent estimate of the noise-free spectra, and their errors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.energies import xanes
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import CountingNoise, Projection
from whiteline.analysis.maps.spline_pieces import spread
from whiteline.analysis.spectrum_files import read_columns, read_xdi

Array = NDArray[Any]

EDGE = 8333.0
NI = np.array(xanes("Ni"))


def species(energy: Array, shift: float, height: float, width: float = 3.0) -> Array:
    """An edge with a white line and a decaying oscillation, in units of the edge jump."""
    position = EDGE + 9 + shift
    step = 0.5 + np.arctan((energy - position) / 1.5) / np.pi
    line = height / (1 + ((energy - position - 6) / width) ** 2)
    beyond = np.clip(energy - position - 10, 0, None)
    return step + line + 0.15 * np.sin(beyond / 9) * np.exp(-beyond / 60) * (beyond > 0)


def stack_of(
    source: np.random.Generator, spectra: Array, amounts: Array, energy: Array, counts: float, edge: float = EDGE
) -> tuple[Array, Array, Array]:
    """Noise-free optical density, measured optical density, and its variance, of species on a falling background."""
    background = 0.05 + 0.3 * amounts.sum(axis=0)
    clean = np.tensordot(spectra.T, amounts, axes=1) + ((edge / energy) ** 2.8)[:, None, None] * background
    flat = source.poisson(counts * 10, clean.shape) / 10
    seen = np.maximum(source.poisson(counts * np.exp(-clean)), 1)
    return clean, -np.log(seen / flat), 1 / seen + 1 / (10 * flat)


def independent(energy: Array, clean: Array, normalisation: EdgeNormalisation, search: tuple[float, float]) -> Array:
    """Half height of each noise-free spectrum (E, n), by lstsq, trapezoids and brentq."""
    order = np.argsort(energy)
    energy, clean = energy[order], clean[order]
    edge = normalisation.edge
    before = energy <= edge + normalisation.pre_edge[1]
    after = (energy >= edge + normalisation.post_edge[0]) & (energy <= edge + normalisation.post_edge[1])
    basis = np.stack([np.ones_like(energy), energy**-3.0 * 1e11], axis=1)
    found = []
    for spectrum in clean.T:
        parameters = np.linalg.lstsq(basis[before], spectrum[before], rcond=None)[0]
        flat = spectrum - basis @ parameters
        level = np.trapezoid(flat[after], energy[after]) / np.ptp(energy[after])
        curve = CubicSpline(energy, flat / level - 0.5)
        grid = np.arange(edge + search[0], edge + search[1], 0.05)
        first = int(np.flatnonzero((curve(grid[:-1]) < 0) & (curve(grid[1:]) >= 0))[0])
        found.append(brentq(curve, grid[first], grid[first + 1], xtol=1e-9))
    return np.array(found)


def sharp_amounts(source: np.random.Generator, number: int, side: int) -> Array:
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


@pytest.mark.parametrize(("number", "counts"), [(2, 20_000.0), (3, 20_000.0), (3, 3000.0)])
def test_edge_energy_of_sharp_particles_is_right_within_its_errors(seed: int, number: int, counts: float) -> None:
    source = np.random.default_rng(seed)
    kinds = [(0.0, 0.9), (2.0, 0.7), (-1.0, 0.5)][:number]
    spectra = np.stack([species(NI, *kind) for kind in kinds])
    amounts = sharp_amounts(source, number, 96)
    clean, density, variance = stack_of(source, spectra, amounts, NI, counts)
    projection = Projection.learn(NI, density, variance)
    edge = half_height(NI, density, variance, EDGE, projection=projection)
    perfect = half_height(NI, density, variance, EDGE, projection=replace(projection, pixels=10**15))
    truth = independent(NI, clean[:, ::8, ::8].reshape(NI.size, -1), EdgeNormalisation(EDGE), (-20, 40))
    truth_map = truth.reshape(12, 12).repeat(8, axis=0).repeat(8, axis=1)
    assert edge.valid.mean() > 0.999
    assert 0.9 < pull_rms(edge.value, truth_map, edge.error) < 1.1
    assert abs(np.nanmean((edge.value - truth_map) / edge.error)) < largest_mean_pull(edge, perfect) < 0.3
    assert np.nanmedian(edge.error) < 0.05 * np.sqrt(20_000 / counts)


def test_noise_moves_no_mean_of_many_pixels(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    clean = np.tensordot(spectra.T, sharp_amounts(source, 2, 96), axes=1)
    learnt = clean + source.normal(0, 1e-4, clean.shape)
    projection = Projection.learn(NI, learnt, np.full_like(clean, 1e-8), components=2)
    alike = np.tensordot(spectra.T, np.full((2, 200, 200), 0.3), axes=1)
    noisy = alike + source.normal(0, 0.1, alike.shape)
    edge = half_height(NI, noisy, np.full_like(alike, 0.01), EDGE, projection=projection, least_jump_over_noise=3.0)
    truth = independent(NI, alike[:, :1, 0], EdgeNormalisation(EDGE), (-20, 40))[0]
    assert edge.valid.mean() > 0.99
    assert np.nanmedian(edge.error) == pytest.approx(np.nanstd(edge.value), rel=0.05)
    assert 0.25 < np.nanmedian(edge.error) < 0.4
    # the mean of all is known by 0.0016 eV; to first order alone it would lie 0.02 eV too high
    assert abs(np.nanmean(edge.value) - truth) < 0.01


def test_other_lists_of_energies_and_any_order_serve_as_well(seed: int) -> None:
    source = np.random.default_rng(seed)
    energy = np.sort(
        np.concatenate([source.uniform(8230, 8310, 8), np.arange(8322, 8362, source.uniform(0.8, 1.6)),
                        source.uniform(8395, 8560, 14)])
    )  # fmt: skip
    spectra = np.stack([species(energy, 0.0, 0.9), species(energy, 2.0, 0.7)])
    amounts = sharp_amounts(source, 2, 48)
    clean, density, variance = stack_of(source, spectra, amounts, energy, 20_000)
    order = source.permutation(energy.size)
    search = (-10.0, 25.0)
    ordered = half_height(energy, density, variance, EDGE, search=search)
    mixed = half_height(energy[order], density[order], variance[order], EDGE, search=search)
    np.testing.assert_allclose(mixed.value, ordered.value, atol=2e-3)
    np.testing.assert_allclose(mixed.error, ordered.error, rtol=2e-2)
    truth = independent(energy, clean[:, ::4, ::4].reshape(energy.size, -1), EdgeNormalisation(EDGE), search)
    truth = truth.reshape(12, 12).repeat(4, axis=0).repeat(4, axis=1)
    assert 0.9 < pull_rms(mixed.value, truth, mixed.error) < 1.1


def iron(measured: Path) -> tuple[Array, Array]:
    """Energies, and spectra of FeO and Fe2O3 less their pre-edge and over their jump."""
    edge = 7112.0
    energy = np.array(xanes("Fe"))
    normalisation = EdgeNormalisation(edge)
    spectra = []
    for one in (read_xdi(measured / "fe_k_FeO.xdi"), read_columns(measured / "fe_k_Fe2O3.xmu", "eV")):
        spectrum = CubicSpline(one.energy, one.absorption)(energy)
        flat = spectrum - normalisation.background(energy) @ spectrum
        spectra.append(flat / (normalisation.jump(energy) @ spectrum))
    return energy, np.stack(spectra)


def test_measured_iron_oxides_shift_by_their_valence_and_mix_within_errors(seed: int, measured: Path) -> None:
    source = np.random.default_rng(seed)
    energy, spectra = iron(measured)
    fraction = np.clip(gaussian_filter(source.standard_normal((48, 48)), 6) * 12 + 0.5, 0, 1)
    fraction[:8], fraction[-8:] = 0, 1
    amounts = np.stack([1 - fraction, fraction]) * source.uniform(0.5, 1.2, (48, 48))
    clean, density, variance = stack_of(source, spectra, amounts, energy, 20_000, 7112.0)
    edge = half_height(energy, density, variance, 7112.0)
    truth = independent(energy, clean.reshape(energy.size, -1), EdgeNormalisation(7112.0), (-20, 40)).reshape(48, 48)
    assert edge.valid.mean() > 0.999
    assert 0.9 < pull_rms(edge.value, truth, edge.error) < 1.1
    # Fe2+ to Fe3+: about 4 eV, upwards (PHYSICS of the edge; Wilke et al., Am. Mineral. 86 (2001) 714).
    assert 2.0 < np.nanmean(edge.value[-8:]) - np.nanmean(edge.value[:8]) < 6.0


def test_a_rare_species_is_found_by_its_components_or_masked(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7), species(NI, -5.0, 0.1)])
    fraction = source.uniform(0, 1, (100, 100))
    amounts = np.stack([fraction, 1 - fraction, np.zeros_like(fraction)])
    row, column = source.integers(0, 90, 2)
    rare = np.zeros((100, 100), bool)
    rare[row : row + 10, column : column + 10] = True
    amounts[:, rare] = np.array([0.1, 0.1, 0.8])[:, None]
    clean, density, variance = stack_of(source, spectra, amounts, NI, 20_000)
    truth = independent(NI, clean[:, rare][:, :1], EdgeNormalisation(EDGE), (-20, 40))[0]

    projection = Projection.learn(NI, density, variance)
    chosen = half_height(NI, density, variance, EDGE, projection=projection)
    perfect = half_height(NI, density, variance, EDGE, projection=replace(projection, pixels=10**15))
    assert chosen.valid[rare].mean() > 0.98
    scatter = chosen.value[rare] - np.nanmean(chosen.value[rare])
    assert 0.7 < pull_rms(scatter, np.zeros(100), perfect.error[rare]) < 1.35  # of a hundred pixels
    # Its component was learnt from a hundred pixels, whose noise is common to them: the errors know by how much.
    common = np.nanmean(chosen.error[rare] ** 2 - perfect.error[rare] ** 2)
    error = np.sqrt(common + np.nanmean(perfect.error[rare] ** 2) / 100)
    assert abs(np.nanmean(chosen.value[rare]) - truth) < 5 * error < 0.15

    # Learnt where it is not: the residual gives it away, and nothing is said about those pixels.
    elsewhere = Projection.learn(NI, density, variance, valid=~rare)
    blind = half_height(NI, density, variance, EDGE, projection=elsewhere)
    assert not blind.valid[rare].any()
    assert np.isnan(blind.value[rare]).all()
    assert blind.valid[~rare].mean() > 0.999


def test_bad_pixels_are_masked_and_touch_no_other(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    _, density, variance = stack_of(source, spectra, sharp_amounts(source, 2, 48), NI, 20_000)
    projection = Projection.learn(NI, density, variance)
    whole = half_height(NI, density, variance, EDGE, projection=projection)
    bad = source.random((48, 48)) < 0.05
    for value in (np.nan, np.inf, -np.inf):
        broken, noise = density.copy(), variance.copy()
        broken[source.integers(NI.size), bad] = value
        noise[:, 5, 5] = np.nan
        edge = half_height(NI, broken, noise, EDGE, projection=projection)
        hidden = bad.copy()
        hidden[5, 5] = True
        assert not edge.valid[hidden].any()
        assert np.isnan(edge.value[hidden]).all()
        assert np.isnan(edge.error[hidden]).all()
        np.testing.assert_array_equal(edge.value[~hidden], whole.value[~hidden])
        learnt_anew = half_height(NI, broken, noise, EDGE)
        assert learnt_anew.valid[~hidden].mean() > 0.999


def test_a_blank_region_and_masked_pixels_have_no_edge(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    amounts = sharp_amounts(source, 2, 48)
    amounts[:, :16] = 0
    mask = source.random((48, 48)) < 0.9
    _, density, variance = stack_of(source, spectra, amounts, NI, 20_000)
    edge = half_height(NI, density, variance, EDGE, valid=mask)
    assert not edge.valid[:16].any()
    assert not edge.valid[~mask].any()
    assert edge.valid[16:][mask[16:]].mean() > 0.99


def test_files_and_lazy_arrays_give_what_memory_gives(seed: int, tmp_path: Path) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    _, density, variance = stack_of(source, spectra, sharp_amounts(source, 2, 48), NI, 20_000)
    density, variance = density.astype(np.float32), variance.astype(np.float32)
    memory = half_height(NI, density, variance, EDGE)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        on_disk = [file.create_dataset(name, data=data, chunks=(1, 48, 48)) for name, data in
                   (("density", density), ("variance", variance))]  # fmt: skip
        from_file = half_height(NI, *on_disk, EDGE)
    lazy = half_height(NI, *(dask.array.from_array(one, chunks=(1, 24, 48)) for one in (density, variance)), EDGE)
    assert isinstance(lazy.value, dask.array.Array)
    for other in (from_file.value, np.asarray(lazy.value)):
        np.testing.assert_allclose(other, memory.value, atol=2e-3)
    np.testing.assert_allclose(np.asarray(lazy.error), memory.error, rtol=1e-2)
    assert np.asarray(lazy.valid).dtype == bool


def test_the_counts_alone_give_the_same_errors(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    _, density, variance = stack_of(source, spectra, sharp_amounts(source, 2, 48), NI, 20_000)
    exact = half_height(NI, density, variance, EDGE)
    model = half_height(NI, density, CountingNoise(20_000, 10), EDGE)
    np.testing.assert_allclose(model.error, exact.error, rtol=0.1)
    np.testing.assert_allclose(model.value, exact.value, atol=0.02)


def test_projection_takes_most_of_the_noise(seed: int) -> None:
    source = np.random.default_rng(seed)
    spectra = np.stack([species(NI, 0.0, 0.9), species(NI, 2.0, 0.7)])
    _, density, variance = stack_of(source, spectra, sharp_amounts(source, 2, 48), NI, 20_000)
    few = half_height(NI, density, variance, EDGE)
    all_but_one = half_height(NI, density, variance, EDGE, components=NI.size - 1)
    assert np.nanmedian(few.error) < 0.7 * np.nanmedian(all_but_one.error)


def flat_stack(energy: Sequence[float], pixels: int = 400) -> tuple[Array, Array, Array]:
    values = np.array(energy)
    source = np.random.default_rng(0)
    spectra = np.stack([species(values, 0.0, 0.9), species(values, 2.0, 0.7)])
    amounts = source.uniform(0.3, 0.8, (2, 1, pixels))
    _, density, variance = stack_of(source, spectra, amounts, values, 20_000)
    return values, density, variance


@pytest.mark.parametrize(
    ("energy", "sentence"),
    [
        (list(np.arange(8200, 8300, 5.0)), "post-edge"),
        (list(np.arange(8320, 8600, 5.0)), "pre-edge"),
        ([*np.arange(8200, 8300, 10.0), *np.arange(8380, 8600, 10.0)], "holds 0 energies and needs 4"),
        ([*NI, 8340.0], "energy 8340 eV is there twice"),
    ],
)
def test_energies_that_cannot_serve_are_refused_in_a_sentence(energy: list[float], sentence: str) -> None:
    values, density, variance = flat_stack(energy)
    with pytest.raises(ValueError, match=sentence):
        half_height(values, density, variance, EDGE)


def test_what_does_not_belong_together_is_refused() -> None:
    energy, density, variance = flat_stack(list(NI))
    with pytest.raises(ValueError, match="energy first"):
        half_height(energy[:-1], density, variance, EDGE)
    with pytest.raises(ValueError, match="a variance of shape"):
        half_height(energy, density, variance[:, :, :5], EDGE)
    with pytest.raises(ValueError, match="a mask of shape"):
        half_height(energy, density, variance, EDGE, valid=np.ones(5, bool))
    with pytest.raises(ValueError, match="are needed to learn the components"):
        half_height(energy, density[:, :, :50], variance[:, :, :50], EDGE)
    with pytest.raises(OutOfRange, match="number of components"):
        half_height(energy, density, variance, EDGE, components=NI.size)
    with pytest.raises(OutOfRange, match="keV"):
        half_height(energy / 1000, density, variance, EDGE)
    projection = Projection.learn(energy, density, variance)
    with pytest.raises(ValueError, match="learnt at other energies"):
        half_height(energy + 1, density, variance, EDGE, projection=projection)


def test_the_spread_of_a_sum_of_scores_is_that_of_their_covariance(seed: int) -> None:
    source = np.random.default_rng(seed)
    half, row = source.standard_normal((4, 4)), source.standard_normal(4)
    covariance = half @ half.T
    assert spread(row, covariance[np.tril_indices(4)][:, None], 0) == pytest.approx(row @ covariance @ row)


@settings(max_examples=25)
@given(value=st.sampled_from([0.0, -1.0, 1e30, np.nan, np.inf]), place=st.integers(0, 399), frame=st.integers(0, 60))
def test_no_number_in_one_pixel_changes_another(value: float, place: int, frame: int) -> None:
    energy, density, variance = flat_stack(list(NI))
    projection = Projection.learn(energy, density, variance)
    whole = half_height(energy, density, variance, EDGE, projection=projection)
    density[frame, 0, place] = value
    edge = half_height(energy, density, variance, EDGE, projection=projection)
    others = np.arange(400) != place
    np.testing.assert_array_equal(edge.value[0, others], whole.value[0, others])
    assert edge.valid[0, place] or np.isnan(edge.value[0, place])
