"""One shift of energy between a sample and its references."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.energy_shift import fit_energy_shift, tile_means
from whiteline.analysis.maps.linear import linear_combination
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]


@pytest.mark.parametrize("shift", [-1.2, 0.0, 0.3, 2.4])
def test_the_shift_is_found_with_its_sign_and_within_its_error(make_stack: MakeStack, seed: int, shift: float) -> None:
    made = make_stack(seed, shift=shift)
    found = fit_energy_shift(made.basis, made.density, made.variance)
    assert found.error < 0.005
    assert abs(found.value - shift) < 5.5 * found.error
    assert found.basis.shift == found.value
    assert found.tiles > 100


def test_errors_are_right_over_many_maps(make_stack: MakeStack, seed: int) -> None:
    pulls = []
    for step in range(40):
        made = make_stack(seed + step, shift=0.3, shape=(32, 32))
        found = fit_energy_shift(made.basis, made.density, made.variance)
        pulls.append((found.value - 0.3) / found.error)
    # The root mean square of 40 normal numbers lies within 1 ± 0.11; five times that.
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.55
    assert abs(np.mean(pulls)) < 5 / np.sqrt(40)


def test_unknown_fractions_do_not_pass_for_a_shift(make_stack: MakeStack, seed: int) -> None:
    shape = (40, 40)
    for share in (0.0, 0.5, 1.0):
        amounts = np.stack([np.full(shape, 1 - share), np.full(shape, share)])
        made = make_stack(seed, shape=shape, amounts=amounts, shift=0.3)
        found = fit_energy_shift(made.basis, made.density, made.variance)
        assert abs(found.value - 0.3) < 5.5 * found.error
        assert found.error < 0.02


def test_the_shifted_basis_takes_the_bias_off_the_fractions(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shift=0.3)

    def bias(basis: Basis) -> float:
        found = linear_combination(basis, made.density, made.variance).fractions[1]
        return float(np.mean(found.value - made.fraction[1]))

    assert abs(bias(made.basis)) > 0.03
    found = fit_energy_shift(made.basis, made.density, made.variance)
    assert abs(bias(found.basis)) < 0.004


def test_measured_oxides(make_stack: MakeStack, measured_nickel: Models, seed: int) -> None:
    made = make_stack(seed, references=measured_nickel[:2], shift=-0.4)
    found = fit_energy_shift(made.basis, made.density, made.variance)
    assert abs(found.value + 0.4) < 5.5 * found.error + 1e-4


def test_noise_that_neighbours_share_is_in_the_error(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(32, 32))
    alone = fit_energy_shift(made.basis, made.density, made.variance).error
    # Each pixel four times: no more is known than before, though there are four times the pixels.
    density, variance = (one.repeat(2, axis=1).repeat(2, axis=2) for one in (made.density, made.variance))
    assert fit_energy_shift(made.basis, density, variance).error == pytest.approx(alone, rel=0.3)


def test_bad_pixels_and_masks_are_left_out(make_stack: MakeStack, seed: int, tmp_path: Path) -> None:
    made = make_stack(seed, shift=0.3)
    density, mask = made.density.copy(), np.ones((48, 48), bool)
    density[7, :10] = np.nan
    density[:, 30:] += np.linspace(0, 3, len(density))[:, None, None].astype(np.float32) ** 3
    mask[30:] = False
    found = fit_energy_shift(made.basis, density, made.variance, valid=mask)
    assert abs(found.value - 0.3) < 5.5 * found.error
    for stack in (dask.array.from_array(density, (8, 20, 20)), h5py.File(tmp_path / "a.h5", "w")):
        other = stack if not isinstance(stack, h5py.File) else stack.create_dataset("a", data=density)
        again = fit_energy_shift(made.basis, other, made.variance, valid=mask)
        assert again.value == pytest.approx(found.value, abs=1e-6)
        if isinstance(stack, h5py.File):
            stack.close()


def test_tiles_hold_every_good_pixel_once(seed: int) -> None:
    source = np.random.default_rng(seed)
    for shape in ((50, 70), (7, 5), (1000,), (1, 300), (3, 4, 50)):
        stack = source.random((3, *shape)).astype(np.float32)
        valid = source.random(shape) > 0.2
        stack[1][source.random(shape) > 0.95] = np.nan
        good = valid & np.isfinite(stack).all(axis=0)
        means, counts = tile_means(stack, valid)
        assert counts.sum() == good.sum()
        assert (means * counts).sum(axis=1) == pytest.approx(stack[:, good].sum(axis=1, dtype=float), rel=1e-5)
        assert counts.size > 5


def test_what_cannot_be_fitted_is_refused(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shift=1.5, shape=(24, 24))
    with pytest.raises(OutOfRange, match=r"shift of energy .* must lie within 1 eV"):
        fit_energy_shift(made.basis, made.density, made.variance, largest=1.0)
    arrays = Basis.from_arrays({"a": made.basis.matrix[:, 0], "b": made.basis.matrix[:, 1]}, made.basis.energies)
    with pytest.raises(ValueError, match="from_spectra"):
        fit_energy_shift(arrays, made.density, made.variance)
    with pytest.raises(OutOfRange, match="number of good pixels"):
        fit_energy_shift(made.basis, made.density, made.variance, valid=np.zeros((24, 24), bool))
    empty = make_stack(seed, amounts=np.zeros((2, 24, 24)), shape=(24, 24))
    with pytest.raises(ValueError, match=r"no edge|must lie within"):
        fit_energy_shift(empty.basis, empty.density, empty.variance, largest=0.3)
