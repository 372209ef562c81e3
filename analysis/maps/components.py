"""What a stack is made of, without references: principal components, clusters, and non-negative factors.

All three learn from a random sample of the valid pixels and are then applied to every pixel by blocks. They are
those of scikit-learn (F. Pedregosa et al., J. Mach. Learn. Res. 12 (2011) 2825), on optical density: principal
components about the mean spectrum, k-means, and non-negative matrix factorisation. The same seed gives the same result.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import require, require_finite
from whiteline.analysis.maps.energy_checks import checked_energies
from whiteline.analysis.maps.pixel_sample import drawn_pixels
from whiteline.analysis.stacks.counting import CountingNoise

Array = NDArray[Any]
Floats = NDArray[np.float64]

SAMPLE_PIXELS = 20_000
"""Pixels to learn from: enough for a dozen spectra, and for k-means a matter of a second."""

MOST_ITERATIONS = 1000
"""Of the factorisation, which converges slowly; it stops before where nothing changes any more."""


@dataclass(frozen=True, eq=False)
class Components:
    """Spectra that a stack is a sum of, and how much of each is in every pixel.

    Parameters
    ----------
    method : {"PCA", "NMF"}
        Principal components or non-negative factors.
    energy : ndarray, shape (E,)
        Photon energies [eV], in the order of the stack.
    mean : ndarray, shape (E,)
        Spectrum to add to the sum: the mean of the sample for principal components, zero for factors.
    spectra : ndarray, shape (k, E)
        The spectra, in optical density.
    explained : ndarray, shape (k,)
        Share of the scatter about the mean (PCA), or of the sum of squares (NMF), that each accounts for.
    scores : array, shape (k, *pixels)
        How much of each is in a pixel; NaN where it is not valid.
    valid : array of bool, shape (*pixels,)
        Pixels that are in the mask and finite at every energy.
    """

    method: Literal["PCA", "NMF"]
    energy: Floats
    mean: Floats
    spectra: Floats
    explained: Floats
    scores: Any
    valid: Any


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of pixels with alike spectra.

    Parameters
    ----------
    energy : ndarray, shape (E,)
        Photon energies [eV], in the order of the stack.
    spectra : ndarray, shape (k, E)
        Mean spectrum of each cluster, in optical density; the cluster with the most pixels of the sample is first.
    labels : array of int, shape (*pixels,)
        Cluster of each pixel, from 0; −1 where it is not valid.
    distance : array, shape (*pixels,)
        Root mean square over the energies of what parts a pixel from the spectrum of its cluster, in optical density.
    ambiguity : array, shape (*pixels,)
        Distance to its own cluster over that to the next: 0 where a pixel is like its cluster, 1 where it could as well
        be in another. One minus it is the simplified silhouette.
    valid : array of bool, shape (*pixels,)
        Pixels that are in the mask and finite at every energy.
    """

    energy: Floats
    spectra: Floats
    labels: Any
    distance: Any
    ambiguity: Any
    valid: Any


def principal_components(
    energy: ArrayLike,
    optical_density: Any,
    number: int,
    *,
    valid: Any = None,
    sample: int | None = SAMPLE_PIXELS,
    seed: int = 0,
) -> Components:
    """Find the principal components of a stack about its mean spectrum.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    number : int
        How many.
    valid : array_like of bool, shape (*pixels,), optional
        Pixels to use.
    sample : int, optional
        How many pixels to learn from; None takes all.
    seed : int
        The same seed draws the same pixels.

    Returns
    -------
    Components
        Strongest first.

    Raises
    ------
    ValueError
        If energies, stack and mask do not belong together, or there are too few sound pixels.
    OutOfRange
        If an energy is no energy in eV, or the number is not possible.
    """
    from sklearn.decomposition import PCA

    energies, drawn = _sample(energy, optical_density, number, valid, sample, seed)
    model = PCA(number, svd_solver="full").fit(drawn)
    spectra, mean = model.components_, model.mean_

    def scores(rows: Floats) -> Floats:
        result: Floats = (rows - mean) @ spectra.T
        return result

    values, good = _applied(scores, number, optical_density, valid)
    return Components("PCA", energies, mean, spectra, model.explained_variance_ratio_, values, good)


