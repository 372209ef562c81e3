"""Edge jumps and thicknesses against what was put in, and their errors."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.energies import xanes
from whiteline.analysis.maps.edge_jump import EdgeNormalisation, edge_jump
from whiteline.analysis.maps.principal import CountingNoise, Projection
from whiteline.analysis.maps.thickness import absorption_jump, thickness, thickness_from_density, thickness_from_jump

Array = NDArray[Any]

EDGE = 8333.0
NI = np.array(xanes("Ni"))
NIO = {"formula": "NiO", "density": 6.67}


def normalised(energy: Array, shift: float = 0.0, line: float = 0.9) -> Array:
    """A step that is flat on both sides but for its white line."""
    offset = energy - EDGE - 9 - shift
    return (offset > 0) * 1.0 + line * np.exp(-0.5 * ((offset - 6) / 3) ** 2)


def noisy(source: np.random.Generator, clean: Array, counts: float = 20_000) -> tuple[Array, Array]:
    flat = source.poisson(counts * 10, clean.shape) / 10
    seen = np.maximum(source.poisson(counts * np.exp(-clean)), 1)
    return -np.log(seen / flat), 1 / seen + 1 / (10 * flat)


def stack_of(source: np.random.Generator, jump: Array, fraction: Array, background: float = 0.3) -> tuple[Array, Array]:
    spectra = np.stack([normalised(NI), normalised(NI, 2.0, 0.6)])
    clean = np.tensordot(spectra.T, np.stack([fraction, 1 - fraction]) * jump, axes=1)
    return noisy(source, clean + background * ((EDGE / NI) ** 2.8)[:, None, None])


@pytest.mark.parametrize("projected", [False, True])
def test_edge_jump_is_what_was_put_in_within_its_errors(seed: int, projected: bool) -> None:
    source = np.random.default_rng(seed)
    jump, fraction = source.uniform(0.3, 1.2, (64, 64)), source.uniform(0, 1, (64, 64))
    density, variance = stack_of(source, jump, fraction)
    projection = Projection.learn(NI, density, variance) if projected else None
    found = edge_jump(NI, density, variance, EDGE, projection=projection)
    assert found.valid.all()
    pulls = (found.value - jump) / found.error
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.1
    # The background falls as E⁻²·⁸ and is taken as E⁻³: far below the noise of a pixel.
    assert abs(np.mean(found.value - jump)) < 2e-3


def test_a_large_falling_background_hardly_moves_the_jump() -> None:
    spectrum = 0.2 * normalised(NI) + 2.0 * (EDGE / NI) ** 2.8
    assert EdgeNormalisation(EDGE).jump(NI) @ spectrum == pytest.approx(0.2, rel=0.01)


def test_functionals_are_exact_for_what_they_are_made_for(seed: int) -> None:
    source = np.random.default_rng(seed)
    order = source.permutation(NI.size)
    energy = NI[order]
    constant, fall, jump, slope = source.uniform(0.1, 1, 4)
    spectrum = constant + fall * (EDGE / energy) ** 3 + jump * (energy > EDGE)
    for degree in (0, 1, 2):
        normalisation = EdgeNormalisation(EDGE, degree=degree)
        assert normalisation.jump(energy) @ spectrum == pytest.approx(jump, rel=1e-6)
        np.testing.assert_allclose(
            normalisation.background(energy) @ spectrum, constant + fall * (EDGE / energy) ** 3, atol=1e-6
        )
    line = spectrum + slope * (energy > EDGE) * (energy - EDGE) / 100
    assert EdgeNormalisation(EDGE, degree=1).jump(energy) @ line == pytest.approx(jump, rel=1e-6)


def test_the_mean_of_the_post_edge_does_not_depend_on_the_density_of_the_list() -> None:
    def jump(post: Array) -> float:
        energy = np.concatenate([np.arange(8200.0, 8310, 10), np.arange(8330.0, 8370, 1), post])
        wave = (energy > EDGE) * (1 + 0.2 * np.sin((energy - EDGE) / 25))
        return float(EdgeNormalisation(EDGE, post_edge=(60, 260)).jump(energy) @ wave)

    even = np.arange(8393.0, 8594, 1)
    crowded = np.concatenate([np.arange(8393.0, 8429, 0.5), np.arange(8429.0, 8594, 4)])
    assert jump(crowded) == pytest.approx(jump(even), abs=2e-3)


def test_a_blank_pixel_and_a_bad_one_are_not_valid(seed: int) -> None:
    source = np.random.default_rng(seed)
    jump = np.full((32, 32), 0.5)
    jump[:4] = 0
    density, variance = stack_of(source, jump, np.full((32, 32), 0.5))
    density[source.integers(NI.size), 10, 10] = source.choice([np.nan, np.inf, -np.inf])
    found = edge_jump(NI, density, variance, EDGE)
    expected = jump > 0
    expected[10, 10] = False
    np.testing.assert_array_equal(found.valid, expected)
    assert np.isnan(found.value[~expected]).all()
    masked = edge_jump(NI, density, CountingNoise(20_000, 10), EDGE, valid=expected & (jump > 1))
    assert not masked.valid.any()


def test_lists_and_ranges_that_cannot_serve_are_refused() -> None:
    density = np.ones((10, 4, 4))
    for energy, missing in ((np.linspace(8200, 8320, 10), "post-edge"), (np.linspace(8330, 8600, 10), "pre-edge")):
        with pytest.raises(ValueError, match=missing):
            edge_jump(energy, density, density, EDGE)
    with pytest.raises(ValueError, match="below and above"):
        EdgeNormalisation(EDGE, pre_edge=(-20, 10))
    with pytest.raises(OutOfRange, match="degree"):
        EdgeNormalisation(EDGE, degree=3)
    with pytest.raises(OutOfRange, match="keV"):
        EdgeNormalisation(8.333)


def test_thickness_of_tabulated_absorption_is_that_thickness(seed: int) -> None:
    source = np.random.default_rng(seed)
    thick = source.uniform(1, 8, (40, 40))
    clean = tables.absorption("NiO", 6.67, NI)[:, None, None] * thick
    density, variance = noisy(source, clean)
    found = thickness(NI, density, variance, element="Ni", **NIO)
    assert (found.name, found.unit) == ("thickness of NiO", "µm")
    pulls = (found.value - thick) / found.error
    assert 0.85 < np.sqrt(np.nanmean(pulls**2)) < 1.15
    assert abs(np.nanmean(pulls)) < 0.2
    # The jump at the edge itself, by the table's jump ratio: of another origin, so to a few per cent.
    line = edge_jump(NI, density, variance, EdgeNormalisation(EDGE, degree=1))
    other = thickness_from_jump(line, element="Ni", **NIO)
    assert np.nanmean(other.value / thick) == pytest.approx(1, abs=0.05)


def test_thickness_on_an_axis_that_is_not_calibrated_is_the_same(seed: int) -> None:
    offset = float(np.random.default_rng(seed).uniform(2, 8))
    place = tables.edge_energy("Ni", "K") + offset
    normalisation = EdgeNormalisation(place, pre_edge=(-100, -15), post_edge=(20, 200))
    clean = np.full((1, 1), 3.0) * tables.absorption("NiO", 6.67, NI - offset)[:, None, None]
    found = thickness(NI, clean, np.full_like(clean, 1e-6), normalisation=normalisation, element="Ni", **NIO)
    assert found.value[0, 0] == pytest.approx(3, rel=1e-5)


def test_thickness_heeds_mask_projection_and_least_jump(seed: int) -> None:
    source = np.random.default_rng(seed)
    thick = source.uniform(3, 8, (40, 40))
    thick[:5] = 0.01
    density, variance = noisy(source, tables.absorption("NiO", 6.67, NI)[:, None, None] * thick)
    mask = source.random((40, 40)) < 0.8
    found = thickness(NI, density, variance, element="Ni", valid=mask, **NIO)
    np.testing.assert_array_equal(found.valid, mask & (thick > 1))
    everything = thickness(NI, density, variance, element="Ni", least_jump_over_noise=-100.0, **NIO)
    assert everything.valid.all()
    projection = Projection.learn(NI, density, variance)
    projected = thickness(NI, density, variance, element="Ni", projection=projection, **NIO)
    assert np.nanmedian(projected.error) < 0.9 * np.nanmedian(found.error)
    assert np.sqrt(np.nanmean(((projected.value - thick) / projected.error) ** 2)) == pytest.approx(1, abs=0.1)


def test_the_tabulated_jump_of_the_absorption_is_that_across_the_edge() -> None:
    below, above = tables.absorption("NiO", 6.67, [8325.0, 8340.0])
    assert absorption_jump("NiO", 6.67, "Ni") == pytest.approx(above - below, rel=0.03)
    with pytest.raises(ValueError, match="holds no Fe"):
        absorption_jump("NiO", 6.67, "Fe")


def test_thickness_by_optical_density_inverts_the_absorption(seed: int) -> None:
    source = np.random.default_rng(seed)
    thick = source.uniform(1, 8, (40, 40))
    density, variance = noisy(source, float(tables.absorption("NiO", 6.67, 8400.0)) * thick)
    density[3, 3], variance[4, 4] = np.nan, 0.0
    found = thickness_from_density(density, variance, 8400.0, **NIO)
    assert np.argwhere(~found.valid).tolist() == [[3, 3], [4, 4]]
    assert 0.9 < np.sqrt(np.nanmean(((found.value - thick) / found.error) ** 2)) < 1.1
    clear = thickness_from_density(density, variance, 8400.0, least_over_noise=50.0, **NIO)
    with np.errstate(invalid="ignore"):
        expected = found.valid & (found.value > 50 * found.error)
    assert 0 < expected.sum() < expected.size - 2
    np.testing.assert_array_equal(clear.valid, expected)
    with pytest.raises(ValueError, match="needs a variance of that shape"):
        thickness_from_density(density, variance[1:], 8400.0, **NIO)


def test_an_edge_of_another_element_has_no_thickness() -> None:
    density = np.ones((NI.size, 4, 4))
    with pytest.raises(OutOfRange, match="must lie within 50 eV of the K edge of Fe"):
        thickness(NI, density, density, formula="FeO", density=5.7, element="Fe", normalisation=EdgeNormalisation(EDGE))
