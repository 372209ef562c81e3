"""The few component spectra that a stack is made of, and the scores of every pixel on them.

A stack of a sample with three substances holds, but for noise, three spectra in varying amounts, however many energies
it has. Projecting the spectrum of each pixel on the space of these few takes most of the noise away, and none of the
signal as long as the space holds every substance. Two things watch over that: the number of components is chosen as
what a half of the sample confirms of the other half, and the residual of each pixel is tested.

The components are those of the second moment about zero, not about the mean, so that everything stays a linear
combination of spectra (M. Lerotic, C. Jacobsen, T. Schäfer, S. Vogt, Ultramicroscopy 100 (2004) 35), and the energies
are first divided by their noise, so that the components are of signal and not of the noisiest energies.

The components carry the noise of the n pixels that taught them, and hand it on to every pixel that looks like those.
`Projection.leverages` says how much; the standard errors of the maps hold it. It is common to alike pixels: averaging
over them does not take it away, so the error of a mean over many pixels is larger than their errors would give if they
were independent. Who averages over many pixels learns from all of them, `sample=None`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import require
from whiteline.analysis.maps.component_number import signal_axes
from whiteline.analysis.maps.energy_checks import checked_energies
from whiteline.analysis.maps.pixel_sample import drawn_pixels
from whiteline.analysis.maps.projected_pixels import Evaluation, evaluated
from whiteline.analysis.stacks.counting import CountingNoise, Noise

__all__ = ["FEWEST_COMPONENTS", "MOST_COMPONENTS", "SAMPLE_PIXELS", "CountingNoise", "Noise", "Projection", "learnt"]

Array = NDArray[Any]
Floats = NDArray[np.float64]

FEWEST_COMPONENTS = 3
"""Two substances and a background: so many are kept even where fewer stand above the noise."""

MOST_COMPONENTS = 10
"""More substances than this are not told apart by an edge; what stands above the noise beyond is the instrument."""

SAMPLE_PIXELS = 16_384
"""So many pixels teach the components well enough: a region of 1 % of them has 160."""

NOISE_BANDS = 8
"""In so many bands of energies the noise of a pixel is compared with that of the sample: across an edge it changes."""


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
    pixels : int
        Number n of the pixels that taught the components.
    confirmed : int
        How many of the strongest components stand above the noise; the others are noise themselves.
    """

    energy: Floats
    components: Floats
    matrix: Floats
    weights: Floats
    strengths: Floats
    noise_level: float
    pixels: int
    confirmed: int

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
        strengths, axes, confirmed, level = signal_axes(density, variance, weights)
        if components is None:
            components = min(max(confirmed, FEWEST_COMPONENTS), MOST_COMPONENTS, energy.size - 1)
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
            density.shape[1],
            confirmed,
        )

    @property
    def number(self) -> int:
        """Number of components, k."""
        return int(self.components.shape[0])

    def scores(self, optical_density: Any) -> Any:
        """Return the scores, shape (k, *pixels), of an optical density (E, *pixels): one matrix product a block."""
        checked_energies(self.energy, optical_density)
        matrix = self.matrix.astype(np.float32)
        return over_pixels(lambda density: (matrix @ np.asarray(density, np.float32),), optical_density)[0]

    def spectra(self, scores: Array) -> Array:
        """Return the projected spectra, shape (E, *pixels), of scores (k, *pixels)."""
        spectra: Array = np.tensordot(self.components.T, scores, axes=1)
        return spectra

    def covariance(self, variance: Any) -> Any:
        """Return the covariance of the scores, shape (k (k + 1) / 2, *pixels), from a variance (E, *pixels).

        The rows are the lower triangle, row by row: (0, 0), (1, 0), (1, 1), (2, 0) …
        """
        pairs = self.pairs().astype(np.float32)
        return over_pixels(lambda block: (pairs @ np.asarray(block, np.float32),), variance)[0]

    def pairs(self) -> Floats:
        """Return what turns a variance (E,) into the covariance of the scores, shape (k (k + 1) / 2, E)."""
        first, second = np.tril_indices(self.number)
        return self.matrix[first] * self.matrix[second]

    def leverages(self) -> Floats:
        """Return what turns the squared scores of a pixel into its leverage on the components, shape (k,).

        The leverage is the variance of the mean of all pixels as far as they are like this one, over the variance of
        one of them: 1 / n for a sample of n equal pixels, and 1 / m for the one species of m pixels alone.

        To first order the noise ε_i of n whitened spectra with scores s_i turns the axis u_k, of strength λ_k and with
        noise of variance ν, by (1 − P) Σ_i ε_i s_ik / (n (λ_k − ν)). A pixel of scores t is then estimated as
        P y + Σ_i h_i (1 − P) y_i with h_i = Σ_k t_k s_ik / (n (λ_k − ν)): besides its own projection, a mean over the
        pixels like it, of what lies outside the space. That mean has the variance Σ h_i² of a single spectrum, which
        is Σ_k t_k² / (n (λ_k − ν)), as the mean of s_ik s_il is λ_k − ν for k = l and zero otherwise. The scores s_ik
        hold noise as well, which makes this λ_k / (λ_k − ν) times larger; the measured t_k² allow for it, as they are
        larger by as much in the mean.

        An axis that does not stand above the noise is noise itself and hands nothing on.
        """
        strengths = self.strengths[: self.number]
        # A stack without noise leaves nothing but the rounding of float32 beyond its own components.
        signal = (strengths - self.noise_level > 1e-10 * strengths[0]) & (np.arange(self.number) < self.confirmed)
        leverages = np.zeros(self.number)
        leverages[signal] = 1 / (self.pixels * (strengths[signal] - self.noise_level))
        return leverages

    def noise_of_scores(self) -> Floats:
        """Return the variance of the scores of the pixels that taught, over that of any others, shape (k,).

        It is one but along an axis of noise: that is where the noise of just these pixels happens to be strong, up to
        (1 + √(E / n))² times its mean (V. A. Marchenko, L. A. Pastur, Math. USSR Sb. 1 (1967) 457).
        """
        beyond = (self.strengths[: self.number] - self.noise_level) / max(self.noise_level, 1.0)
        return np.where(np.arange(self.number) < self.confirmed, 1.0, 1.0 + beyond)

    def bands(self) -> Floats:
        """Return what turns a variance (E,) into its mean over that of the sample in bands of energies, (b, E)."""
        order = np.argsort(self.energy)
        bands = np.zeros((min(NOISE_BANDS, order.size), order.size))
        for band, inside in zip(bands, np.array_split(order, len(bands)), strict=True):
            band[inside] = self.weights[inside] / inside.size
        return bands

    def outside(self, functionals: Floats) -> Floats:
        """Return how much functionals see of unit noise outside the space, (…, b, m, m), from (…, m, E).

        For functionals q of the optical density these are the products qᵀ (1 − P) V (1 − P)ᵀ q, where V has on its
        diagonal the mean variances of the sample within one of the bands of energies, and zero in the others.
        """
        left = functionals - (functionals @ self.components.T) @ self.matrix
        within = (self.bands() > 0) / self.weights
        products: Floats = (left[..., None, :, :] * within[:, None, :]) @ np.swapaxes(left, -1, -2)[..., None, :, :]
        return products

    def over(self, evaluate: Evaluation, optical_density: Any, variance: Noise, valid: Any = None) -> tuple[Any, ...]:
        """Evaluate something from the scores and their covariance in every pixel, by blocks.

        Parameters
        ----------
        evaluate : callable
            From scores (k, pixels), their covariance (k (k + 1) / 2, pixels) and the variance that the noise of the
            components has outside their space, by bands of energies (b, pixels), to value, error and validity.
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
        # Noise alone leaves a residual of the mean tr (1 − P) V W.
        expected = self.weights - np.sum(self.matrix * self.components, axis=0) * self.weights
        first, second = np.tril_indices(self.number)
        scale = np.sqrt(self.noise_of_scores())
        return evaluated(
            evaluate, optical_density, variance, valid,
            matrix=self.matrix, pairs=self.pairs() * (scale[first] * scale[second])[:, None], expected=expected,
            bands=self.bands(), components=self.components, weights=self.weights,
            leverages=self.leverages(), noise_level=self.noise_level,
        )  # fmt: skip


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