def nonnegative_factors(
    energy: ArrayLike,
    optical_density: Any,
    number: int,
    *,
    valid: Any = None,
    sample: int | None = SAMPLE_PIXELS,
    seed: int = 0,
) -> Components:
    """Factorise a stack into spectra and amounts that are nowhere negative.

    Such factors may look like spectra of substances, but are not unique: where every pixel holds some of each, other
    ones fit as well. Noise below zero, as it is before the edge, is taken as zero.

    Parameters, returned value and errors are those of `principal_components`, but that `seed` starts the factorisation
    too and the factors are those with the largest sum of squares first.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the factors still change after a thousand iterations.
    """
    from sklearn.decomposition import NMF

    energies, drawn = _sample(energy, optical_density, number, valid, sample, seed)
    drawn = np.maximum(drawn, 0)
    model = NMF(number, init="nndsvda", random_state=seed, max_iter=MOST_ITERATIONS)
    amounts = model.fit_transform(drawn)
    size = (amounts**2).sum(axis=0) * (model.components_**2).sum(axis=1)
    order = np.argsort(-size)

    def scores(rows: Floats) -> Floats:
        result: Floats = model.transform(np.maximum(rows, 0))[:, order]
        return result

    values, good = _applied(scores, number, optical_density, valid)
    explained = size[order] / (drawn**2).sum()
    return Components("NMF", energies, np.zeros(energies.size), model.components_[order], explained, values, good)


def clusters(
    energy: ArrayLike,
    optical_density: Any,
    number: int,
    *,
    valid: Any = None,
    sample: int | None = SAMPLE_PIXELS,
    seed: int = 0,
) -> Clusters:
    """Group the pixels of a stack by their spectra, by k-means.

    In optical density thick and thin parts of one substance differ more than two substances of one thickness: for
    clusters of chemistry give a normalised stack, and a mask of where the edge jump is clear.

    Parameters and errors are those of `principal_components`; `seed` starts the clusters too.

    Returns
    -------
    Clusters
        The one with the most pixels of the sample first.
    """
    from sklearn.cluster import KMeans

    require(number, number >= 2, "number of clusters", "must be at least 2")
    energies, drawn = _sample(energy, optical_density, number, valid, sample, seed)
    model = KMeans(number, random_state=seed, n_init=10).fit(drawn)
    order = np.argsort(-np.bincount(model.labels_, minlength=number), kind="stable")
    spectra = model.cluster_centers_[order]

    def nearest(rows: Floats) -> Floats:
        distances = np.sqrt(((rows[:, None, :] - spectra) ** 2).mean(axis=2))
        two = np.sort(distances, axis=1)[:, :2]
        ambiguity = np.divide(two[:, 0], two[:, 1], out=np.ones(len(rows)), where=two[:, 1] > 0)
        return np.stack([distances.argmin(axis=1), two[:, 0], ambiguity], axis=1)

    values, good = _applied(nearest, 3, optical_density, valid)
    labels = np.where(good, np.nan_to_num(values[0]), -1).astype(int)
    return Clusters(energies, spectra, labels, values[1], values[2], good)


def _sample(
    energy: ArrayLike, optical_density: Any, number: int, valid: Any, sample: int | None, seed: int
) -> tuple[Floats, Floats]:
    """Return the energies, and spectra drawn at random, (n, E), sound at every energy."""
    energies = checked_energies(energy, optical_density)
    require_finite(number, "number of components")
    limit = f"must lie between 1 and the number of energies, {energies.size}"
    require(number, 1 <= number <= energies.size, "number of components", limit)
    # Whatever the counts: the noise is not used, only that it is finite where the optical density is.
    drawn, _ = drawn_pixels(optical_density, CountingNoise(1.0), valid, sample, seed)
    fewest = 4 * number
    if drawn.shape[1] < fewest:
        raise ValueError(
            f"{drawn.shape[1]} pixels are valid and finite at every energy; {fewest} are needed for {number} "
            f"components: widen the mask, or look for an energy whose frame is bad"
        )
    return energies, np.ascontiguousarray(drawn.T, float)


def _applied(function: Any, number: int, optical_density: Any, valid: Any) -> tuple[Any, Any]:
    """Apply a function from spectra (n, E) to numbers (n, k) to every pixel, NaN where the pixel is not sound."""

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array]:
        rows = np.asarray(density, float).T
        good: NDArray[np.bool_] = np.isfinite(rows).all(axis=1)
        if valid is not None:
            good &= rest[0][0].astype(bool)
        values = np.full((number, len(rows)), np.nan)
        if good.any():
            values[:, good] = function(rows[good]).T
        return values, good

    values, good = over_pixels(kernel, optical_density, *([] if valid is None else [np.asarray(valid)[None]]))
    return values, good
