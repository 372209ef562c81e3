"""A species that was left out of the references is seen, and references a little off do not alarm everywhere."""

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.lack_of_fit import calibrated_threshold, lack_of_fit
from whiteline.analysis.maps.principal import CountingNoise
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]
REGION = np.zeros((64, 64), bool)
REGION[10:26, 30:50] = True


def with_third(make_stack: MakeStack, references: Models, third: Spectrum, share: float, seed: int, **how: Any) -> Any:
    """A stack in a region of which a third species replaces a share of the others."""

    def replaced(clean: Floats, amounts: Floats) -> Floats:
        energies = how["energies"]
        columns = Basis.from_spectra([*references, third], energies).matrix[:, :3]
        change = share * np.tensordot(columns, np.concatenate([-amounts, amounts.sum(axis=0)[None]]), 1)
        return np.where(REGION, clean + change, clean)

    return make_stack(seed, references=references, shape=(64, 64), extra=replaced, **how)


def test_noise_alone_is_one_and_alarms_as_often_as_asked(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(64, 64))
    found = lack_of_fit(made.basis, made.density, made.variance, false_alarms=0.01)
    assert found.residual.value.mean() == pytest.approx(1, abs=0.03)
    assert found.residual.value.std() == pytest.approx(found.residual.error.mean(), rel=0.15)
    assert 0.001 < found.lacking.mean() < 0.04
    assert np.abs(found.common).max() < 0.02


def test_a_measured_third_species_is_seen(
    make_stack: MakeStack, measured_nickel: Models, energies: Floats, seed: int
) -> None:
    *oxides, foil = measured_nickel
    for share, least in ((0.1, 0.4), (0.3, 0.99)):
        made = with_third(make_stack, tuple(oxides), foil, share, seed, energies=energies)
        found = lack_of_fit(made.basis, made.density, made.variance)
        assert found.lacking[REGION].mean() > least
        assert found.lacking[~REGION].mean() < 0.01


def test_references_that_are_off_alarm_only_where_something_is(
    make_stack: MakeStack, models: Models, energies: Floats, seed: int
) -> None:
    source = np.random.default_rng(seed)
    knots = np.arange(8100, 8901, 4.0)
    off = tuple(
        Spectrum(
            one.name,
            one.energy,
            one.absorption + 0.005 * np.interp(one.energy, knots, source.standard_normal(knots.size)),
        )
        for one in models[:2]
    )
    made = with_third(make_stack, models[:2], models[2], 0.3, seed, energies=energies, counts=100_000)
    found = lack_of_fit(Basis.from_spectra(off, energies), made.density, made.variance)
    expected = chi2.isf(1e-3, energies.size - 4) / (energies.size - 4)
    # The plain map alarms all over; what is left without the common residual is that of the region.
    assert (found.residual.value[~REGION] > expected).mean() > 0.02
    assert np.median(found.excess.value[~REGION]) < np.median(found.residual.value[~REGION])
    assert found.lacking[REGION].mean() > 0.99
    assert found.lacking[~REGION].mean() < 0.01


def test_the_common_residual_is_what_the_references_lack(
    make_stack: MakeStack, models: Models, energies: Floats, seed: int
) -> None:
    made = make_stack(seed, shape=(64, 64), counts=100_000)
    wave = 0.01 * np.sin(energies / 3)
    wrong = {name: made.basis.matrix[:, index] - wave for index, name in enumerate(made.basis.references)}
    basis = Basis.from_arrays(wrong, energies)
    found = lack_of_fit(basis, made.density, made.variance)
    # But for what the basis can make up itself.
    left = wave - basis.matrix @ np.linalg.lstsq(basis.matrix, wave, rcond=None)[0]
    assert np.corrcoef(found.common.mean(axis=1), left)[0, 1] > 0.95


def test_threshold_is_that_of_chi_square_and_heeds_no_outlier(seed: int) -> None:
    source = np.random.default_rng(seed)
    for freedom, scale in ((11, 1.0), (56, 1.3)):
        values = scale * source.chisquare(freedom, 40_000) / freedom
        expected = scale * chi2.isf(1e-3, freedom) / freedom
        assert calibrated_threshold(values, 1e-3) == pytest.approx(expected, rel=0.06)
        values[:2000] *= 10
        assert calibrated_threshold(values, 1e-3) == pytest.approx(expected, rel=0.12)


def test_bad_pixels_are_masked_and_teach_nothing(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    weights = np.ones(made.basis.energies.size)
    density, mask = made.density.copy(), np.ones((48, 48), bool)
    density[3, 0, 0], density[:, 1, 1] = np.nan, np.inf
    density[9, 2] += 50
    mask[2] = False
    found = lack_of_fit(made.basis, density, made.variance, weights=weights, valid=mask)
    clean = lack_of_fit(made.basis, made.density, made.variance, weights=weights, valid=mask)
    mask[[0, 1], [0, 1]] = False
    for one in (found.residual, found.excess):
        assert np.array_equal(one.valid, mask)
        assert np.array_equal(np.isnan(one.value), ~mask)
    assert not found.lacking[~mask].any()
    assert found.excess.value[mask] == pytest.approx(clean.excess.value[mask], rel=0.01)


def test_counts_and_lazy_stacks_give_the_same(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    expected = lack_of_fit(made.basis, made.density, made.variance)
    lazy = [dask.array.from_array(one, (9, 20, 48)) for one in (made.density, made.variance)]
    found = lack_of_fit(made.basis, *lazy)
    assert found.excess.value == pytest.approx(expected.excess.value, rel=1e-4)
    assert found.threshold == pytest.approx(expected.threshold, rel=1e-4)
    by_counts = lack_of_fit(made.basis, made.density, CountingNoise(20_000, 10))
    assert np.corrcoef(by_counts.residual.value.ravel(), expected.residual.value.ravel())[0, 1] > 0.98


def test_too_few_pixels_or_energies_are_refused(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, shape=(10, 10))
    with pytest.raises(OutOfRange, match="number of good pixels 100 must be at least 200"):
        lack_of_fit(made.basis, made.density, made.variance)
    few = make_stack(seed, energies=[8300, 8342, 8348, 8400])
    with pytest.raises(OutOfRange, match="number of energies 4 must be at least 5"):
        lack_of_fit(few.basis, few.density, few.variance)
    with pytest.raises(OutOfRange, match="share of false alarms"):
        lack_of_fit(made.basis, made.density, made.variance, false_alarms=0.7)
