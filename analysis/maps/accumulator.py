"""Fractions while a scan is still running: the linear fit fed one energy at a time.

Least squares need of the frames only sums over the energies: Σ w a_k y for the K columns a_k of the basis, and for the
errors Σ w² a_k a_l v for their K (K + 1) / 2 pairs. With the normal matrix Σ w a aᵀ, which is common to all pixels,
they give the coefficients and their covariance after every frame, in any order of the energies, and equal to those of
the whole stack at once. A frame can be taken out again by subtracting it, because frames stay in their files.

Sums of the bare columns would cancel in float32: two references that differ little give two sums that differ little. So
the columns are first made orthogonal over the planned energies, in float64.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import Array, in_threads, over_pixels
from whiteline.analysis.checks import require_energy, require_positive
from whiteline.analysis.energies import SAME_ENERGY_EV
from whiteline.analysis.maps.basis import Basis, Floats, why_undetermined
from whiteline.analysis.maps.composition import LEAST_JUMP_OVER_NOISE, Composition, shares_with_errors
from whiteline.analysis.maps.growing_sums import add_frame, excluded_pixels
from whiteline.analysis.maps.linear import SAMPLE_PIXELS
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.products import PIECE, product, single

STRETCH = 32 * PIECE
"""Pixels that a thread works on at a time."""


class Accumulator:
    """A linear fit of a map that grows by one energy at a time.

    Its memory is one float32 image for each sum and each result: with two references, a constant and a line, that is
    4 + 10 sums, a fraction and its error, 16 images.

    Parameters
    ----------
    basis : Basis
        References, background, and the planned energies. The energies that come may be others, and fewer; the planned
        ones only set the scale of the sums.
    shape : tuple of int
        Shape (Y, X) of a frame.
    least_jump_over_noise : float
        A fraction is not valid where the edge jump is less than so many of its standard errors.
    least_jump : float
        Nor where the edge jump is less than this [optical density].
    workers : int, optional
        Threads; all cores if it is not given.

    Notes
    -----
    A pixel that is NaN, infinite, without a variance above zero, or masked in any frame would need a normal matrix of
    its own. It is not valid from that frame on, while its sums go on without that frame, and it is valid again once the
    frame has been replaced by one in which it is good.
    """

    def __init__(
        self,
        basis: Basis,
        shape: tuple[int, int],
        *,
        least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
        least_jump: float = 0.0,
        workers: int | None = None,
    ) -> None:
        require_positive(shape, "side of a frame", "px")
        self.basis, self.shape = basis, (int(shape[0]), int(shape[1]))
        self._limits = np.float32(least_jump), np.float32(least_jump_over_noise)
        self._workers = workers
        columns, references = len(basis.names), basis.number
        self._columns, self._pairs = columns, columns * (columns + 1) // 2
        # Of two fractions, which sum to 1 and share their error, one is kept.
        self._kept = 1 if references == 2 else references
        self._images = np.zeros((columns + self._pairs + 2 * self._kept, self.shape[0] * self.shape[1]), np.float32)
        self._images[columns + self._pairs :] = np.nan
        # Columns times this are orthonormal over the planned energies.
        triangle = np.linalg.qr(basis.matrix, mode="r")
        self._turn: Floats = np.linalg.inv(triangle) * np.sqrt(basis.energies.size)
        self._rows: dict[float, tuple[Floats, float]] = {}

    @property
    def energies(self) -> tuple[float, ...]:
        """Energies that have come, in their order [eV]."""
        return tuple(self._rows)

    @property
    def reason(self) -> str | None:
        """Why the energies so far do not determine the fractions, or None if they do."""
        rows = np.array([row for row, _ in self._rows.values()]).reshape(-1, self._columns)
        return why_undetermined(rows, self.basis.references)

    @property
    def memory(self) -> int:
        """Bytes of all that is kept per pixel."""
        return self._images.nbytes

    def add(
        self,
        energy: float,
        density: ArrayLike,
        variance: ArrayLike,
        *,
        references: ArrayLike | None = None,
        weight: float | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in a frame, and bring fractions and errors up to date.

        Parameters
        ----------
        energy : float
            Photon energy that was reached [eV].
        density, variance : array_like, shape (Y, X)
            Optical density and its variance.
        references : array_like, shape (R,), optional
            Normalised absorption of the references at that energy; from the basis if it is not given.
        weight : float, optional
            Weight of the frame; one over its mean variance if it is not given.
        valid : ndarray of bool, shape (Y, X), optional
            Good pixels of the frame.

        Raises
        ------
        OutOfRange
            If the energy is no energy in eV, or the weight not positive.
        ValueError
            If the energy is there already (`replace` it), a frame has another shape, its variance is nowhere known, or
            the references are not known at that energy.
        """
        require_energy(energy)
        if self._known(energy) is not None:
            raise ValueError(f"energy {energy:.10g} eV is there already; replace it, and give its old frame too")
        self._take_in(energy, self._ready(energy, density, variance, references, weight, valid))

    def remove(
        self, energy: float, density: ArrayLike, variance: ArrayLike, *, valid: NDArray[np.bool_] | None = None
    ) -> None:
        """Take a frame out again: energy, frame, variance and mask as they were added.

        Raises
        ------
        ValueError
            If the energy is not there, or a frame has another shape.
        """
        self._remove(energy, density, variance, valid, results=True)

    def replace(
        self,
        energy: float,
        old: tuple[ArrayLike, ArrayLike],
        density: ArrayLike,
        variance: ArrayLike,
        *,
        old_valid: NDArray[np.bool_] | None = None,
        references: ArrayLike | None = None,
        weight: float | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Put a frame that was taken again into the place of the old one.

        Parameters
        ----------
        energy, density, variance, references, weight, valid
            As in `add`.
        old : tuple of array_like
            Density and variance of the old frame.
        old_valid : ndarray of bool, shape (Y, X), optional
            Its good pixels, if they were given with it.

        Raises
        ------
        ValueError, OutOfRange
            As `remove` and `add`; nothing has changed if the new frame does not fit.
        """
        require_energy(energy)
        ready = self._ready(energy, density, variance, references, weight, valid)
        self._remove(energy, *old, old_valid, results=False)
        self._take_in(energy, ready)

    def fraction(self, reference: str) -> Map:
        """Return the map of a reference as it is now; it does not change with later frames.

        Raises
        ------
        ValueError
            If there is no such reference.
        """
        names = self.basis.references
        if reference not in names:
            raise ValueError(f"there is no reference {reference!r}; there are {', '.join(names)}")
        index, first = names.index(reference), self._columns + self._pairs
        kept = 0 if self._kept == 1 else index
        value, error = self._images[first + kept].copy(), self._images[first + self._kept + kept].copy()
        if len(names) == 2 and index == 0:
            np.subtract(np.float32(1), value, out=value)
        valid = np.isfinite(error)
        # Plain NaN only: what the ones that are kept count is nobody else's concern.
        error[~valid] = np.nan
        return Map(f"fraction of {reference}", "", *(one.reshape(self.shape) for one in (value, error, valid)))

    def composition(self) -> Composition:
        """Return the maps of all fractions and of the edge jump as they are now."""
        names = self.basis.references
        if self.reason is not None:
            nothing = np.full(self.shape, np.nan, np.float32), np.full(self.shape, np.nan, np.float32)
            jump = Map("edge jump", "", *nothing, np.zeros(self.shape, np.bool_))
        else:
            rows, pairs = self._solution()
            columns, sums = self._columns, self._columns + self._pairs

            def kernel(block: Array) -> tuple[Array, Array, Array]:
                amounts, moments = product(rows, block[:columns]), product(pairs, block[columns:sums])
                good = ~excluded_pixels(block[sums + self._kept])
                _, _, _, *jump = shares_with_errors(amounts, moments, good, *self._limits)
                return jump[0], jump[1], jump[2]

            jump = Map("edge jump", "", *over_pixels(kernel, self._images.reshape(-1, *self.shape)))
        return Composition(names, tuple(self.fraction(name) for name in names), jump)

    def _known(self, energy: float) -> float | None:
        return next((known for known in self._rows if abs(known - energy) < SAME_ENERGY_EV), None)

    def _frame(self, frame: ArrayLike, name: str) -> Array:
        array = np.asarray(frame, np.float32)
        if array.shape != self.shape:
            raise ValueError(f"a {name} of shape {array.shape} does not belong to a map of shape {self.shape}")
        return np.ascontiguousarray(array).reshape(-1)

    def _mask(self, valid: NDArray[np.bool_] | None) -> Array:
        """Return a mask as the compiled loop takes it: empty if there is none."""
        if valid is None:
            return np.zeros(0, np.bool_)
        if valid.shape != self.shape:
            raise ValueError(f"a mask of shape {valid.shape} does not belong to a map of shape {self.shape}")
        return np.ascontiguousarray(valid, np.bool_).reshape(-1)

    def _remove(
        self,
        energy: float,
        density: ArrayLike,
        variance: ArrayLike,
        valid: NDArray[np.bool_] | None,
        *,
        results: bool,
    ) -> None:
        known = self._known(energy)
        if known is None:
            raise ValueError(f"energy {energy:.10g} eV is not there; there are {len(self._rows)} others")
        frame, noise, mask = self._frame(density, "density"), self._frame(variance, "variance"), self._mask(valid)
        row, weight = self._rows.pop(known)
        self._update(frame, noise, mask, row, weight, -1, results=results)

    def _ready(
        self,
        energy: float,
        density: ArrayLike,
        variance: ArrayLike,
        references: ArrayLike | None,
        weight: float | None,
        valid: NDArray[np.bool_] | None,
    ) -> tuple[Array, Array, Array, Floats, float]:
        """Return frame, variance, mask, row and weight, or refuse what does not fit before anything has changed."""
        frame, noise, mask = self._frame(density, "density"), self._frame(variance, "variance"), self._mask(valid)
        row = self.basis.row(energy, references)
        own = _weight(noise, energy) if weight is None else float(weight)
        require_positive(own, "weight of a frame")
        return frame, noise, mask, row, own

    def _take_in(self, energy: float, ready: tuple[Array, Array, Array, Floats, float]) -> None:
        frame, noise, mask, row, weight = ready
        self._rows[float(energy)] = row, weight
        self._update(frame, noise, mask, row, weight, 1, results=True)

    def _solution(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what turns the sums into coefficients of the references, and into their covariances."""
        rows = np.array([row for row, _ in self._rows.values()]) @ self._turn
        weights = np.array([weight for _, weight in self._rows.values()])
        # By the pseudo-inverse of the columns, whose condition is the root of that of the normal matrix.
        inverse = np.linalg.pinv(rows * np.sqrt(weights)[:, None], rcond=1e-12)
        turned = self._turn[: self.basis.number] @ (inverse @ inverse.T)
        first, second = np.tril_indices(self.basis.number)
        k, m = np.tril_indices(self._columns)
        pairs = turned[first][:, k] * turned[second][:, m] + turned[first][:, m] * turned[second][:, k]
        pairs[:, k == m] /= 2
        return single(turned), single(pairs)

    def _update(
        self,
        frame: Array,
        noise: Array,
        mask: Array,
        row: Floats,
        weight: float,
        sign: int,
        *,
        results: bool,
    ) -> None:
        turned = row @ self._turn
        k, m = np.tril_indices(self._columns)
        step, steps = single(sign * weight * turned), single(sign * weight**2 * turned[k] * turned[m])
        determined = results and self.reason is None
        rows, pairs = self._solution() if determined else (np.zeros((0, 0), np.float32),) * 2
        counts = self._images[self._columns + self._pairs + self._kept].view(np.uint32)

        def work(start: int, stop: int) -> None:
            add_frame(
                self._images, counts, frame, noise, mask, step, steps, rows, pairs, sign, *self._limits, start, stop
            )

        in_threads(work, frame.size, STRETCH, self._workers)


def _weight(variance: Array, energy: float) -> float:
    sample = variance[:: max(1, variance.size // SAMPLE_PIXELS)]
    good = sample[np.isfinite(sample) & (sample > 0)]
    if not good.size:
        raise ValueError(f"the variance at {energy:.10g} eV is nowhere finite and above 0; leave that frame out")
    return float(1 / good.mean(dtype=float))
