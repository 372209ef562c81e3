"""The fit that grows by one energy at a time: equal to the whole stack, whatever the order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.accumulator import Accumulator
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.composition import Composition
from whiteline.analysis.maps.linear import linear_combination, row_weights
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]


def fed(made: Any, weights: Floats, order: NDArray[np.intp], **options: Any) -> Accumulator:
    """All frames, in an order."""
    growing = Accumulator(made.basis, made.density.shape[1:], **options)
    for index in order:
        energy = float(made.basis.energies[index])
        growing.add(energy, made.density[index], made.variance[index], weight=float(weights[index]))
    return growing


def assert_equal(found: Composition, expected: Composition) -> None:
    """Equal to the rounding of float32."""
    for one, other in zip((*found.fractions, found.jump), (*expected.fractions, expected.jump), strict=True):
        assert np.array_equal(one.valid, other.valid)
        assert np.allclose(one.value, other.value, rtol=0, atol=3e-5, equal_nan=True)
        assert np.allclose(one.error, other.error, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("number", [2, 3])
def test_it_ends_where_the_whole_stack_does_in_any_order(
    make_stack: MakeStack, models: Models, seed: int, number: int
) -> None:
    made = make_stack(seed, references=models[:number], shape=(37, 41), low=0.0)
    weights = row_weights(made.density, made.variance)
    order = np.random.default_rng(seed).permutation(weights.size)
    found = fed(made, weights, order, workers=2).composition()
    assert_equal(found, linear_combination(made.basis, made.density, made.variance, weights=weights))


def test_after_every_frame_it_is_the_fit_of_the_frames_so_far(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, shape=(16, 16))
    energies, weights = made.basis.energies, row_weights(made.density, made.variance)
    order = np.random.default_rng(seed).permutation(energies.size)
    growing = Accumulator(made.basis, (16, 16))
    determined = 0
    for count, index in enumerate(order, start=1):
        growing.add(energies[index], made.density[index], made.variance[index], weight=weights[index])
        so_far = order[:count]
        try:
            basis = Basis.from_spectra(models[:2], energies[so_far])
        except ValueError:
            assert growing.reason is not None
            assert not growing.fraction("Ni2+").valid.any()
            assert not growing.composition().jump.valid.any()
            continue
        assert growing.reason is None
        determined += 1
        expected = linear_combination(basis, made.density[so_far], made.variance[so_far], weights=weights[so_far])
        for name in made.basis.references:
            one, other = growing.fraction(name), expected.fraction(name)
            # Few energies may leave the fit ill-conditioned; the difference is still nothing beside the error.
            both = one.valid & other.valid
            assert (one.valid == other.valid).mean() > 0.95
            assert (np.abs(one.value - other.value)[both] < 0.01 * other.error[both]).all()
            assert np.allclose(one.error[both], other.error[both], rtol=0.02)
    assert determined > energies.size - 12


def test_errors_are_right_after_a_part_of_the_energies(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(64, 64), low=0.8)
    growing = Accumulator(made.basis, (64, 64))
    for index in range(0, made.basis.energies.size, 3):
        growing.add(made.basis.energies[index], made.density[index], made.variance[index])
    found = growing.fraction("Ni3+")
    pulls = ((found.value - made.fraction[1]) / found.error)[found.valid]
    assert found.valid.mean() > 0.9
    assert 0.9 < np.sqrt(np.mean(pulls**2)) < 1.1


def test_frames_before_the_edge_determine_nothing_and_it_says_so(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(8, 8))
    growing = Accumulator(made.basis, (8, 8))
    assert "0 energies are too few" in str(growing.reason)
    for index in range(7):
        growing.add(made.basis.energies[index], made.density[index], made.variance[index])
    assert "all before the edge" in str(growing.reason)
    found = growing.fraction("Ni2+")
    assert not found.valid.any()
    assert np.isnan(found.value).all()
    assert np.isnan(found.error).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(redone=st.lists(st.integers(0, 55), min_size=1, max_size=6), number=st.integers(0, 2**31))
def test_redone_energies_replace_the_old_frames(make_stack: MakeStack, redone: list[int], number: int) -> None:
    made = make_stack(number, shape=(12, 12))
    energies, weights = made.basis.energies, row_weights(made.density, made.variance)
    growing = fed(made, weights, np.arange(energies.size))
    density, variance = made.density.copy(), made.variance.copy()
    source = np.random.default_rng(number)
    for index in redone:
        index %= energies.size
        frame = (made.clean[index] + 0.01 * source.standard_normal((12, 12))).astype(np.float32)
        noise = np.full((12, 12), 1e-4, np.float32)
        growing.replace(energies[index], (density[index], variance[index]), frame, noise, weight=float(weights[index]))
        density[index], variance[index] = frame, noise
    assert set(growing.energies) == set(energies)
    assert_equal(growing.composition(), linear_combination(made.basis, density, variance, weights=weights))


def test_a_frame_that_is_taken_out_is_gone(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, shape=(12, 12))
    energies, weights = made.basis.energies, row_weights(made.density, made.variance)
    growing = fed(made, weights, np.arange(energies.size))
    growing.remove(energies[20], made.density[20], made.variance[20])
    rest = np.delete(np.arange(energies.size), 20)
    basis = Basis.from_spectra(models[:2], energies[rest])
    expected = linear_combination(basis, made.density[rest], made.variance[rest], weights=weights[rest])
    assert_equal(growing.composition(), expected)


def test_energies_may_be_others_than_planned(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, shape=(12, 12))
    planned = Basis.from_spectra(models[:2], made.basis.energies[::2] + 0.3)
    weights = row_weights(made.density, made.variance)
    growing = Accumulator(planned, (12, 12))
    for index, energy in enumerate(made.basis.energies):
        # Once from the spectra, once as they are given.
        references = made.basis.matrix[index, :2] if index % 2 else None
        growing.add(
            energy, made.density[index], made.variance[index], references=references, weight=float(weights[index])
        )
    expected = linear_combination(made.basis, made.density, made.variance, weights=weights)
    assert_equal(growing.composition(), expected)


def test_a_pixel_that_was_bad_is_masked_until_its_frames_are_redone(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(12, 12))
    energies, weights = made.basis.energies, row_weights(made.density, made.variance)
    density, variance = made.density.copy(), made.variance.copy()
    density[5, 1, 1], density[20, 1, 1], density[20, 2, 2], variance[30, 3, 3] = np.nan, np.inf, np.nan, 0
    mask = np.ones((12, 12), bool)
    mask[4, 4] = False
    growing = Accumulator(made.basis, (12, 12))
    for index, energy in enumerate(energies):
        valid = mask if index == 40 else None
        growing.add(energy, density[index], variance[index], weight=float(weights[index]), valid=valid)

    def bad() -> list[list[int]]:
        found = growing.composition()
        for one in (*found.fractions, found.jump):
            assert np.array_equal(one.valid, found.jump.valid)
            assert np.array_equal(np.isnan(one.value), ~one.valid)
            assert np.array_equal(np.isnan(one.error), ~one.valid)
        listed: list[list[int]] = np.argwhere(~found.jump.valid).tolist()
        return listed

    def redo(index: int, old_valid: NDArray[np.bool_] | None = None) -> None:
        old = density[index], variance[index]
        new = made.density[index], made.variance[index]
        growing.replace(energies[index], old, *new, weight=float(weights[index]), old_valid=old_valid)

    assert bad() == [[1, 1], [2, 2], [3, 3], [4, 4]]
    redo(20)
    assert bad() == [[1, 1], [3, 3], [4, 4]]
    redo(5)
    redo(30)
    assert bad() == [[4, 4]]
    redo(40, mask)
    expected = linear_combination(made.basis, made.density, made.variance, weights=weights)
    assert_equal(growing.composition(), expected)


def test_memory_is_sixteen_images_for_two_references(models: Models, energies: Floats) -> None:
    growing = Accumulator(Basis.from_spectra(models[:2], energies), (64, 96))
    assert growing.memory == 16 * 4 * 64 * 96


def test_a_map_that_was_given_out_does_not_change(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(8, 8))
    weights = row_weights(made.density, made.variance)
    growing = fed(made, weights, np.arange(weights.size - 1))
    found = growing.fraction("Ni3+")
    before = found.value.copy()
    growing.add(made.basis.energies[-1], made.density[-1] + 1, made.variance[-1])
    assert np.array_equal(found.value, before)
    assert not np.array_equal(growing.fraction("Ni3+").value, before)


def test_what_does_not_fit_is_refused_and_changes_nothing(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(8, 8))
    weights = row_weights(made.density, made.variance)
    growing = fed(made, weights, np.arange(weights.size))
    before, energy = growing.composition(), float(made.basis.energies[7])
    frame, noise = made.density[7], made.variance[7]
    with pytest.raises(ValueError, match="is there already; replace it"):
        growing.add(energy, frame, noise)
    with pytest.raises(ValueError, match=r"8349\.5 eV is not there"):
        growing.remove(8349.5, frame, noise)
    with pytest.raises(ValueError, match=r"shape \(8, 7\) does not belong to a map of shape \(8, 8\)"):
        growing.replace(energy, (frame, noise), frame[:, :7], noise)
    with pytest.raises(ValueError, match="nowhere finite"):
        growing.replace(energy, (frame, noise), frame, np.full_like(noise, np.nan))
    with pytest.raises(ValueError, match=r"shape \(3, 3\)"):
        growing.replace(energy, (frame, noise), frame, noise, valid=np.ones((3, 3), bool))
    with pytest.raises(OutOfRange, match="looks like keV"):
        growing.add(8.3495, frame, noise)
    with pytest.raises(OutOfRange, match="weight of a frame"):
        growing.add(8349.5, frame, noise, weight=-1.0)
    assert set(growing.energies) == set(made.basis.energies)
    assert_equal(growing.composition(), before)
