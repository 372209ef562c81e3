"""Principal components, clusters and factors of samples whose parts are known."""

from typing import Any

import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.components import clusters, nonnegative_factors, principal_components

Array = NDArray[Any]

ENERGY = np.arange(8300.0, 8380.0, 2.0)
SPECTRA = np.stack(
    [
        0.5 + np.arctan((ENERGY - place) / 2) / np.pi + 0.8 / (1 + ((ENERGY - place - 6) / 3) ** 2)
        for place in (8330.0, 8336.0, 8342.0)
    ]
)


def regions(source: np.random.Generator, side: int = 60) -> tuple[Array, Array]:
    """Which species fills each pixel, sharp, the first most often; and the noisy optical density."""
    which = source.permutation(np.repeat([0, 1, 2], [18, 12, 6])).reshape(6, 6)
    which = which.repeat(side // 6, axis=0).repeat(side // 6, axis=1)
    return which, np.moveaxis(SPECTRA[which], 2, 0) + 0.02 * source.standard_normal((ENERGY.size, side, side))


def mixture(source: np.random.Generator, side: int = 60) -> tuple[Array, Array]:
    amounts = source.dirichlet(np.full(3, 0.3), (side, side)) * source.uniform(0.3, 1.2, (side, side, 1))
    amounts = np.moveaxis(amounts, 2, 0)
    clean = np.tensordot(SPECTRA.T, amounts, axes=1)
    return amounts, clean + 0.01 * source.standard_normal(clean.shape)


def test_principal_components_are_those_of_a_singular_value_decomposition(seed: int) -> None:
    _, density = mixture(np.random.default_rng(seed))
    found = principal_components(ENERGY, density, 3, sample=None)
    flat = density.reshape(ENERGY.size, -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.explained, values[:3] ** 2 / (values**2).sum(), rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(left[:, :3].T * found.spectra, axis=1)), 1, atol=1e-6)
    assert found.explained[:3].sum() > 0.98
    rebuilt = found.mean[:, None] + found.spectra.T @ found.scores.reshape(3, -1)
    assert np.sqrt(np.mean((rebuilt - flat) ** 2)) == pytest.approx(0.01, rel=0.1)


def test_clusters_are_the_regions_of_the_species(seed: int) -> None:
    which, density = regions(np.random.default_rng(seed))
    found = clusters(ENERGY, density, 3, seed=seed)
    np.testing.assert_array_equal(found.labels, which)  # the largest first
    np.testing.assert_allclose(found.spectra, SPECTRA, atol=0.01)
    assert np.mean(found.distance) == pytest.approx(0.02, rel=0.05)
    assert found.ambiguity.max() < 0.5


def test_a_pixel_between_two_clusters_is_ambiguous(seed: int) -> None:
    _, density = regions(np.random.default_rng(seed))
    density[:, 0, 0] = (SPECTRA[0] + SPECTRA[1]) / 2
    found = clusters(ENERGY, density, 3, seed=seed)
    assert found.ambiguity[0, 0] > 0.9
    assert np.median(found.ambiguity) < 0.3


def test_factors_are_nowhere_negative_and_rebuild_the_stack(seed: int) -> None:
    amounts, density = mixture(np.random.default_rng(seed))
    found = nonnegative_factors(ENERGY, density, 3, seed=seed)
    assert found.spectra.min() >= 0
    assert found.scores.min() >= 0
    size = (found.scores**2).sum(axis=(1, 2)) * (found.spectra**2).sum(axis=1)
    np.testing.assert_allclose(found.explained, size / (np.maximum(density, 0) ** 2).sum(), rtol=0.05)
    assert (np.diff(found.explained) <= 0).all()
    rebuilt = np.tensordot(found.spectra.T, found.scores, axes=1)
    clean = np.tensordot(SPECTRA.T, amounts, axes=1)
    assert np.sqrt(np.mean((rebuilt - clean) ** 2)) < 0.015


@pytest.mark.parametrize("method", [principal_components, clusters, nonnegative_factors])
def test_bad_pixels_stay_masked_and_nothing_else(seed: int, method: Any) -> None:
    source = np.random.default_rng(seed)
    _, density = regions(source)
    mask = source.random((60, 60)) < 0.9
    bad = source.random((60, 60)) < 0.05
    density[source.integers(ENERGY.size), bad] = source.choice([np.nan, np.inf, -np.inf])
    found = method(ENERGY, density, 3, valid=mask)
    np.testing.assert_array_equal(found.valid, mask & ~bad)
    if method is clusters:
        assert (found.labels[~found.valid] == -1).all()
        assert (found.labels[found.valid] >= 0).all()
        assert np.isnan(found.distance[~found.valid]).all()
        assert np.isfinite(found.ambiguity[found.valid]).all()
    else:
        assert np.isnan(found.scores[:, ~found.valid]).all()
        assert np.isfinite(found.scores[:, found.valid]).all()


@pytest.mark.parametrize("method", [principal_components, clusters, nonnegative_factors])
def test_one_seed_gives_one_result(seed: int, method: Any) -> None:
    _, density = mixture(np.random.default_rng(seed), 30)  # without clear clusters, which any start would find
    number = 7 if method is clusters else 3
    first, again = (method(ENERGY, density, number, sample=600, seed=seed) for _ in range(2))
    np.testing.assert_allclose(first.spectra, again.spectra, rtol=1e-9, atol=1e-12)
    lazy = method(ENERGY, dask.array.from_array(density, chunks=(4, 15, 30)), 3, seed=seed)
    assert isinstance(lazy.valid, dask.array.Array)
    assert np.asarray(lazy.valid).all()


def test_numbers_that_cannot_be_are_refused() -> None:
    _, density = regions(np.random.default_rng(0))
    with pytest.raises(OutOfRange, match="number of clusters 1"):
        clusters(ENERGY, density, 1)
    with pytest.raises(OutOfRange, match="number of components"):
        principal_components(ENERGY, density, ENERGY.size + 1)
    with pytest.raises(ValueError, match="are needed for 3 components"):
        principal_components(ENERGY, density * np.nan, 3)
