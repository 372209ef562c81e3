"""The noise of the learnt components: what it adds to the errors, against repeated measurements of a whole sample."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.energies import xanes
from whiteline.analysis.maps.centroid import centroid
from whiteline.analysis.maps.edge_jump import edge_jump
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection
from whiteline.analysis.maps.white_line import white_line

Array = NDArray[Any]
Estimate = Callable[[Array, Array, Projection], Map]

EDGE = 8333.0
NI = np.array(xanes("Ni"))
PIXELS = 500
RARE = np.arange(PIXELS) >= 400
SOME = np.arange(0, PIXELS, 25)
SOME_RARE = RARE[SOME]
MAPS: dict[str, Estimate] = {
    "edge energy": lambda density, noise, of: half_height(NI, density, noise, EDGE, projection=of),
    "white line": lambda density, noise, of: white_line(NI, density, noise, (8341.0, 8360.0), EDGE, projection=of),
    "centroid": lambda density, noise, of: centroid(NI, density, noise, (8340.5, 8352.3), EDGE, projection=of),
    "edge jump": lambda density, noise, of: edge_jump(NI, density, noise, EDGE, projection=of),
}


def sample(source: np.random.Generator) -> Array:
    """Noise-free optical density (E, pixels) of two species in every mixture, and a rare third in the last pixels."""
    shifts, heights = np.array([[0.0], [2.0], [-3.0]]), np.array([[0.9], [0.7], [1.2]])
    position = EDGE + 10 + shifts
    spectra = 0.5 + np.arctan((NI - position) / 1.5) / np.pi + heights / (1 + ((NI - position - 4) / 3) ** 2)
    fraction, thick = source.uniform(0, 1, PIXELS), source.uniform(0.4, 1.0, PIXELS)
    amounts = np.stack([fraction, 1 - fraction, 0 * fraction]) * thick
    amounts[:, RARE] = np.array([0.1, 0.1, 0.6])[:, None]
    clean: Array = spectra.T @ amounts + 0.3 * ((EDGE / NI) ** 3)[:, None]
    return clean


def measured_once(source: np.random.Generator, clean: Array, counts: float = 20_000) -> tuple[Array, Array]:
    seen = np.maximum(source.poisson(counts * np.exp(-clean)), 1)
    return -np.log(seen / counts), 1 / seen


def without_noise_of_components(projection: Projection) -> Projection:
    """The same components, as if infinitely many pixels had taught them."""
    return replace(projection, pixels=10**15)


def test_errors_hold_the_noise_of_the_components_in_a_rare_region_and_beside_it(seed: int) -> None:
    source = np.random.default_rng(seed)
    clean = sample(source)
    noise = np.exp(clean) / 20_000
    exact = Projection.learn(NI, clean, noise, components=4, sample=None)
    pulls: dict[str, list[Array]] = {name: [] for name in MAPS}
    values: dict[str, list[Array]] = {name: [] for name in MAPS}
    added: dict[str, list[Array]] = {name: [] for name in MAPS}
    for _ in range(200):
        density, variance = measured_once(source, clean)
        learnt = Projection.learn(NI, density, variance, components=4, sample=None)
        perfect = without_noise_of_components(learnt)
        for name, estimate in MAPS.items():
            found = estimate(density, variance, learnt)
            pulls[name].append(found.value / found.error)
            pulls[name][-1] -= estimate(clean, noise, exact).value / found.error
            # The spectrum itself without noise: what is left to scatter is the components.
            of_clean = estimate(clean[:, SOME], noise[:, SOME], learnt)
            values[name].append(of_clean.value)
            added[name].append(of_clean.error**2 - estimate(clean[:, SOME], noise[:, SOME], perfect).error ** 2)
    for name in MAPS:
        pull = np.array(pulls[name])
        scatter, predicted = np.var(values[name], axis=0, ddof=1), np.mean(added[name], axis=0)
        # 200 repetitions know a scatter that is common to a region to 5 %, and what a pixel has for its own far better.
        assert np.sqrt(np.nanmean(pull[:, RARE] ** 2)) == pytest.approx(1.02, abs=0.15), name
        assert np.sqrt(np.nanmean(pull[:, ~RARE] ** 2)) == pytest.approx(1, abs=0.08), name
        assert np.sqrt(np.mean(scatter[SOME_RARE] / predicted[SOME_RARE])) == pytest.approx(1, abs=0.25), name
        assert np.sqrt(np.mean(scatter[~SOME_RARE] / predicted[~SOME_RARE])) == pytest.approx(1, abs=0.25), name
        # Nothing stays that more measurements would not take away.
        assert abs(np.nanmean(pull[:, ~RARE])) < 0.1, name


def test_noise_of_the_components_falls_with_the_pixels_that_teach_them(seed: int) -> None:
    source = np.random.default_rng(seed)
    clean = np.tile(sample(source), 8)
    density, noise = measured_once(source, clean)
    few, many = (Projection.learn(NI, density[:, :n], noise[:, :n], components=4, sample=None) for n in (500, 4000))
    ratio = few.leverages()[:2] / many.leverages()[:2]
    np.testing.assert_allclose(ratio, 8, rtol=0.35)
    # The mean of the leverages of the pixels that taught is the number of components over that of pixels.
    leverage = many.leverages() @ many.scores(density) ** 2
    assert leverage.mean() * 4000 == pytest.approx(4, rel=0.35)


def test_outside_the_space_is_what_projection_takes_away(seed: int) -> None:
    source = np.random.default_rng(seed)
    clean = sample(source)
    projection = Projection.learn(NI, *measured_once(source, clean), sample=None)
    functionals = source.standard_normal((3, NI.size))
    variance = np.diag(1 / projection.weights)
    keeps = projection.components.T @ projection.matrix
    expected = functionals @ (variance - keeps @ variance @ keeps.T) @ functionals.T
    outside = projection.outside(functionals)
    assert (np.diagonal(outside, axis1=1, axis2=2) >= 0).all()
    np.testing.assert_allclose(outside.sum(axis=0), expected, rtol=1e-9, atol=1e-12)
    seen = source.standard_normal((2, projection.number)) @ projection.matrix
    np.testing.assert_allclose(projection.outside(seen), 0, atol=1e-9 * np.abs(seen @ variance @ seen.T).max())
