"""What spectra are fitted with: the references, and a background.

The background belongs into the basis of the fit: taken off first, by a line through the energies before the edge, it
would carry the noise of these few energies into the whole spectrum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require_finite
from whiteline.analysis.energies import SAME_ENERGY_EV
from whiteline.analysis.spectra.reference import on_energies
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.analysis.stacks.checks import require_stack

Floats = NDArray[np.float64]

BACKGROUNDS = ("constant", "linear", "victoreen")
"""A constant, a straight line, and E⁻³: photoabsorption far from an edge, after J. A. Victoreen (1948)."""

LEAST_RISE = 0.03
"""Root mean square that a reference must rise above any background at the energies, in units of its edge jump. Before
the edge measured references reach 0.006 by their noise, with the foot of the edge 0.02; over an edge 0.6."""

LEAST_DIFFERENCE = 1e-3
"""The same for what tells references apart. NiO and LiNiO2 differ by 0.1."""


@dataclass(frozen=True, eq=False)
class Basis:
    """References and background at the energies of a stack.

    Build it by `from_spectra` or `from_arrays`.

    Parameters
    ----------
    references : tuple of str
        Names of the references, which are the first columns.
    background : tuple of str
        What the other columns are, each one of "constant", "linear", "victoreen".
    energies : ndarray of float64, shape (E,)
        Photon energies, in the order of the stack [eV].
    matrix : ndarray of float64, shape (E, K)
        The columns. The references are normalised to an edge jump of 1, so that coefficients are edge jumps.
    spectra : tuple of Spectrum
        Where the references come from, so that they can be had at other energies; empty if they were given as arrays.
    shift : float
        By how much the energies of the stack read higher than those of the spectra [eV].

    Raises
    ------
    ValueError
        If energies, names and matrix do not belong together, an energy is there twice, a number is not finite, or the
        columns cannot be told apart at these energies; it says which.
    OutOfRange
        If an energy is no energy in eV, or there are fewer energies than columns.
    """

    references: tuple[str, ...]
    background: tuple[str, ...]
    energies: Floats
    matrix: Floats
    spectra: tuple[Spectrum, ...] = ()
    shift: float = 0.0

    def __post_init__(self) -> None:
        names = self.names
        if not self.references:
            raise ValueError("a basis needs at least one reference")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the names of a basis must differ, and {twice[0]!r} is there twice")
        if unknown := [name for name in self.background if name not in BACKGROUNDS]:
            raise ValueError(f"background {unknown[0]!r} must be one of {', '.join(BACKGROUNDS)}")
        require_stack(self.energies, self.matrix, least=len(names))
        if self.matrix.shape != (self.energies.size, len(names)):
            raise ValueError(f"a matrix of shape {self.matrix.shape} does not have the {len(names)} columns of {names}")
        for name, column in zip(names, self.matrix.T, strict=True):
            require_finite(column, f"{name} in the basis:")
        if reason := why_undetermined(self.matrix, self.references):
            raise ValueError(reason)

    @classmethod
    def from_spectra(
        cls,
        spectra: Sequence[Spectrum],
        energies: ArrayLike,
        *,
        background: Sequence[str] = ("constant", "linear"),
        shift: float = 0.0,
    ) -> "Basis":
        """Interpolate references on the energies of a stack.

        Parameters
        ----------
        spectra : sequence of Spectrum
            The references, normalised to an edge jump of 1.
        energies : array_like, shape (E,)
            Photon energies of the stack [eV].
        background : sequence of str
            Columns of the background: "constant", "linear", "victoreen".
        shift : float
            By how much the energies of the stack read higher than those of the spectra [eV], see `energy_shift`.

        Raises
        ------
        ValueError
            If a reference does not cover the energies, naming it and both ranges; else as for `Basis`.
        """
        values = np.array(energies, float)
        columns = [interpolated(spectrum, values, shift) for spectrum in spectra]
        matrix = np.column_stack([*columns, background_columns(values, background, values)])
        names = tuple(spectrum.name for spectrum in spectra)
        return cls(names, tuple(background), values, matrix, tuple(spectra), shift)

    @classmethod
    def from_arrays(
        cls,
        references: Mapping[str, ArrayLike],
        energies: ArrayLike,
        *,
        background: Sequence[str] = ("constant", "linear"),
    ) -> "Basis":
        """Take references that are known at the energies of a stack: names and normalised absorption, (E,) each."""
        values = np.array(energies, float)
        columns = [np.asarray(column, float) for column in references.values()]
        for name, column in zip(references, columns, strict=True):
            if column.shape != values.shape:
                raise ValueError(
                    f"reference {name!r} of shape {column.shape} must have one value for each of the "
                    f"{values.size} energies"
                )
        matrix = np.column_stack([*columns, background_columns(values, background, values)])
        return cls(tuple(references), tuple(background), values, matrix)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, references first."""
        return *self.references, *self.background

    @property
    def number(self) -> int:
        """Number of references, R."""
        return len(self.references)

    def shifted(self, shift: float) -> "Basis":
        """Return the basis for energies that read higher by `shift` [eV] than those of the spectra.

        Raises
        ------
        ValueError
            If the references were given as arrays, which cannot be had at other energies, or do not reach so far.
        """
        if not self.spectra:
            raise ValueError(
                "references that were given as arrays are not known between the energies; "
                "build the basis by `Basis.from_spectra` to shift it"
            )
        return Basis.from_spectra(self.spectra, self.energies, background=self.background, shift=shift)

    def row(self, energy: float, references: ArrayLike | None = None) -> Floats:
        """Return the columns at one energy, shape (K,): for an energy that was reached, not only for one of the list.

        Parameters
        ----------
        energy : float
            Photon energy [eV].
        references : array_like, shape (R,), optional
            Normalised absorption of the references there. If it is not given, it is interpolated from the spectra, or
            taken from the arrays if the energy is one of theirs.

        Raises
        ------
        ValueError
            If it is neither given nor known.
        """
        if references is not None:
            known = np.asarray(references, float)
            if known.shape != (self.number,):
                raise ValueError(f"{known.shape} values of references do not belong to {', '.join(self.references)}")
            require_finite(known, f"reference at {energy:.10g} eV:")
        elif self.spectra:
            known = np.array([interpolated(one, np.array([energy]), self.shift)[0] for one in self.spectra])
        else:
            nearest = int(np.argmin(np.abs(self.energies - energy)))
            if abs(self.energies[nearest] - energy) > SAME_ENERGY_EV:
                raise ValueError(
                    f"the references are not known at {energy:.10g} eV; give their values there, or build the basis "
                    "by `Basis.from_spectra`"
                )
            known = self.matrix[nearest, : self.number]
        return np.concatenate([known, background_columns(np.array([energy]), self.background, self.energies)[0]])


