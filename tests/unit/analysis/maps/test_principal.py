"""The projection: what it keeps, how many components it chooses, and the covariance of its scores."""

from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.principal import FEWEST_COMPONENTS, CountingNoise, Projection

Array = NDArray[Any]

ENERGY = np.arange(8300.0, 8380.0, 2.0)


def spectra(number: int) -> Array:
    """Spectra of species: a step and a line at different places."""
    places = 8330 + 6 * np.arange(number)[:, None]
    return 0.5 + np.arctan((ENERGY - places) / 2) / np.pi + 0.8 / (1 + ((ENERGY - places - 6) / 3) ** 2)


def noisy(source: np.random.Generator, clean: Array, counts: float) -> tuple[Array, Array]:
    seen = np.maximum(source.poisson(counts * np.exp(-clean)), 1)
    return -np.log(seen / counts), 1 / seen


def mixture(source: np.random.Generator, number: int, counts: float = 10_000, side: int = 80) -> Any:
    amounts = source.dirichlet(np.ones(number), (side, side)) * source.uniform(0.3, 1.2, (side, side, 1))
    clean = np.tensordot(spectra(number).T, np.moveaxis(amounts, 2, 0), axes=1)
    return clean, *noisy(source, clean, counts)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_there_are_as_many_components_as_species(seed: int, number: int) -> None:
    _, density, variance = mixture(np.random.default_rng(seed), number)
    projection = Projection.learn(ENERGY, density, variance)
    assert projection.number == number
    assert projection.noise_level == pytest.approx(1, abs=0.1)


def test_thick_and_blank_parts_make_no_components_of_their_noise(seed: int) -> None:
    source = np.random.default_rng(seed)
    thick = source.choice([0.0, 0.2, 3.0], (80, 80), p=[0.6, 0.3, 0.1])
    clean = spectra(1).T[:, :, None] * thick
    projection = Projection.learn(ENERGY, clean * 0 + noisy(source, clean, 10_000)[0], CountingNoise(10_000))
    assert projection.number == FEWEST_COMPONENTS


def test_a_variance_that_is_wrong_by_a_factor_is_told_and_changes_nothing(seed: int) -> None:
    _, density, variance = mixture(np.random.default_rng(seed), 4)
    projection = Projection.learn(ENERGY, density, variance / 3)
    assert projection.number == 4
    assert projection.noise_level == pytest.approx(3, rel=0.1)


def test_a_rare_species_has_its_component(seed: int) -> None:
    source = np.random.default_rng(seed)
    amounts = source.uniform(0.2, 0.6, (4, 80, 80))
    amounts[3] = 0
    row, column = source.integers(0, 72, 2)
    amounts[3, row : row + 8, column : column + 8] = 0.6  # one pixel in a hundred
    clean = np.tensordot(spectra(4).T, amounts, axes=1)
    assert Projection.learn(ENERGY, *noisy(source, clean, 10_000)).number == 4


@pytest.mark.parametrize(("weakest", "number"), [(1.0, 4), (0.05, 3)])
def test_a_component_counts_where_the_pixels_are_enough_to_tell_it_from_noise(
    seed: int, weakest: float, number: int
) -> None:
    source = np.random.default_rng(seed)
    axes = np.linalg.qr(source.standard_normal((ENERGY.size, 4)))[0]
    scores = np.array([100.0, 30, 10, weakest])[:, None] * source.standard_normal((4, 6400))
    density = axes @ scores + source.standard_normal((ENERGY.size, 6400))
    projection = Projection.learn(ENERGY, density, np.ones_like(density))
    assert projection.number == projection.confirmed == number


def test_the_signal_is_kept_and_the_noise_is_not(seed: int) -> None:
    clean, density, variance = mixture(np.random.default_rng(seed), 3)
    projection = Projection.learn(ENERGY, density, variance)
    projected = projection.spectra(projection.scores(density.astype(np.float32)))
    left = np.sqrt(np.mean((projected - clean) ** 2))
    assert left < 1.25 * np.sqrt(3 / ENERGY.size) * np.sqrt(variance.mean())
    kept = projection.spectra(projection.scores(clean.astype(np.float32)))
    assert np.sqrt(np.mean((kept - clean) ** 2)) < 0.1 * np.sqrt(variance.mean())


def test_noisy_energies_do_not_lead(seed: int) -> None:
    source = np.random.default_rng(seed)
    clean = mixture(source, 3)[0]
    noise = np.where(np.arange(ENERGY.size) % 4 == 0, 1.0, 0.005)[:, None, None] * np.ones_like(clean)
    projection = Projection.learn(ENERGY, clean + noise * source.standard_normal(clean.shape), noise**2)
    kept = projection.spectra(projection.scores(clean.astype(np.float32)))
    assert projection.number == 3
    assert np.sqrt(np.mean((kept - clean)[noise < 0.1] ** 2)) < 0.005


def test_the_covariance_of_the_scores_is_that_of_repeated_measurements(seed: int) -> None:
    source = np.random.default_rng(seed)
    clean, density, variance = mixture(source, 3)
    projection = Projection.learn(ENERGY, density, variance)
    one = np.repeat(clean[:, :1, :1], 20_000, axis=2)
    scores = projection.scores(noisy(source, one, 10_000)[0])[:, 0]
    predicted = np.zeros((3, 3))
    predicted[np.tril_indices(3)] = projection.covariance(np.exp(one[:, :, :1]) / 10_000)[:, 0, 0]
    predicted += np.tril(predicted, -1).T
    found = np.cov(scores)
    scale = np.sqrt(np.outer(np.diag(predicted), np.diag(predicted)))
    np.testing.assert_allclose(found / scale, predicted / scale, atol=0.06)


