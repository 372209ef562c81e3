"""Centroids against the integrals of the noise-free spectra, and their errors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.centroid import centroid
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.principal import Projection

Array = NDArray[Any]

EDGE = 7112.0
FE = np.concatenate([np.arange(7000, 7100, 15), np.arange(7104, 7145, 0.8), np.arange(7150, 7330, 15)])
PRE_EDGE = (7109.0, 7118.0)


def species(energy: Array, height: float, place: float, white: float) -> Array:
    """An edge with a pre-edge peak and a white line."""
    step = 0.5 + np.arctan((energy - 7124) / 1.0) / np.pi
    line = white / (1 + ((energy - 7130) / 3) ** 2)
    return step + line + height * np.exp(-0.5 * ((energy - place) / 1.2) ** 2)


def stack_of(source: np.random.Generator, amounts: Array, counts: float = 50_000) -> tuple[Array, Array, Array]:
    spectra = np.stack([species(FE, 0.15, 7112.5, 0.6), species(FE, 0.25, 7114.2, 0.9)])
    clean = np.tensordot(spectra.T, amounts, axes=1) + ((EDGE / FE) ** 2.8)[:, None, None] * 0.2
    flat = source.poisson(counts * 10, clean.shape) / 10
    seen = source.poisson(counts * np.exp(-clean))
    return clean, -np.log(seen / flat), 1 / seen + 1 / (10 * flat)


def independent(spectra: Array, baseline: float | str, window: tuple[float, float]) -> Array:
    """Centroids of noise-free spectra, (E, n), by sums over a fine grid."""
    normalisation = EdgeNormalisation(EDGE)
    grid = np.linspace(*window, 20_001)
    flat = spectra - normalisation.background(FE) @ spectra
    curves = CubicSpline(FE, flat / (normalisation.jump(FE) @ spectra))(grid)
    if isinstance(baseline, str):
        share = np.linspace(0, 1, grid.size)[:, None]
        above = curves - (1 - share) * curves[0] - share * curves[-1]
    else:
        above = curves - baseline
    return np.trapezoid(grid[:, None] * above, grid, axis=0) / np.trapezoid(above, grid, axis=0)


@pytest.mark.parametrize(
    ("baseline", "window"), [(0.0, PRE_EDGE), ("chord", PRE_EDGE), (0.8, (7125.0, 7138.0)), (0.4, (7122.5, 7140.3))]
)
def test_centroid_is_right_within_its_errors(seed: int, baseline: Any, window: tuple[float, float]) -> None:
    source = np.random.default_rng(seed)
    fraction = source.uniform(0, 1, (10, 10)).repeat(9, axis=0).repeat(9, axis=1)
    thick = source.uniform(0.5, 1.0, (10, 10)).repeat(9, axis=0).repeat(9, axis=1)
    clean, density, variance = stack_of(source, np.stack([fraction, 1 - fraction]) * thick)
    projection = Projection.learn(FE, density, variance)
    middle = centroid(FE, density, variance, window, EDGE, baseline=baseline, projection=projection)
    # The same, if infinitely many pixels had taught the components.
    taught = replace(projection, pixels=10**15)
    perfect = centroid(FE, density, variance, window, EDGE, baseline=baseline, projection=taught)
    truth = independent(clean[:, ::9, ::9].reshape(FE.size, -1), baseline, window)
    truth = truth.reshape(10, 10).repeat(9, axis=0).repeat(9, axis=1)
    assert middle.valid.mean() > 0.99
    pulls = (middle.value - truth) / middle.error
    assert 0.9 < np.sqrt(np.nanmean(pulls**2)) < 1.1
    # The noise of the components is common to all pixels, the rest is not.
    common = 1 - np.nanmean((perfect.error / middle.error) ** 2)
    assert abs(np.nanmean(pulls)) < 5 * np.sqrt(common + 1 / pulls.size)


def test_what_does_not_stand_above_the_baseline_has_no_centroid(seed: int) -> None:
    source = np.random.default_rng(seed)
    _, density, variance = stack_of(source, source.uniform(0.3, 0.5, (2, 40, 40)))
    nowhere = centroid(FE, density, variance, PRE_EDGE, EDGE, baseline=2.0)
    assert not nowhere.valid.any()
    assert np.isnan(nowhere.value).all()
    projection = Projection.learn(FE, density, variance)
    density[3, 4, 5] = np.nan
    hurt = centroid(FE, density, variance, PRE_EDGE, EDGE, projection=projection)
    assert np.argwhere(~hurt.valid).tolist() == [[4, 5]]


def test_windows_and_baselines_that_cannot_serve_are_refused(seed: int) -> None:
    _, density, variance = stack_of(np.random.default_rng(seed), np.full((2, 20, 20), 0.4))
    with pytest.raises(ValueError, match="is not covered"):
        centroid(FE, density, variance, (6900.0, 7118.0), EDGE)
    with pytest.raises(OutOfRange, match="baseline"):
        centroid(FE, density, variance, PRE_EDGE, EDGE, baseline=np.nan)
