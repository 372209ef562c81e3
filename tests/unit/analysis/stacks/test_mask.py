"""The edge jump of a pixel, its error, and the mask of pixels that have enough of it."""

import dask.array as da
import numpy as np
import pytest

from whiteline.analysis.stacks import enough_jump, mean_jump

ENERGIES = np.array([8390.0, 8300.0, 8310.0, 8333.0, 8340.0, 8360.0, 8350.0, 8320.0, 8400.0])


def test_jump_and_error_are_those_of_simulated_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.broadcast_to(np.linspace(0, 1, 100), (200, 100))
    density = 0.3 + truth * (ENERGIES >= 8353)[:, None, None]
    density[ENERGIES == 8340] = 77  # frames within the edge are of no interest
    variance = rng.uniform(0.001, 0.003, density.shape)
    noisy = density + np.sqrt(variance) * rng.standard_normal(density.shape)
    jump = mean_jump(ENERGIES, noisy, variance, "Ni")
    pulls = (jump.value - truth) / jump.error
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=5 / np.sqrt(2 * pulls.size) + 1e-4)
    mask = enough_jump(jump, sigmas=5)
    # of pixels without the element one in 3.5 million is taken for one; all with ten times the noise are found
    assert mask[:, 0].sum() == 0
    assert mask[truth > 12 * np.nanmax(jump.error)].all()
    lazy = mean_jump(ENERGIES, da.from_array(noisy, (9, 50, 100)), variance, "Ni")
    np.testing.assert_array_equal(lazy.value.compute(), jump.value)


def test_a_value_that_is_missing_is_left_out_and_a_pixel_without_any_is_not_valid() -> None:
    density = np.where((ENERGIES >= 8353)[:, None], 1.0, 0.2) * np.ones((9, 4))
    density[0, 0] = np.nan
    density[ENERGIES > 8353, 1] = np.nan
    variance = np.full_like(density, 0.01)
    variance[8, 2] = np.nan
    jump = mean_jump(ENERGIES, density, variance, "Ni")
    np.testing.assert_array_equal(jump.valid, [True, False, True, True])
    np.testing.assert_allclose(jump.value[[0, 2, 3]], 0.8, rtol=1e-6)
    assert np.isnan(jump.value[1])
    assert np.isnan(jump.error[1])
    three, two = 0.01 / 3 + 0.01 / 3, 0.01 / 3 + 0.01 / 2
    np.testing.assert_allclose(jump.error[[0, 2, 3]] ** 2, [two, two, three], rtol=1e-5)
    assert not enough_jump(jump)[1]


@pytest.mark.parametrize(
    ("energies", "says"),
    [
        ([8200.0, 8300.0, 8320.0], "hold none behind the Ni K edge at 8333 eV, from 8353 eV on"),
        ([8360.0, 8400.0, 8450.0], "hold none before the Ni K edge at 8333 eV, up to 8323 eV"),
        ([8330.0, 8335.0, 8340.0], "hold none before the Ni K edge"),
    ],
)
def test_energies_on_one_side_of_the_edge_are_refused_with_its_name(energies: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        mean_jump(energies, np.ones((3, 2, 2)), np.ones((3, 2, 2)), "Ni")


def test_a_window_the_wrong_way_round_or_an_unknown_edge_is_refused() -> None:
    stack = np.ones((9, 2))
    with pytest.raises(ValueError, match="end of the pre-edge 30 eV must lie before"):
        mean_jump(ENERGIES, stack, stack, "Ni", before=30)
    with pytest.raises(ValueError, match="element 'ni' is not known; write Ni"):
        mean_jump(ENERGIES, stack, stack, "ni")
    with pytest.raises(ValueError, match="threshold of the edge jump 0 sigmas"):
        enough_jump(mean_jump(ENERGIES, stack, stack, "Ni"), 0)
