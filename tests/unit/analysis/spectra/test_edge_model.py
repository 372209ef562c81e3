"""The model of an edge: its line shapes against numerical convolution, its fit against truth and repeated noise."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.signal import fftconvolve
from scipy.special import ndtr, voigt_profile

from whiteline.analysis.bounds import Edge, edge_position_bound
from whiteline.analysis.lineshapes import gaussian_peak, lorentzian_peak, voigt_step
from whiteline.analysis.spectra import edge_absorption, fit_edge

CORE_HOLE, RESOLUTION = 1.44, 1.19
ENERGY = np.unique(np.r_[np.arange(8230, 8320, 5), np.arange(8320, 8375, 0.5), np.arange(8375, 8420, 3)]).astype(float)
TRUTH = {
    "b0": 0.3,
    "b1": -2e-4,
    "e0": 8342.0,
    "jump": 1.0,
    "width": 2.0,
    "white_line_height": 0.9,
    "white_line_position": 8350.0,
    "white_line_width": 3.0,
    "pre_edge_height": 0.08,
    "pre_edge_position": 8333.0,
    "pre_edge_width": 1.2,
}


def measured_once(rng: np.random.Generator, counts: float) -> tuple[np.ndarray, np.ndarray]:
    """Optical density and its standard error, of counts with the sample and ten flats without it."""
    truth = edge_absorption(ENERGY, TRUTH, CORE_HOLE, RESOLUTION)
    sigma = np.sqrt(np.exp(truth) / counts + 1 / (10 * counts))
    return truth + sigma * rng.standard_normal(ENERGY.size), sigma


@pytest.mark.parametrize(("sigma", "half_width"), [(1.0, 0.0), (1.0, 0.05), (0.5, 0.72), (0.2, 3.0), (2.0, 1.0)])
def test_a_step_is_the_integral_of_the_voigt_profile(sigma: float, half_width: float) -> None:
    for offset in (-12.0, -2.0, -0.3, 0.0, 0.1, 1.0, 7.0):
        expected = 0.5 + quad(voigt_profile, 0, offset, args=(sigma, half_width), epsabs=1e-13, limit=200)[0]
        assert voigt_step(np.array([offset]), sigma, half_width)[0] == pytest.approx(expected, abs=1e-12)


def test_the_limits_of_a_step_are_arctangent_and_error_function() -> None:
    offset = np.linspace(-20, 20, 81)
    assert voigt_step(offset, 0.0, 1.5) == pytest.approx(0.5 + np.arctan(offset / 1.5) / np.pi)
    assert voigt_step(offset, 1e-4, 1.5) == pytest.approx(voigt_step(offset, 0.0, 1.5), abs=1e-8)
    assert voigt_step(offset, 1.5, 0.0) == pytest.approx(ndtr(offset / 1.5), abs=1e-12)


def test_peaks_are_as_high_as_their_names_say_where_nothing_broadens_them() -> None:
    offset = np.linspace(-9, 9, 37)
    assert lorentzian_peak(offset, 2.0, 0.0, 0.0) == pytest.approx(1 / (1 + (offset / 2) ** 2))
    assert gaussian_peak(offset, 1.3, 0.0, 0.0) == pytest.approx(np.exp(-0.5 * (offset / 1.3) ** 2))


def test_the_model_is_the_sharp_one_convolved_with_core_hole_and_resolution() -> None:
    sharp = TRUTH | {"b1": 0.0}
    step = 0.02
    fine = np.arange(8333.0 - 4000, 8333.0 + 4000, step)
    kernel = voigt_profile(np.arange(-2000, 2000 + step / 2, step), RESOLUTION / 2.354820045, CORE_HOLE / 2) * step
    spread = fftconvolve(edge_absorption(fine, sharp, 0.0, 0.0), kernel, mode="same")
    near = (fine > 8300) & (fine < 8380)
    # The kernel is cut at ± 2000 eV, beyond which a Lorentzian keeps 2 × 0.72 / (2000 π) of itself.
    assert edge_absorption(fine[near], sharp, CORE_HOLE, RESOLUTION) == pytest.approx(spread[near], abs=1e-3)


def test_without_a_core_hole_it_is_the_edge_whose_bound_is_known() -> None:
    names = ("white_line_height", "white_line_position", "white_line_width")
    edge = Edge(
        position=TRUTH["e0"],
        jump=TRUTH["jump"],
        width=TRUTH["width"],
        white_line=(TRUTH[names[0]], TRUTH[names[1]], TRUTH[names[2]]),
        background=(TRUTH["b0"], TRUTH["b1"]),
        pre_edge=(TRUTH["pre_edge_height"], TRUTH["pre_edge_position"], TRUTH["pre_edge_width"]),
        resolution=RESOLUTION,
    )
    assert edge_absorption(ENERGY, TRUTH, 0.0, RESOLUTION) == pytest.approx(edge.density(ENERGY), abs=1e-6)
    # The fit says of itself what the bound allows: it wastes no counts.
    values = edge.density(ENERGY)
    sigma = np.sqrt(np.exp(values) / 1e6 + 1 / 1e7)
    found = fit_edge(ENERGY, values, sigma, core_hole=0.0, resolution=RESOLUTION)
    bound = edge_position_bound(edge, found.energy, 1e6, flats=10)
    assert found.white_line[1] == pytest.approx(bound, rel=0.02)


def test_a_spectrum_without_noise_gives_its_parameters_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(5):
        truth = dict(TRUTH)
        truth["e0"] += rng.uniform(-2, 2)
        truth["white_line_position"] += rng.uniform(-1, 3)
        truth["jump"] *= rng.uniform(0.5, 2)
        truth["white_line_height"] = truth["jump"] * rng.uniform(0.6, 1.1)
        truth["pre_edge_height"] *= truth["jump"]
        found = fit_edge(
            ENERGY, edge_absorption(ENERGY, truth, CORE_HOLE, RESOLUTION), core_hole=CORE_HOLE, resolution=RESOLUTION
        )
        for name, value in truth.items():
            assert found.values[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
        assert found.e0[0] == found.values["e0"]


def test_errors_and_covariance_are_the_scatter_under_repeated_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pulls, distances = [], []
    for _ in range(250):
        values, sigma = measured_once(rng, 2e6)
        found = fit_edge(ENERGY, values, sigma, core_hole=CORE_HOLE, resolution=RESOLUTION, start={"e0": 8341.0})
        assert not found.at_bound
        difference = np.array([found.values[name] - TRUTH[name] for name in found.names])
        pulls.append(difference / [found.errors[name] for name in found.names])
        distances.append(difference @ np.linalg.solve(found.covariance, difference))
    # of one parameter 1 ± 0.045; of all together, correlated as they are, ± 0.02
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.1)
    assert np.sqrt(np.mean(np.square(pulls), axis=0)) == pytest.approx(1, abs=0.25)
    assert np.mean(distances) == pytest.approx(len(TRUTH), abs=1.5)  # χ² of 11, ± 0.3
    assert len(found.names) == len(TRUTH)


def test_without_an_error_the_scatter_about_the_fit_gives_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = edge_absorption(ENERGY, TRUTH, CORE_HOLE, RESOLUTION)
    values = truth + 1e-3 * rng.standard_normal(ENERGY.size)
    free = fit_edge(ENERGY, values, core_hole=CORE_HOLE, resolution=RESOLUTION)
    given = fit_edge(ENERGY, values, 1e-3, core_hole=CORE_HOLE, resolution=RESOLUTION)
    assert np.isnan(free.reduced_chi_square)
    assert given.reduced_chi_square == pytest.approx(1, abs=0.6)
    ratio = free.errors["white_line_position"] / given.errors["white_line_position"]
    assert ratio == pytest.approx(np.sqrt(given.reduced_chi_square), rel=0.02)


def test_a_peak_that_is_not_there_is_held_and_has_no_error() -> None:
    truth = {name: value for name, value in TRUTH.items() if not name.startswith("pre_edge")}
    values = edge_absorption(ENERGY, truth, CORE_HOLE, RESOLUTION)
    values = values - 0.02 * np.exp(-0.5 * ((ENERGY - 8333) / 1.2) ** 2)  # a dip, where no peak can be
    found = fit_edge(
        ENERGY, values, 1e-3, core_hole=CORE_HOLE, resolution=RESOLUTION, start={"pre_edge_position": 8333.0}
    )
    if "pre_edge_height" in found.at_bound:
        assert np.isnan([found.errors[name] for name in found.errors if name.startswith("pre_edge")]).all()
    assert found.values["pre_edge_height"] < 0.02
    assert found.e0[0] == pytest.approx(TRUTH["e0"], abs=0.5)


def test_white_line_and_pre_edge_peak_may_be_left_out() -> None:
    truth = {name: TRUTH[name] for name in ("b0", "b1", "e0", "jump", "width")}
    values = edge_absorption(ENERGY, truth, CORE_HOLE, RESOLUTION)
    found = fit_edge(ENERGY, values, 1e-3, core_hole=CORE_HOLE, resolution=RESOLUTION, white_line=False, pre_edge=False)
    assert found.e0[0] == pytest.approx(TRUTH["e0"], abs=1e-4)
    assert np.isnan(found.white_line).all()
    assert found.absorption(ENERGY) == pytest.approx(values, abs=1e-6)


def test_what_cannot_be_fitted_is_named() -> None:
    values = edge_absorption(ENERGY, TRUTH, CORE_HOLE, RESOLUTION)
    with pytest.raises(ValueError, match="width of the core hole -1 eV must be finite and not negative"):
        fit_edge(ENERGY, values, core_hole=-1.0, resolution=1.0)
    with pytest.raises(ValueError, match="lie in the range of the fit"):
        fit_edge(ENERGY, values, core_hole=1.0, resolution=1.0, edge=8342.0, fit_range=(-3, 2))
    with pytest.raises(ValueError, match="parameter 'gamma' to start from is none of b0, b1, e0"):
        fit_edge(ENERGY, values, core_hole=1.0, resolution=1.0, start={"gamma": 1.0})