def test_any_order_of_energies_spans_the_same_space(seed: int) -> None:
    source = np.random.default_rng(seed)
    _, density, variance = mixture(source, 3)
    order = source.permutation(ENERGY.size)
    one = Projection.learn(ENERGY, density, variance)
    other = Projection.learn(ENERGY[order], density[order], variance[order])
    np.testing.assert_allclose(one.matrix.T @ one.components, (other.matrix.T @ other.components)[
        np.ix_(np.argsort(order), np.argsort(order))], atol=1e-6)  # fmt: skip


def test_the_same_seed_draws_the_same_sample(seed: int) -> None:
    _, density, variance = mixture(np.random.default_rng(seed), 3)
    first, again, other = (
        Projection.learn(ENERGY, density, variance, sample=1000, seed=number) for number in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.components, again.components)
    assert not np.array_equal(first.components, other.components)


def test_files_and_lazy_arrays_are_learnt_from_and_scored(seed: int, tmp_path: Path) -> None:
    _, density, variance = mixture(np.random.default_rng(seed), 3)
    whole = Projection.learn(ENERGY, density, variance, sample=None)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        stored = [file.create_dataset(name, data=data) for name, data in (("a", density), ("b", variance))]
        from_file = Projection.learn(ENERGY, *stored, sample=3000)
        scores = whole.scores(stored[0])
    lazily = [dask.array.from_array(one, chunks=(5, 40, 40)) for one in (density, variance)]
    lazy = Projection.learn(ENERGY, *lazily, sample=3000)
    for other in (from_file, lazy):
        assert other.number == 3
        np.testing.assert_allclose(other.matrix.T @ other.components, whole.matrix.T @ whole.components, atol=0.05)
    np.testing.assert_allclose(scores, np.tensordot(whole.matrix, density, axes=1), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(np.asarray(whole.scores(lazily[0])), scores, rtol=1e-5, atol=1e-4)


def test_bad_pixels_are_not_learnt_from(seed: int) -> None:
    source = np.random.default_rng(seed)
    _, density, variance = mixture(source, 3)
    bad = source.random((80, 80)) < 0.2
    hurt, noise = density.copy(), variance.copy()
    hurt[:, bad] = source.choice([np.nan, np.inf, -np.inf])
    noise[3, 0, 0] = 0.0
    bad[0, 0] = True
    from_bad = Projection.learn(ENERGY, hurt, noise, sample=None)
    from_mask = Projection.learn(ENERGY, density, variance, sample=None, valid=~bad)
    np.testing.assert_allclose(from_bad.components, from_mask.components, atol=1e-9)


def test_what_cannot_be_learnt_from_is_refused() -> None:
    _, density, variance = mixture(np.random.default_rng(0), 3, side=20)
    with pytest.raises(ValueError, match="0 pixels are valid"):
        Projection.learn(ENERGY, density * np.nan, variance)
    with pytest.raises(ValueError, match="too few to speak of components"):
        Projection.learn(ENERGY[:2], density[:2], variance[:2])
    with pytest.raises(OutOfRange, match="number of components"):
        Projection.learn(ENERGY, density, variance, components=0)
    with pytest.raises(OutOfRange, match="counts"):
        CountingNoise(0.0)
    with pytest.raises(OutOfRange, match="flats"):
        CountingNoise(100.0, 0.0)


@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("energies", [37, 38, 39, 40])
def test_what_is_evaluated_in_a_pixel_is_what_matrices_say(seed: int, number: int, energies: int) -> None:
    source = np.random.default_rng(seed)
    chosen = source.permutation(ENERGY.size)[:energies]  # in no order, and not always a multiple of four
    _, density, variance = (one[chosen] for one in mixture(source, 5))
    projection = Projection.learn(ENERGY[chosen], density, variance, components=number)
    few = density[:, 0], variance[:, 0]  # fewer pixels than are worked on at a time
    given: list[Array] = []

    def evaluate(scores: Array, covariance: Array, learning: Array) -> tuple[Array, Array, Array]:
        given[:] = scores.copy(), covariance.copy(), learning.copy()
        return scores[0], covariance[0], np.ones(scores.shape[1], bool)

    _, _, valid = projection.over(evaluate, *few)
    scores = projection.matrix @ few[0]
    first, second = np.tril_indices(number)
    scale = np.sqrt(projection.noise_of_scores())
    covariance = np.einsum("ke,ep,le->klp", projection.matrix, few[1], projection.matrix)[first, second]
    learning = (projection.bands() @ few[1]) * (projection.leverages() @ scores**2)
    left = few[0] - projection.components.T @ scores
    mean = np.einsum("e,ep->p", 1 - (projection.matrix * projection.components).sum(axis=0), few[1]
                     * projection.weights[:, None])  # fmt: skip
    misfit = (projection.weights @ left**2) / mean
    limit = max(projection.noise_level, 1.0) * chi2.isf(1e-7, energies - number) / (energies - number)
    np.testing.assert_allclose(given[0], scores, rtol=1e-4, atol=1e-4 * np.abs(scores).max())
    np.testing.assert_allclose(given[1], covariance * (scale[first] * scale[second])[:, None], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(given[2], learning, rtol=1e-3, atol=1e-9)
    clear = np.abs(misfit - limit) > 1e-3 * limit
    np.testing.assert_array_equal(valid[clear], (misfit <= limit)[clear])
