"""Fractions by linear least squares: right, with errors that are right, in every kind of sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.composition import Composition
from whiteline.analysis.maps.linear import LinearFit, fractions, linear_combination, row_weights
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import CountingNoise
from whiteline.analysis.registration.resampling import resample, resample_variance
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]


def pull_rms(found: Map, truth: Floats) -> float:
    """Root mean square of what parts a map from the truth, in its standard errors."""
    assert found.valid.mean() > 0.5
    return float(np.sqrt(np.mean(((found.value - truth) / found.error)[found.valid] ** 2)))


def same(one: Composition, other: Composition, tolerance: float = 0.0) -> bool:
    """Whether two compositions are alike."""
    pairs = zip((*one.fractions, one.jump), (*other.fractions, other.jump), strict=True)
    return all(
        np.array_equal(a.valid, b.valid)
        and np.allclose(a.value, b.value, rtol=0, atol=tolerance, equal_nan=True)
        and np.allclose(a.error, b.error, rtol=0, atol=tolerance, equal_nan=True)
        for a, b in pairs
    )


@pytest.mark.parametrize("counts", [2_000, 20_000, 100_000])
@pytest.mark.parametrize("every", [1, 4])
def test_errors_are_right_for_any_counts_and_energies(
    make_stack: MakeStack, energies: Floats, seed: int, counts: int, every: int
) -> None:
    made = make_stack(seed, counts=counts, energies=energies[::every])
    found = linear_combination(made.basis, made.density, made.variance, least_jump_over_noise=15)
    for index, name in enumerate(made.basis.references):
        assert 0.9 < pull_rms(found.fraction(name), made.fraction[index]) < 1.1
    assert 0.9 < pull_rms(found.jump, made.amounts.sum(axis=0)) < 1.1


def test_errors_are_right_with_15_energies(make_stack: MakeStack, seed: int) -> None:
    few = [8200, 8280, 8320, 8338, 8341, 8343, 8345, 8347, 8349, 8351, 8354, 8360, 8400, 8480, 8560]
    made = make_stack(seed, energies=few)
    found = linear_combination(made.basis, made.density, made.variance)
    assert 0.9 < pull_rms(found.fractions[0], made.fraction[0]) < 1.1


def test_errors_are_right_for_three_references(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, references=models)
    found = linear_combination(made.basis, made.density, made.variance)
    assert sum(one.value for one in found.fractions) == pytest.approx(np.ones((48, 48)), abs=1e-5)
    for one, truth in zip(found.fractions, made.fraction, strict=True):
        assert 0.9 < pull_rms(one, truth) < 1.1


def test_errors_are_right_with_measured_iron(
    make_stack: MakeStack, measured_iron: Models, energies: Floats, seed: int
) -> None:
    made = make_stack(seed, references=measured_iron, energies=energies - 8333 + 7112 + 4)
    found = linear_combination(made.basis, made.density, made.variance)
    assert 0.9 < pull_rms(found.fractions[1], made.fraction[1]) < 1.1


def test_a_mixture_of_measured_nickel_oxides_returns_its_fractions(
    make_stack: MakeStack, measured_nickel: Models, energies: Floats, seed: int
) -> None:
    share = np.full((32, 32), 0.3)
    made = make_stack(seed, references=measured_nickel[:2], shape=(32, 32), amounts=np.stack([0.7 - 0 * share, share]))
    found = linear_combination(made.basis, made.density, made.variance).fractions[1]
    mean, error = found.value.mean(), found.error.mean() / 32
    assert abs(mean - 0.3) < 5 * error + 1e-4
    assert 0.9 < pull_rms(found, share) < 1.1


def test_errors_are_right_at_the_boundaries_of_particles(make_stack: MakeStack, seed: int) -> None:
    source = np.random.default_rng(seed)
    rows, columns = np.mgrid[:96, :96]
    jump, share = np.zeros((96, 96)), np.zeros((96, 96))
    for _ in range(12):
        y, x, radius = *source.uniform(0, 96, 2), source.uniform(10, 24)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        jump[inside], share[inside] = source.uniform(0.4, 1.2), source.uniform(0, 1)
    made = make_stack(seed, shape=(96, 96), amounts=np.stack([jump * (1 - share), jump * share]))
    found = linear_combination(made.basis, made.density, made.variance)
    inside = jump > 0
    assert found.fractions[0].valid[inside].all()
    assert not found.fractions[0].valid[~inside].any()
    assert np.isnan(found.fractions[0].value[~inside]).all()
    one = found.fractions[1]
    pulls = ((one.value - share) / one.error)[inside]
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.1
    # A jump of nothing is a jump too, and known.
    assert found.jump.valid.all()
    assert np.abs(found.jump.value[~inside] / found.jump.error[~inside]).max() < 6


def test_errors_are_right_for_drifted_and_resampled_stacks(models: Models, energies: Floats, seed: int) -> None:
    source = np.random.default_rng(seed)
    basis = Basis.from_spectra(models[:2], energies)
    waves, phases = source.uniform(-0.12, 0.12, (6, 2)), source.uniform(0, 2 * np.pi, 6)

    def smooth(rows: Floats, columns: Floats, chosen: slice) -> Floats:
        parts = [
            np.sin(wave[0] * rows + wave[1] * columns + phase)
            for wave, phase in zip(waves[chosen], phases[chosen], strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0) / len(parts))

    def sample(shift: tuple[float, float]) -> tuple[Floats, Floats]:
        rows, columns = np.mgrid[:80, :80] - np.reshape(shift, (2, 1, 1))
        return 0.8 + 0.3 * smooth(rows, columns, slice(0, 3)), 0.5 + 0.4 * smooth(rows, columns, slice(3, 6))

    density, variance = np.empty((2, energies.size, 80, 80), np.float32)
    for index, row in enumerate(basis.matrix):
        shift = tuple(source.uniform(-3, 3, 2))
        jump, share = sample(shift)
        clean = jump * ((1 - share) * row[0] + share * row[1]) + 0.2
        seen, beside = source.poisson(20_000 * np.exp(-clean)), source.poisson(200_000, clean.shape) / 10
        density[index] = resample(np.log(beside / seen).astype(np.float32), shift=shift)
        variance[index], _ = resample_variance((1 / seen + 0.1 / beside).astype(np.float32), shift=shift)
    found = linear_combination(basis, density, variance)
    jump, share = sample((0.0, 0.0))
    one = found.fractions[1]
    assert one.valid[8:-8, 8:-8].all()
    assert not one.valid[0].any()
    good = one.valid & (np.abs(np.mgrid[:80, :80] - 39.5).max(axis=0) < 32)
    pulls = ((one.value - share) / one.error)[good]
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.1


def test_errors_stay_right_with_any_weights(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    weights = np.random.default_rng(seed).uniform(0.2, 5, made.basis.energies.size)
    found = linear_combination(made.basis, made.density, made.variance, weights=weights)
    assert 0.9 < pull_rms(found.fractions[0], made.fraction[0]) < 1.1


def test_weights_by_the_noise_bring_the_error_to_its_bound(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(64, 64), low=0.9, high=1.1)
    information = np.einsum(
        "ei,eyx,ej->yxij", made.basis.matrix, 20_000 / (np.exp(made.clean) + 0.1), made.basis.matrix
    )
    covariance, total, share = np.linalg.inv(information), made.amounts.sum(axis=0), made.fraction[1]
    gradient = np.zeros((64, 64, 4))
    gradient[..., 0], gradient[..., 1] = -share / total, (1 - share) / total
    bound = np.sqrt(np.einsum("yxi,yxij,yxj->yx", gradient, covariance, gradient).mean())
    found = linear_combination(made.basis, made.density, made.variance).fractions[1]
    assert np.sqrt(np.mean(found.error**2)) < 1.03 * bound
    assert np.sqrt(np.mean((found.value - share) ** 2)) < 1.1 * bound


def test_coefficients_and_errors_are_those_of_the_textbook(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, references=models, shape=(6, 5))
    weights = row_weights(made.density, made.variance)
    fit = LinearFit(made.basis, weights)
    found = linear_combination(made.basis, made.density, made.variance, weights=weights)
    coefficients = fit.coefficients(made.density)
    root = np.sqrt(weights)
    for y, x in ((0, 0), (5, 4), (2, 3)):
        spectrum, noise = made.density[:, y, x].astype(float), np.diag(made.variance[:, y, x].astype(float))
        expected = np.linalg.lstsq(made.basis.matrix * root[:, None], spectrum * root, rcond=None)[0]
        assert coefficients[:, y, x] == pytest.approx(expected, abs=1e-5)
        inverse = np.linalg.inv(made.basis.matrix.T * weights @ made.basis.matrix)
        across = inverse @ made.basis.matrix.T * weights
        covariance = (across @ noise @ across.T)[:3, :3]
        total = expected[:3].sum()
        for index in range(3):
            share = expected[index] / total
            slope = (np.eye(3)[index] - share) / total
            assert found.fractions[index].value[y, x] == pytest.approx(share, abs=1e-5)
            assert found.fractions[index].error[y, x] == pytest.approx(np.sqrt(slope @ covariance @ slope), rel=1e-4)
        assert found.jump.error[y, x] == pytest.approx(np.sqrt(covariance.sum()), rel=1e-4)


def test_counts_give_the_errors_that_a_variance_gives(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    by_stack = linear_combination(made.basis, made.density, made.variance)
    by_counts = linear_combination(made.basis, made.density, CountingNoise(20_000, 10))
    ratio = by_counts.fractions[0].error / by_stack.fractions[0].error
    assert abs(ratio.mean() - 1) < 0.01
    assert np.abs(ratio - 1).max() < 0.1


def test_a_bad_pixel_is_masked_and_touches_no_other(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(9, 9))
    clean = linear_combination(made.basis, made.density, made.variance, weights=np.ones(made.basis.energies.size))
    density, variance = made.density.copy(), made.variance.copy()
    density[3, 0, 0], density[7, 1, 1], density[20, 2, 2] = np.nan, np.inf, -np.inf
    variance[5, 3, 3], variance[5, 4, 4] = np.nan, np.inf
    bad = np.zeros((9, 9), bool)
    bad[range(5), range(5)] = True
    mask = np.ones((9, 9), bool)
    mask[8, 8] = False
    found = linear_combination(made.basis, density, variance, weights=np.ones(made.basis.energies.size), valid=mask)
    for one, other in zip((*found.fractions, found.jump), (*clean.fractions, clean.jump), strict=True):
        assert np.array_equal(one.valid, ~bad & mask)
        assert np.isnan(one.value[~one.valid]).all()
        assert np.isnan(one.error[~one.valid]).all()
        assert np.array_equal(one.value[one.valid], other.value[one.valid])
    shares, valid = fractions(made.basis, density)
    assert not valid[range(3), range(3)].any()
    assert np.isnan(shares[:, ~valid]).all()


def test_fractions_alone_are_the_same(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    weights = row_weights(made.density, made.variance)
    shares, valid = fractions(made.basis, made.density, weights=weights, least_jump=0.8)
    found = linear_combination(made.basis, made.density, made.variance, weights=weights, least_jump=0.8)
    assert np.array_equal(valid, found.fractions[0].valid)
    assert np.allclose(shares[1], found.fractions[1].value, atol=1e-6, equal_nan=True)
    assert 0.2 < valid.mean() < 0.8


def test_a_small_jump_is_not_valid(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, low=0.0, high=0.3, counts=2000)
    found = linear_combination(made.basis, made.density, made.variance, least_jump_over_noise=10)
    jump = found.jump
    assert jump.valid.all()
    assert np.array_equal(found.fractions[0].valid, jump.value >= 10 * jump.error)


def test_files_and_lazy_stacks_give_the_same(make_stack: MakeStack, seed: int, tmp_path: Path) -> None:
    made = make_stack(seed)
    expected = linear_combination(made.basis, made.density, made.variance)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        density = file.create_dataset("density", data=made.density, chunks=(1, 48, 48))
        variance = file.create_dataset("variance", data=made.variance, chunks=(1, 48, 48))
        assert same(linear_combination(made.basis, density, variance), expected)
    chunks = (10, 16, 20)
    lazy = linear_combination(
        made.basis, dask.array.from_array(made.density, chunks), dask.array.from_array(made.variance, chunks)
    )
    assert isinstance(lazy.jump.value, dask.array.Array)
    assert same(dask.compute(lazy)[0], expected)


def test_stacks_that_do_not_fit_are_refused(make_stack: MakeStack, energies: Floats, seed: int) -> None:
    made = make_stack(seed, shape=(4, 4))
    with pytest.raises(ValueError, match="energies and a stack"):
        linear_combination(made.basis, made.density[:-1], made.variance[:-1])
    with pytest.raises(ValueError, match="same pixels"):
        linear_combination(made.basis, made.density, made.variance[:, :3])
    with pytest.raises(ValueError, match="number of weights 3"):
        linear_combination(made.basis, made.density, made.variance, weights=np.ones(3))
    with pytest.raises(ValueError, match="weight of an energy -1"):
        linear_combination(made.basis, made.density, made.variance, weights=-np.ones(energies.size))
    dark = made.variance.copy()
    dark[4] = np.nan
    with pytest.raises(ValueError, match="variance of frame 4 is nowhere finite"):
        linear_combination(made.basis, made.density, dark)
    with pytest.raises(ValueError, match="no reference 'Ni4\\+'; there are Ni2\\+, Ni3\\+"):
        linear_combination(made.basis, made.density, made.variance).fraction("Ni4+")