def background_columns(energies: Floats, background: Sequence[str], span: Floats) -> Floats:
    """Return the columns of a background, shape (E, B), scaled to a size of 1 over the span of some energies [eV]."""
    if unknown := [name for name in background if name not in BACKGROUNDS]:
        raise ValueError(f"background {unknown[0]!r} must be one of {', '.join(BACKGROUNDS)}")
    if energies.ndim != 1 or energies.size == 0:
        raise OutOfRange("number of energies", energies.size, "must be at least 1, in one list")
    low, high = float(span.min()), float(span.max())
    middle, half = (low + high) / 2, max((high - low) / 2, SAME_ENERGY_EV)
    columns = {
        "constant": np.ones_like(energies),
        "linear": (energies - middle) / half,
        "victoreen": (middle / energies) ** 3,
    }
    return np.column_stack([columns[name] for name in background]) if background else np.empty((energies.size, 0))


def interpolated(spectrum: Spectrum, energies: Floats, shift: float = 0.0) -> Floats:
    """Return a reference at some energies less a shift, by a cubic spline through its points.

    A reference is never extrapolated. But where an energy that it covers is carried past its end by the shift, it has
    the value of its end.

    Raises
    ------
    ValueError
        If it does not cover the energies, or holds a number that is not finite.
    """
    require_finite(shift, "shift", "eV")
    here = on_energies(spectrum, energies)
    if shift == 0:
        return here
    return on_energies(spectrum, np.clip(energies - shift, spectrum.energy[0], spectrum.energy[-1]))


def why_undetermined(matrix: ArrayLike, references: Sequence[str]) -> str | None:
    """Say why the references cannot be told from the background and from each other, or return None if they can.

    Parameters
    ----------
    matrix : array_like, shape (E, K)
        The columns at some energies, references first.
    references : sequence of str
        Names of the references.
    """
    columns = np.asarray(matrix, float)
    count, number = columns.shape[1], len(references)
    if columns.shape[0] < count:
        return f"{columns.shape[0]} energies are too few for {count} columns: take at least {count}"
    ours, others = columns[:, :number], columns[:, number:]
    left, sizes, _ = np.linalg.svd(others, full_matrices=False)
    if others.shape[1] and sizes[-1] < 1e-6 * sizes[0]:
        return (
            "the columns of the background cannot be told apart at these energies: spread them, or take fewer columns"
        )
    above = ours - left @ (left.T @ ours)
    rise = np.sqrt(np.mean(np.square(above), axis=0))
    low = int(np.argmin(rise))
    if rise[low] < LEAST_RISE:
        return (
            f"{references[low]!r} does not rise above the background at these energies: they lie all before the edge, "
            "or all beyond it; take energies on both sides"
        )
    _, strengths, directions = np.linalg.svd(above / np.sqrt(columns.shape[0]), full_matrices=False)
    if strengths[-1] < LEAST_DIFFERENCE:
        share = np.abs(directions[-1])
        alike = " and ".join(repr(references[index]) for index in np.sort(np.argsort(share)[::-1][:2]))
        return f"{alike} do not differ at these energies: take energies where they do, or leave one out"
    return None


def reduced_gram(basis: Basis, weights: Floats) -> Floats:
    """Return the normal matrix of the references with the background eliminated, shape (R, R)."""
    weighted = basis.matrix * np.sqrt(weights)[:, None]
    ours, others = weighted[:, : basis.number], weighted[:, basis.number :]
    across, _ = np.linalg.qr(others)
    above = ours - across @ (across.T @ ours)
    gram: Floats = above.T @ above
    return gram


def solution_rows(basis: Basis, weights: Floats) -> Floats:
    """Return what turns an optical density into coefficients by weighted least squares, (AᵀWA)⁻¹AᵀW, shape (K, E)."""
    root = np.sqrt(weights)
    # By the pseudo-inverse of the columns, not of their normal matrix, whose condition is the square of theirs.
    return np.asarray(np.linalg.pinv(basis.matrix * root[:, None], rcond=1e-12) * root, np.float64)
