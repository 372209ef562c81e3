"""Work by blocks of pixels: the same for arrays, files and lazy arrays, and for any block and number of threads."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.blocks import over_pixels, sum_over_pixels

Array = NDArray[Any]


def two_moments(block: Array) -> Sequence[Array]:
    """Mean, and the first and second moment, of each pixel."""
    return block.mean(axis=0), np.stack([block.sum(axis=0), (block**2).sum(axis=0)])


@pytest.mark.parametrize("block", [1, 7, 100, 10**6])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_pixel_is_done_once_whatever_the_blocks(seed: int, block: int, workers: int) -> None:
    stack = np.random.default_rng(seed).random((5, 13, 17))
    mean, moments = over_pixels(two_moments, stack, block=block, workers=workers)
    assert mean == pytest.approx(stack.mean(axis=0))
    assert moments.shape == (2, 13, 17)
    assert moments[1] == pytest.approx((stack**2).sum(axis=0))


def test_file_and_lazy_array_give_the_same_as_an_array(seed: int, tmp_path: Path) -> None:
    stack = np.random.default_rng(seed).random((5, 13, 17))
    expected = over_pixels(two_moments, stack)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        data = file.create_dataset("data", data=stack, chunks=(1, 13, 17))
        from_file = over_pixels(two_moments, data, block=40)
        sums = sum_over_pixels(lambda part: (part.sum(axis=1),), data, block=40)
    lazy = over_pixels(two_moments, dask.array.from_array(stack, chunks=(2, 6, 5)))
    assert all(isinstance(one, dask.array.Array) for one in lazy)
    for one, other, third in zip(expected, from_file, lazy, strict=True):
        assert np.array_equal(one, other)
        assert np.array_equal(one, third.compute())
    assert sums[0] == pytest.approx(stack.sum(axis=(1, 2)))
    chunked = sum_over_pixels(lambda part: (part.sum(axis=1),), dask.array.from_array(stack, chunks=(2, 6, 5)))
    assert chunked[0] == pytest.approx(stack.sum(axis=(1, 2)))


def test_several_stacks_go_together(seed: int) -> None:
    source = np.random.default_rng(seed)
    stack, mask = source.random((5, 13, 17)), source.random((13, 17)) > 0.5
    (masked,) = over_pixels(lambda one, good: (np.where(good[0], one[0], np.nan),), stack, mask[None], block=10)
    assert np.array_equal(masked, np.where(mask, stack[0], np.nan), equal_nan=True)


@pytest.mark.parametrize("over", [over_pixels, sum_over_pixels])
def test_a_sum_does_not_depend_on_the_threads(seed: int, over: Callable[..., tuple[Array, ...]]) -> None:
    stack = np.random.default_rng(seed).standard_normal((3, 100_000))
    results = [over(lambda part: (part.sum(axis=1)[:, None] + 0 * part,), stack[:, :64], block=8) for _ in range(5)]
    assert all(np.array_equal(results[0][0], one[0]) for one in results)


def test_what_a_kernel_raises_is_raised_here() -> None:
    def broken(block: Array) -> Sequence[Array]:
        raise ArithmeticError(f"{block.shape[1]} pixels")

    with pytest.raises(ArithmeticError, match="8 pixels"):
        over_pixels(broken, np.ones((2, 64)), block=8)


def test_stacks_that_differ_in_pixels_or_have_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same pixels .* \(2, 4\), \(2, 5\)"):
        over_pixels(two_moments, np.ones((2, 4)), np.ones((2, 5)))
    with pytest.raises(ValueError, match="no pixels"):
        over_pixels(two_moments, np.ones((2, 0)))
    with pytest.raises(ValueError, match="no pixels"):
        over_pixels(two_moments, np.ones(2))
    with pytest.raises(ValueError, match="at least one stack"):
        over_pixels(two_moments)
