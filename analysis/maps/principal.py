"""The few component spectra that a stack is made of, and the scores of every pixel on them.

A stack of a sample with three substances holds, but for noise, three spectra in varying amounts, however many energies
it has. Projecting the spectrum of each pixel on the space of these few takes most of the noise away, and none of the
signal as long as the space holds every substance. Two things watch over that: the number of components is chosen as
what a half of the sample confirms of the other half, and the residual of each pixel is tested.

The components are those of the second moment about zero, not about the mean, so that everything stays a linear
combination of spectra (M. Lerotic, C. Jacobsen, T. Schäfer, S. Vogt, Ultramicroscopy 100 (2004) 35), and the energies
are first divided by their noise, so that the components are of signal and not of the noisiest energies.

The components carry the noise of the n pixels that taught them. What comes of it is common to the map and not in the
standard error of a pixel: √(k / n) of the error without projection, which is a tenth or two of the error with it for
the usual sample, and more in the region of a rare species, which few pixels taught. Who averages over many pixels
learns from all, `sample=None`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.stats import chi2

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import require, require_energy, require_finite, require_positive

Array = NDArray[Any]
Floats = NDArray[np.float64]

FEWEST_COMPONENTS = 3
"""Two substances and a background: so many are kept even where fewer stand above the noise."""

MOST_COMPONENTS = 10
"""More substances than this are not told apart by an edge; what stands above the noise beyond is the instrument."""

SAMPLE_PIXELS = 16_384
"""So many pixels teach the components well enough: a region of 1 % of them has 160."""

TILE = 1024
"""Pixels that are worked on at a time: all that is needed of them stays in the second cache, and so small a product is
not split by BLAS into threads of its own, which would wait for those that work on the blocks."""

SAMPLE_TILE = 128
"""The same for the products of a sample with itself, which are wider."""

RUN = 16
"""Neighbouring pixels that are drawn together, because memory is read in lines of 64 bytes."""

SIGNIFICANCE = 5.0
"""Standard errors by which a component must stand above the noise."""

MISFIT_PROBABILITY = 1e-7
"""Share of the sound pixels that the test of the residual may call unsound."""


@dataclass(frozen=True)
class CountingNoise:
    """Variance of the optical density by the statistics of counting, exp(OD) / N0 + 1 / (n N0).

    Parameters
    ----------
    counts : float
        Counts N0 of a pixel without sample, in one exposure.
    flats : float
        Number n of the flats that were averaged; infinite if their noise does not matter.

    Raises
    ------
    OutOfRange
        If one is not positive.
    """

    counts: float
    flats: float = np.inf

    def __post_init__(self) -> None:
        require_positive(self.counts, "counts without sample")
        require(self.flats, self.flats > 0, "number of flats", "must be above 0")

    def of(self, optical_density: Array) -> Array:
        """Return the variance of an optical density, of its shape and type."""
        variance: Array = np.exp(optical_density)
        variance /= variance.dtype.type(self.counts)
        variance += variance.dtype.type(1 / (self.counts * self.flats))
        return variance


Noise = Any
"""Variance of the optical density: a stack like it, or `CountingNoise`."""

Evaluation = Callable[[Array, Array], tuple[Array, Array, Array]]
"""From scores (k, pixels) and their covariance (k (k + 1) / 2, pixels) to value, error and validity, (pixels,) each."""


@dataclass(frozen=True, eq=False)
class Projection:
    """What a stack is projected on.

    Parameters
    ----------
    energy : ndarray, shape (E,)
        Photon energies [eV], in the order of the stack.
    components : ndarray, shape (k, E)
        The component spectra, in optical density, strongest first.
    matrix : ndarray, shape (k, E)
        Turns an optical density into scores; `scores @ components` is the projected spectrum again.
    weights : ndarray, shape (E,)
        One over the mean variance at each energy.
    strengths : ndarray, shape (E,)
        Second moment along every possible component, in units of the noise, descending.
    noise_level : float
        Variance that was found beyond the components, over the variance that was given: 1 where that is right.
    """

    energy: Floats
    components: Floats
    matrix: Floats
    weights: Floats
    strengths: Floats
    noise_level: float

    def __post_init__(self) -> None:
        shape = (self.components.shape[0], self.energy.size)
        if not self.components.shape == self.matrix.shape == shape or self.weights.shape != self.energy.shape:
            raise ValueError(
                f"components {self.components.shape}, matrix {self.matrix.shape} and weights {self.weights.shape} "
                f"do not belong to {self.energy.size} energies"
            )

    @classmethod
    def learn(
        cls,
        energy: ArrayLike,
        optical_density: Any,
        variance: Noise,
        *,
        components: int | None = None,
        valid: Any = None,
        sample: int | None = SAMPLE_PIXELS,
        seed: int = 0,
    ) -> "Projection":
        """Learn the components from a random sample of the pixels.

        Parameters
        ----------
        energy : array_like, shape (E,)
            Photon energies [eV], in any order, each once.
        optical_density : array_like, shape (E, *pixels)
            A NumPy array, a dataset of h5py or a Dask array; pixels with a number that is not finite are left out.
        variance : array_like, shape (E, *pixels), or CountingNoise
            Variance of the optical density.
        components : int, optional
            Their number. If it is not given: those whose second moment in one half of the sample, along the axes that
            the other half gave, stands five standard errors above what noise alone would give, and at least three.
        valid : array_like of bool, shape (*pixels,), optional
            Pixels to learn from.
        sample : int, optional
            How many pixels to draw; None takes all, in memory.
        seed : int
            The same seed draws the same pixels.

        Raises
        ------
        ValueError
            If energies and stack do not belong together, an energy is there twice, or there are too few sound pixels.
        OutOfRange
            If an energy is no energy in eV, or the number of components is not possible.
        """
        energies = checked_energies(energy, optical_density)
        count = energies.size
        if components is not None:
            limit = f"must lie between 1 and {count - 1}, one less than the number of energies"
            require(components, 1 <= components < count, "number of components", limit)
        density, noise = drawn_pixels(optical_density, variance, valid, sample, seed)
        fewest = 4 * count
        if density.shape[1] < fewest:
            raise ValueError(
                f"{density.shape[1]} pixels are valid and finite at every energy; {fewest} are needed to learn the "
                f"components of {count} energies: widen the mask, or look for an energy whose frame is bad"
            )
        return cls._of_sample(energies, density, noise, components)

    @classmethod
    def _of_sample(cls, energy: Floats, density: Array, variance: Array, components: int | None) -> "Projection":
        weights = 1 / variance.mean(axis=1, dtype=float)
        # What one half confirms of the axes of the other: noise has no axes that two halves share.
        half = _second_moment(density[:, ::2], np.sqrt(weights))
        other = _second_moment(density[:, 1::2], np.sqrt(weights))
        noise = variance[:, 1::2].mean(axis=1, dtype=float) * weights
        excess, error, level = _confirmed(half, other, noise, _second_moment(variance[:, 1::2], weights))
        error /= np.sqrt(density.shape[1] // 2)
        if components is None:
            above = excess > SIGNIFICANCE * error
            found = int(np.argmin(above)) if not above.all() else above.size
            components = min(max(found, FEWEST_COMPONENTS), MOST_COMPONENTS, energy.size - 1)

        # SciPy's does so small a problem in the thread that asks; NumPy's starts others, which then wait and spin.
        strengths, axes = eigh((half + other) / 2)
        strengths, axes = strengths[::-1], axes[:, ::-1]
        chosen = axes[:, :components]
        # The sign of an axis means nothing; make it the one of a positive spectrum, so that every run gives the same.
        chosen = chosen * np.where(chosen.sum(axis=0) < 0, -1.0, 1.0)
        return cls(
            energy,
            np.ascontiguousarray((chosen / np.sqrt(weights)[:, None]).T),
            np.ascontiguousarray((chosen * np.sqrt(weights)[:, None]).T),
            weights,
            strengths,
            level,
        )

    @property
    def number(self) -> int:
        """Number of components, k."""
        return int(self.components.shape[0])

    def scores(self, optical_density: Any) -> Any:
        """Return the scores, shape (k, *pixels), of an optical density (E, *pixels): one matrix product a block."""
        checked_energies(self.energy, optical_density)
        matrix = self.matrix.astype(np.float32)
        return over_pixels(lambda density: (matrix @ _float32(density),), optical_density)[0]

    def spectra(self, scores: Array) -> Array:
        """Return the projected spectra, shape (E, *pixels), of scores (k, *pixels)."""
        spectra: Array = np.tensordot(self.components.T, scores, axes=1)
        return spectra

    def covariance(self, variance: Any) -> Any:
        """Return the covariance of the scores, shape (k (k + 1) / 2, *pixels), from a variance (E, *pixels).

        The rows are the lower triangle, row by row: (0, 0), (1, 0), (1, 1), (2, 0) …
        """
        pairs = self.pairs().astype(np.float32)
        return over_pixels(lambda block: (pairs @ _float32(block),), variance)[0]

    def pairs(self) -> Floats:
        """Return what turns a variance (E,) into the covariance of the scores, shape (k (k + 1) / 2, E)."""
        first, second = np.tril_indices(self.number)
        return self.matrix[first] * self.matrix[second]

    def functional(self, of_components: Floats) -> Floats:
        """Return as a functional of the optical density, shape (E,), what has these values (k,) on the components."""
        return of_components @ self.matrix

    def over(self, evaluate: Evaluation, optical_density: Any, variance: Noise, valid: Any = None) -> tuple[Any, ...]:
        """Evaluate something from the scores and their covariance in every pixel, by blocks.

        Parameters
        ----------
        evaluate : callable
            From scores (k, pixels) and covariance (k (k + 1) / 2, pixels) to value, error and validity.
        optical_density : array_like, shape (E, *pixels)
            A NumPy array, a dataset of h5py or a Dask array.
        variance : array_like, shape (E, *pixels), or CountingNoise
            Variance of the optical density.
        valid : array_like of bool, shape (*pixels,), optional
            Pixels that may be valid.

        Returns
        -------
        value, error, valid : array, shape (*pixels,)
            NaN and False where the evaluation says so, where the spectrum is not finite, and where it does not lie in
            the space of the components: its residual is larger than noise makes it in one of 10⁷ pixels.
        """
        checked_energies(self.energy, optical_density)
        matrix, components = self.matrix.astype(np.float32), self.components.astype(np.float32)
        weights = self.weights.astype(np.float32)
        # The last row gives the mean of the residual that noise alone leaves: tr (1 − P) V W.
        expected = self.weights - np.sum(self.matrix * self.components, axis=0) * self.weights
        rows = np.vstack([self.pairs(), expected]).astype(np.float32)
        freedom = self.energy.size - self.number
        largest = np.float32(max(self.noise_level, 1.0) * chi2.isf(MISFIT_PROBABILITY, freedom) / freedom)

        def tile(density: Array, noise: Array, good: Array) -> tuple[Array, Array, Array]:
            scores, moments = matrix @ density, rows @ noise
            residual = _residual(density, scores, components, weights)
            value, error, sound = evaluate(scores, moments[:-1])
            # Comparisons with NaN are false, so a spectrum that is not finite is not valid.
            good = good & sound & (residual <= largest * moments[-1]) & np.isfinite(value) & np.isfinite(error)
            return np.where(good, value, np.nan), np.where(good, error, np.nan), good

        def kernel(density: Array, *rest: Array) -> tuple[Array, Array, Array]:
            pixels = density.shape[1]
            value, error, good = np.empty(pixels), np.empty(pixels), np.ones(pixels, bool)
            if valid is not None:
                good &= rest[-1][0].astype(bool)
            for start in range(0, pixels, TILE):
                part = slice(start, start + TILE)
                with np.errstate(all="ignore"):  # what is not finite is masked; that it was met is no news
                    one = np.ascontiguousarray(density[:, part], np.float32)
                    if isinstance(variance, CountingNoise):
                        noise = variance.of(one)
                    else:
                        noise = np.ascontiguousarray(rest[0][:, part], np.float32)
                    value[part], error[part], good[part] = tile(one, noise, good[part])
            return value, error, good

        stacks = [optical_density] if isinstance(variance, CountingNoise) else [optical_density, variance]
        return over_pixels(kernel, *stacks, *([] if valid is None else [np.asarray(valid)[None]]))


def checked_energies(energy: ArrayLike, stack: Any) -> Floats:
    """Return the energies of a stack as an array, or say what is wrong with them.

    Raises
    ------
    ValueError
        If they are not one to each frame of the stack, an energy is there twice, or there are fewer than three.
    OutOfRange
        If one is no energy in eV.
    """
    energies = np.asarray(energy, float)
    require_energy(energies)
    if energies.ndim != 1 or len(stack.shape) < 2 or stack.shape[0] != energies.size:
        raise ValueError(
            f"a stack of shape {tuple(stack.shape)} must have energy first, one frame to each of the "
            f"{energies.size} energies, and pixels after it"
        )
    if energies.size < 3:
        raise ValueError(f"{energies.size} energies are too few to speak of components; take at least 3")
    ascending = np.sort(energies)
    if (np.diff(ascending) == 0).any():
        twice = ascending[int(np.argmax(np.diff(ascending) == 0))]
        raise ValueError(f"energy {twice:.10g} eV is there twice; average its frames, or leave one out")
    return energies


def learnt(
    projection: Projection | None,
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    components: int | None,
    valid: Any,
) -> Projection:
    """Return the projection that was given, if it is of these energies, else learn one."""
    if projection is None:
        return Projection.learn(energy, optical_density, variance, components=components, valid=valid)
    if not np.array_equal(projection.energy, checked_energies(energy, optical_density)):
        raise ValueError("the projection was learnt at other energies than those of the stack; learn it anew")
    return projection


def drawn_pixels(
    optical_density: Any, variance: Noise, valid: Any, sample: int | None, seed: int
) -> tuple[Array, Array]:
    """Return optical density and variance, (E, n) each, of pixels drawn at random and sound at every energy."""
    parts = _places(optical_density, sample, np.random.default_rng(seed))
    density = _taken(optical_density, parts)
    if isinstance(variance, CountingNoise):
        with np.errstate(all="ignore"):
            noise = variance.of(density)
    else:
        if tuple(variance.shape) != tuple(optical_density.shape):
            raise ValueError(
                f"a variance of shape {tuple(variance.shape)} does not belong to an optical density of shape "
                f"{tuple(optical_density.shape)}; it must be the same, or CountingNoise"
            )
        noise = _taken(variance, parts)
    # A sum is finite only where all its terms are.
    with np.errstate(all="ignore"):
        good = np.isfinite(density.sum(axis=0) + noise.sum(axis=0)) & (noise.min(axis=0) > 0)
    if valid is not None:
        if tuple(np.shape(valid)) != tuple(optical_density.shape[1:]):
            raise ValueError(f"a mask of shape {np.shape(valid)} does not belong to pixels {optical_density.shape[1:]}")
        good &= _taken(np.asarray(valid)[None], parts)[0].astype(bool)
    if good.all():
        return density, noise
    return density[:, good], noise[:, good]


def _places(stack: Any, sample: int | None, source: np.random.Generator) -> Any:
    """Choose pixels: indices into the flat pixels of an array in memory, else runs along the first axis of pixels."""
    pixels = stack.shape[1:]
    count = int(np.prod(pixels))
    if sample is None or sample >= count:
        return None
    if isinstance(stack, np.ndarray):
        starts = np.sort(source.choice(-(-count // RUN), -(-sample // RUN), replace=False)) * RUN
        indices = (starts[:, None] + np.arange(RUN)).ravel()
        return indices[indices < count]
    run = RUN if len(pixels) == 1 else 1
    number = max(-(-sample // (run * (count // pixels[0]))), 32)
    possible = -(-pixels[0] // run)
    starts = np.sort(source.choice(possible, min(number, possible), replace=False)) * run
    return [slice(int(start), int(start) + run) for start in starts]


def _taken(stack: Any, places: Any) -> Array:
    if isinstance(places, list):
        # NumPy hands the joining of Dask arrays to Dask, which then reads every chunk once.
        return np.asarray(np.concatenate([stack[:, rows] for rows in places], axis=1)).reshape(stack.shape[0], -1)
    flat = np.asarray(stack).reshape(stack.shape[0], -1)
    return flat if places is None else np.take(flat, places, axis=1)


def _second_moment(rows: Array, scale: Floats) -> Floats:
    """Return the mean over the columns of the product of scaled rows, (E, E), of an array (E, n)."""
    total: Floats = np.zeros((rows.shape[0], rows.shape[0]))
    for start in range(0, rows.shape[1], SAMPLE_TILE):
        part = rows[:, start : start + SAMPLE_TILE] * scale[:, None]
        total += part @ part.T
    total /= rows.shape[1]
    return total


def _confirmed(half: Floats, other: Floats, noise: Floats, square: Floats) -> tuple[Floats, Floats, float]:
    """Return by how much the axes of one half exceed the noise in the other, its standard error, and the noise level.

    Parameters
    ----------
    half, other : ndarray, shape (E, E)
        Second moments of the whitened optical density in either half of the sample.
    noise, square : ndarray, shape (E,) and (E, E)
        Mean and second moment of the whitened variance of the pixels of the other half. The error is that of one pixel.
    """
    axes = eigh(half)[1][:, ::-1]
    moments = ((other @ axes) * axes).sum(axis=0)
    expected = noise @ axes**2
    weak = slice(axes.shape[0] // 2, None)
    level = float(np.median(moments[weak] / expected[weak]))
    return moments - level * expected, level * np.sqrt(2 * ((square @ axes**2) * axes**2).sum(axis=0)), level


def _float32(block: Array) -> Array:
    return np.asarray(block, np.float32)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _residual(density: Array, scores: Array, components: Array, weights: Array) -> Array:
    """Return the weighted sum of squares of what the components leave of a tile, (pixels,)."""
    energies, pixels = density.shape
    total, rest = np.zeros(pixels, np.float32), np.empty(pixels, np.float32)
    for energy in range(energies):
        first = components[0, energy]
        for i in range(pixels):
            rest[i] = density[energy, i] - first * scores[0, i]
        for k in range(1, components.shape[0]):
            share = components[k, energy]
            for i in range(pixels):
                rest[i] -= share * scores[k, i]
        weight = weights[energy]
        for i in range(pixels):
            total[i] += weight * rest[i] * rest[i]
    return total


def checked_window(window: tuple[float, float], energy: Floats, what: str, fewest: int = 4) -> tuple[float, float]:
    """Return a window of energies, or say why it cannot be used.

    Raises
    ------
    ValueError
        If it is no interval, is not covered by the energies, or has too few of them.
    """
    low, high = float(window[0]), float(window[1])
    require_finite((low, high), f"window of the {what}", "eV")
    require_energy((low, high), f"window of the {what}")
    if not low < high:
        raise ValueError(f"window of the {what} from {low:g} to {high:g} eV must end after it starts; swap the two")
    if energy.min() > low or energy.max() < high:
        raise ValueError(
            f"window of the {what}, {low:g} to {high:g} eV, is not covered by energies from {energy.min():g} to "
            f"{energy.max():g} eV; measure there, or narrow the window"
        )
    inside = int(((energy >= low) & (energy <= high)).sum())
    if inside < fewest:
        raise ValueError(
            f"window of the {what}, {low:g} to {high:g} eV, holds {inside} energies and needs {fewest}; widen it, or "
            f"measure more"
        )
    return low, high
