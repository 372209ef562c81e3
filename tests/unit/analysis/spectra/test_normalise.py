"""Pre-edge line, post-edge polynomial, edge step: against a spectrum put together from known ones."""

import numpy as np
import pytest

from whiteline.analysis.spectra import edge_by_derivative, normalise

E0 = 8340.0
ENERGY = np.unique(np.r_[np.arange(8150, 8320, 10), np.arange(8320, 8380, 1), np.arange(8380, 9000, 5)]).astype(float)
OFFSET = ENERGY - E0


def made(step: float, line: tuple[float, float], curve: tuple[float, ...]) -> np.ndarray:
    """A line, a sharp step, and a polynomial beyond it that is 0 at E0."""
    above = step + sum(factor * OFFSET ** (power + 1) for power, factor in enumerate(curve))
    return line[0] + line[1] * OFFSET + np.where(OFFSET > 0, above, 0)


@pytest.mark.parametrize(
    ("degree", "curve"), [(0, ()), (1, (-2e-4,)), (2, (-2e-4, 1e-7)), (3, (-2e-4, 1e-7, -1e-10)), (None, (-2e-4, 1e-7))]
)
def test_line_step_and_polynomial_are_those_that_were_put_in(
    seed: int, degree: int | None, curve: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    step, line = rng.uniform(0.1, 5), (rng.uniform(-3, 3), rng.uniform(-1e-3, 1e-3))
    found = normalise(ENERGY, made(step, line, curve), edge=E0, degree=degree)
    assert found.edge_step == pytest.approx(step, rel=1e-9)
    assert found.pre_edge_coefficients == pytest.approx(line, rel=1e-7, abs=1e-10)
    assert found.post_edge_coefficients == pytest.approx((step, *curve), rel=1e-5)
    assert found.normalised[OFFSET <= 0] == pytest.approx(0, abs=1e-9)
    assert found.flattened[OFFSET > 0] == pytest.approx(1, abs=1e-9)
    assert found.degree == len(curve)
    expected = made(step, line, curve)
    assert found.pre_edge(ENERGY[:5]) == pytest.approx(expected[:5], rel=1e-9)
    assert found.post_edge(ENERGY[-5:]) == pytest.approx(expected[-5:], rel=1e-9)


def test_the_ranges_that_were_used_are_told() -> None:
    values = made(1, (0, 0), ())
    found = normalise(ENERGY, values, edge=E0)
    assert found.pre_edge_range == (-180, -30)  # the second energy, and the last that lies 30 eV below
    assert found.post_edge_range == (100, 655)
    found = normalise(ENERGY, values, edge=E0, pre_edge=(-101, -22), post_edge=(51, 299), degree=1)
    assert found.pre_edge_range == (-100, -30)
    assert found.post_edge_range == (55, 295)
    short = (ENERGY >= 8300) & (ENERGY < 8420)
    found = normalise(ENERGY[short], values[short], edge=E0)
    assert found.pre_edge_range[1] <= -15  # half-way from −30
    assert found.post_edge_range[0] >= 75 / 3
    assert found.degree == 1


def test_scale_and_offset_of_the_absorption_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = made(1, (0.2, 1e-4), (-1e-4,)) + 0.01 * rng.standard_normal(ENERGY.size)
    one, other = normalise(ENERGY, values, edge=E0), normalise(ENERGY, 7 * values - 3, edge=E0)
    assert other.normalised == pytest.approx(one.normalised, abs=1e-9)
    assert other.flattened == pytest.approx(one.flattened, abs=1e-9)
    assert other.edge_step == pytest.approx(7 * one.edge_step, rel=1e-9)


def test_errors_are_the_scatter_under_repeated_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, sigma = made(1, (0.2, 1e-4), (-1e-4,)), 0.01 * (0.5 + rng.random(ENERGY.size))
    centre = normalise(ENERGY, truth, edge=E0, degree=2)
    steps, points, flat = [], [], []
    for _ in range(1200):
        found = normalise(ENERGY, truth + sigma * rng.standard_normal(ENERGY.size), sigma, edge=E0, degree=2)
        steps.append((found.edge_step - centre.edge_step) / found.edge_step_error)
        points.append((found.normalised - centre.normalised) / found.normalised_error)
        flat.append((found.flattened - centre.flattened) / found.flattened_error)
    assert np.sqrt(np.mean(np.square(steps))) == pytest.approx(1, abs=0.1)  # 1 ± 0.02
    # at each energy ± 0.02, and there are 200 of them
    assert np.sqrt(np.mean(np.square(points), axis=0)) == pytest.approx(1, abs=0.14)
    assert np.sqrt(np.mean(np.square(flat), axis=0)) == pytest.approx(1, abs=0.14)


def test_without_an_error_there_is_none() -> None:
    found = normalise(ENERGY, made(1, (0, 0), ()), edge=E0)
    assert np.isnan(found.edge_step_error)
    assert np.isnan(found.normalised_error).all()


@pytest.mark.parametrize(
    ("part", "settings", "words"),
    [
        (ENERGY < 8330, {"edge": 8340.0}, "E0 8340 eV must lie within the spectrum, 8150 to 8329 eV"),
        (
            ENERGY > 8335,
            {"edge": E0, "pre_edge": (-150, -30)},
            "0 of .* energies, .* lie in the pre-edge, 8190 to 8310",
        ),
        (ENERGY < 8350, {"edge": E0, "post_edge": (50, 400)}, "0 of .* lie in the post-edge, 8390 to 8740 eV"),
        (ENERGY > 0, {"edge": E0, "degree": 4}, "degree of the post-edge 4 must be 0, 1, 2 or 3"),
        (ENERGY > 0, {"edge": E0, "pre_edge": (-30, 20)}, "must be ranges below and above the edge at 8340 eV"),
        (ENERGY > 0, {"edge": 8.340}, "8.34 looks like keV"),
    ],
)
def test_ranges_that_the_spectrum_does_not_cover_are_named(part: np.ndarray, settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalise(ENERGY[part], made(1, (0, 0), ())[part], **settings)


def test_a_spectrum_upside_down_or_drowned_in_noise_is_refused(seed: int) -> None:
    values = made(1, (0, 0), ())
    with pytest.raises(ValueError, match="edge step -1 must be above 0; check E0"):
        normalise(ENERGY, -values, edge=E0)
    noise = np.random.default_rng(seed).standard_normal(ENERGY.size)
    with pytest.raises(ValueError, match=r"cannot be normalised; count longer|must be above 0"):
        normalise(ENERGY, 0.01 * values + 0.5 * noise, 0.5, edge=E0)


def test_the_default_edge_is_that_of_the_derivative() -> None:
    values = 0.5 + np.arctan(OFFSET / 1.5) / np.pi
    assert normalise(ENERGY, values).edge == edge_by_derivative(ENERGY, values)
