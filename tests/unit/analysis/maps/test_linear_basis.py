"""References and background: what is refused, and how it says why."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.basis import Basis, background_columns, why_undetermined
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]


def test_columns_are_references_and_background(models: Models, energies: Floats) -> None:
    basis = Basis.from_spectra(models[:2], energies, background=("constant", "linear", "victoreen"))
    assert basis.names == ("Ni2+", "Ni3+", "constant", "linear", "victoreen")
    assert basis.matrix[:, 0] == pytest.approx(np.interp(energies, models[0].energy, models[0].absorption), abs=1e-3)
    assert np.ptp(basis.matrix[:, 2]) == 0
    assert np.ptp(np.diff(basis.matrix[:, 3]) / np.diff(energies)) < 1e-12
    assert np.ptp(basis.matrix[:, 4] * energies**3) / energies[0] ** 3 < 1e-12


def test_a_row_is_that_of_the_energy_that_was_reached(models: Models, energies: Floats) -> None:
    basis = Basis.from_spectra(models[:2], energies)
    for index in (0, 20, 40):
        assert basis.row(energies[index]) == pytest.approx(basis.matrix[index])
    other = Basis.from_spectra(models[:2], energies + 0.4)
    assert basis.row(energies[20] + 0.4)[:2] == pytest.approx(other.matrix[20, :2])
    assert basis.row(8345.0, [0.1, 0.2])[:2] == pytest.approx([0.1, 0.2])
    fixed = Basis.from_arrays({"a": basis.matrix[:, 0], "b": basis.matrix[:, 1]}, energies)
    assert fixed.row(energies[20]) == pytest.approx(basis.matrix[20])
    with pytest.raises(ValueError, match=r"not known at 8345\.4 eV"):
        fixed.row(8345.4)


def test_a_shift_moves_the_references_and_not_the_background(models: Models, energies: Floats) -> None:
    basis = Basis.from_spectra(models[:2], energies)
    moved = basis.shifted(0.7)
    assert moved.matrix[1:, :2] == pytest.approx(Basis.from_spectra(models[:2], energies - 0.7).matrix[1:, :2])
    assert np.array_equal(moved.matrix[:, 2:], basis.matrix[:, 2:])
    with pytest.raises(ValueError, match="from_spectra"):
        Basis.from_arrays({"a": basis.matrix[:, 0]}, energies).shifted(0.1)


def test_energies_on_one_side_of_the_edge_are_called_so(models: Models, energies: Floats) -> None:
    for part in (energies[energies < 8330], energies[energies > 8480]):
        with pytest.raises(ValueError, match="all before the edge, or all beyond it"):
            Basis.from_spectra(models[:2], part)


def test_measured_references_before_the_edge_are_called_so(measured_nickel: Models) -> None:
    with pytest.raises(ValueError, match="all before the edge"):
        Basis.from_spectra(measured_nickel, np.arange(8210, 8331, 8.0))
    Basis.from_spectra(measured_nickel, np.arange(8300, 8400, 8.0))


def test_references_that_do_not_differ_are_named(models: Models, energies: Floats) -> None:
    twin = Spectrum("copy", models[0].energy, models[0].absorption * 1.0001)
    with pytest.raises(ValueError, match="'Ni2\\+' and 'copy' do not differ"):
        Basis.from_spectra([models[0], models[1], twin], energies)
    # A mixture of two others is no third.
    mixture = Spectrum("mixture", models[0].energy, (models[0].absorption + models[1].absorption) / 2)
    with pytest.raises(ValueError, match="do not differ"):
        Basis.from_spectra([models[0], models[1], mixture], energies)


def test_a_reference_that_does_not_cover_the_energies_is_named(models: Models, energies: Floats) -> None:
    short = Spectrum("short", models[0].energy[:1500], models[0].absorption[:1500])
    with pytest.raises(ValueError, match=r"short.*8100.*8474\.75"):
        Basis.from_spectra([short, models[1]], energies)


def test_bad_energies_are_refused(models: Models, energies: Floats) -> None:
    with pytest.raises(OutOfRange, match="looks like keV"):
        Basis.from_spectra(models[:2], energies / 1000)
    with pytest.raises(ValueError, match="8340 eV stands there twice"):
        Basis.from_spectra(models[:2], [*energies, 8340.0])
    with pytest.raises(OutOfRange, match="number of energies 3 must be at least 4"):
        Basis.from_spectra(models[:2], [8300, 8345, 8400])
    with pytest.raises(OutOfRange, match="nan"):
        Basis.from_spectra(models[:2], [*energies, np.nan])


def test_bad_references_are_refused(models: Models, energies: Floats) -> None:
    values = np.interp(energies, models[0].energy, models[0].absorption)
    broken = np.where(energies == 8345, np.nan, values)
    with pytest.raises(OutOfRange, match="oxide in the basis: nan"):
        Basis.from_arrays({"oxide": broken}, energies)
    with pytest.raises(ValueError, match=r"'oxide'.*one value for each"):
        Basis.from_arrays({"oxide": values[:-1]}, energies)
    with pytest.raises(ValueError, match="background 'cubic' must be one of constant"):
        Basis.from_arrays({"oxide": values}, energies, background=["cubic"])
    with pytest.raises(ValueError, match="'constant' is there twice"):
        Basis.from_arrays({"oxide": values}, energies, background=["constant", "constant"])
    with pytest.raises(ValueError, match="at least one reference"):
        Basis.from_arrays({}, energies)


@given(listed=st.lists(st.floats(8100, 8890), min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_energies_give_a_solvable_basis_or_a_reason(models: Models, listed: list[float]) -> None:
    try:
        basis = Basis.from_spectra(models[:2], listed)
    except ValueError:
        return
    assert why_undetermined(basis.matrix, basis.references) is None
    assert np.linalg.matrix_rank(basis.matrix) == 4


def test_background_is_of_size_one_over_its_span(energies: Floats) -> None:
    columns = background_columns(energies, ("linear", "victoreen"), energies)
    assert [columns[:, 0].min(), columns[:, 0].max()] == pytest.approx([-1, 1])
    assert np.abs(columns[:, 1] - 1).max() < 0.1
