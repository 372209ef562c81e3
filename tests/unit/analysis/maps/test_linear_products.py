"""A few rows times a block: what BLAS gives, for any layout in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whiteline.analysis.maps.products import as_line, product


@settings(max_examples=30)
@given(count=st.integers(1, 6), energies=st.integers(1, 20), pixels=st.integers(1, 1500), number=st.integers(0, 2**31))
def test_it_is_the_product(count: int, energies: int, pixels: int, number: int) -> None:
    source = np.random.default_rng(number)
    rows = source.standard_normal((count, energies)).astype(np.float32)
    stack = source.standard_normal((energies, pixels + 7)).astype(np.float32)
    block = stack[:, 3 : 3 + pixels]
    expected = rows.astype(float) @ block.astype(float)
    assert product(rows, block) == pytest.approx(expected, abs=1e-4)
    assert product(rows, block.astype(float)) == pytest.approx(expected, abs=1e-4)
    for other in (
        np.asfortranarray(block),
        block[::-1],
        block[:, ::-1],
        block[:, ::2],
        np.repeat(block[:1], energies, 0),
    ):
        assert product(rows, other) == pytest.approx(rows.astype(float) @ other, abs=1e-4)
    broadcast = np.broadcast_to(block[0], block.shape)
    assert product(rows, broadcast) == pytest.approx(rows.astype(float) @ broadcast, abs=1e-4)


def test_a_pixel_that_is_no_number_touches_no_other(seed: int) -> None:
    source = np.random.default_rng(seed)
    rows, block = source.standard_normal((3, 9)).astype(np.float32), source.random((9, 1500)).astype(np.float32)
    clean = product(rows, block)
    block[4, 700] = np.nan
    found = product(rows, block)
    assert np.isnan(found[:, 700]).all()
    assert np.array_equal(np.delete(found, 700, axis=1), np.delete(clean, 700, axis=1))


def test_a_block_is_not_copied() -> None:
    stack = np.zeros((5, 100), np.float32)
    line, stride = as_line(stack[:, 10:20])
    assert stride == 100
    assert line.size == 410
    assert np.shares_memory(line, stack)
