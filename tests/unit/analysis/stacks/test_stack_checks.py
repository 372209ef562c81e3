"""Energies that do not fit their stack are refused, saying which."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.stacks import require_stack

energies = st.lists(st.integers(7000, 9000), min_size=1, max_size=30, unique=True)


@given(energies)
def test_energies_in_any_order_are_returned_as_they_are(values: list[int]) -> None:
    np.testing.assert_array_equal(require_stack(values, np.zeros((len(values), 2, 3))), values)


@given(energies, st.data())
def test_an_energy_that_stands_there_twice_is_named_with_both_frames(values: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    again = [*values, values[first]]
    with pytest.raises(ValueError, match=f"energy {values[first]} eV stands there twice, for frames {first} and"):
        require_stack(again, np.zeros((len(again), 1)))


@pytest.mark.parametrize(
    ("values", "frames", "says"),
    [
        ([8333.0, 8340.0], 3, r"2 energies and a stack of shape \(3, 4, 4\)"),
        ([8.333, 8.340], 2, "8.333 looks like keV"),
        ([8333.0, np.nan], 2, "energy nan eV must be a finite number"),
        ([-10.0, 8333.0], 2, "an offset from an edge is no energy"),
        ([[8333.0], [8340.0]], 2, "energies must be a list"),
    ],
)
def test_energies_that_do_not_fit_are_refused(values: list[float], frames: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        require_stack(values, np.zeros((frames, 4, 4)))


def test_too_few_energies_and_a_wrong_order_are_refused_where_it_matters() -> None:
    stack = np.zeros((3, 2))
    with pytest.raises(OutOfRange, match="number of energies 3 must be at least 4"):
        require_stack([8333, 8334, 8335], stack, least=4)
    require_stack([8333, 8335, 8334], stack)
    with pytest.raises(ValueError, match=r"after 8335 eV comes 8334 eV \(frame 2\)"):
        require_stack([8333, 8335, 8334], stack, ascending=True)
