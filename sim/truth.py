"""What the analysis should find: thickness, fraction and edge position in every pixel.

Thickness maps are blurred by the width of the image in focus, in the frame of the first image. The fraction of a
species is its share of the absorbing atoms. Edge positions are those of the noise-free mixture, by the same estimators
that the analysis uses: half height, and white line.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.sim.blur import blurred_image
from whiteline.sim.bodies import projected
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.nanoprobe import Nanoprobe
from whiteline.sim.nanoprobe import Readings as ScanReadings
from whiteline.sim.species import Species

PIXELS_AT_ONCE = 4096
STEP_EV = 0.05
TABLE_POINTS = 1001


@dataclass(frozen=True)
class Truth:
    """The truth in the frame of one image.

    Parameters
    ----------
    names : tuple of str
        Species, in the order of the maps.
    thickness_um : ndarray of float32, shape (species, rows, columns)
        Blurred by the width of the image in focus [µm].
    fraction : ndarray of float32, shape (species, rows, columns)
        Share of the absorbing atoms; NaN where there are none.
    half_height : ndarray of float32, shape (rows, columns)
        Energy at which the normalised mixture first reaches one half [eV]; NaN where there are no atoms.
    white_line : ndarray of float32, shape (rows, columns)
        Energy of the maximum of the mixture in the window of the white line [eV]; NaN where there are no atoms.
    """

    names: tuple[str, ...]
    thickness_um: NDArray[np.float32]
    fraction: NDArray[np.float32]
    half_height: NDArray[np.float32]
    white_line: NDArray[np.float32]


def truth_of_image(microscope: FullFieldMicroscope, readings: Readings, frame: int, region: Region) -> Truth:
    """Return the truth in the frame of an image.

    Parameters
    ----------
    microscope : FullFieldMicroscope
        The instrument with its sample.
    readings : Readings
        Of the first image.
    frame : int
        Its number.
    region : Region
        What part of the sensor is read.
    """
    optics = microscope.optics(readings, frame)
    n, (rows, columns) = region.binning, region.shape
    sigma = microscope.zone_plate.blur_nm(0.0, optics.energy) / optics.pixel_nm
    part = (
        slice(region.row, region.row + rows * n),
        slice(region.column, region.column + columns * n),
    )
    species = microscope.sample.species

    def map_of(weights: list[float]) -> NDArray[np.float32]:
        layers = microscope.sample.layers(weights, readings.rotation_deg)
        return blurred_image(lambda y, x: projected(layers, *microscope.places(optics, y, x)), sigma, *part)

    fine = np.stack([map_of(weights) for weights in np.eye(len(species)).tolist()])
    return truth_of_thickness(species, fine.reshape(len(species), rows, n, columns, n).mean(axis=(2, 4)))


def truth_of_raster(
    nanoprobe: Nanoprobe,
    readings: ScanReadings,
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    path_um: tuple[float, float] = (0.0, 0.0),
) -> Truth:
    """Return the truth of a raster: what the spot in focus sees at each position, averaged along its path.

    Parameters
    ----------
    nanoprobe : Nanoprobe
        The instrument with its sample.
    readings : Readings
        At the start; the sample stage goes from there.
    x_um : ndarray of float64, shape (columns,)
        Positions of the stage in x, in the middle of each dwell [µm].
    y_um : ndarray of float64, shape (rows,)
        In y [µm].
    path_um : tuple of float
        How far the sample moves during a dwell (x, y) [µm].
    """
    here = nanoprobe.probe(readings)
    sharp = replace(here, sigma_nm=nanoprobe.sharp_spot_nm(here.energy))
    thickness = np.empty((len(nanoprobe.sample.species), y_um.size, x_um.size), np.float32)
    for row, y in enumerate(y_um):
        for column, x in enumerate(x_um):
            place = (
                here.place_um[0] + readings.sample_um[0] - float(x),
                here.place_um[1] + readings.sample_um[1] - float(y),
            )
            spot = replace(sharp, place_um=place)
            thickness[:, row, column] = nanoprobe.thickness(spot, readings.rotation_deg, path_um)
    return truth_of_thickness(nanoprobe.sample.species, thickness)


def truth_of_thickness(species: tuple[Species, ...], thickness_um: NDArray[np.float32]) -> Truth:
    """Return the truth that follows from thickness maps [µm], shape (species, rows, columns).

    Raises
    ------
    ValueError
        If the species are not studied at one and the same edge: their fractions would mean nothing.
    """
    edges = {(one.near_edge.element, one.near_edge.edge) for one in species}
    if len(edges) != 1:
        raise ValueError(f"species are studied at different edges, {sorted(edges)}; a fraction needs one")
    atoms = thickness_um * np.array([[[one.atoms_per_um3]] for one in species], np.float32)
    total = atoms.sum(axis=0)
    with np.errstate(invalid="ignore"):
        fraction = np.where(total > 0, atoms / total, np.nan).astype(np.float32)
    shape = total.shape
    half, peak = edge_positions(species, fraction.reshape(len(species), -1))
    return Truth(
        names=tuple(one.name for one in species),
        thickness_um=thickness_um,
        fraction=fraction,
        half_height=half.reshape(shape),
        white_line=peak.reshape(shape),
    )


def edge_positions(
    species: tuple[Species, ...], fraction: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return half height and white line [eV] of mixtures.

    Parameters
    ----------
    species : tuple of Species
        All studied at one edge.
    fraction : ndarray, shape (species, pixels)
        Share of the absorbing atoms; NaN gives NaN.

    Returns
    -------
    half_height, white_line : ndarray of float32, shape (pixels,)
    """
    edge = (species[0].near_edge.element, species[0].near_edge.edge)
    position = tables.edge_energy(*edge)
    low, high = tables.WHITE_LINE_WINDOWS_EV.get(edge, (position, position + 40))
    grid = np.arange(position - 20, high + STEP_EV, STEP_EV)
    spectra = np.stack([one.near_edge(grid) for one in species])
    window = grid >= low
    half = np.full(fraction.shape[1], np.nan, np.float32)
    peak = np.full(fraction.shape[1], np.nan, np.float32)
    (there,) = np.nonzero(np.isfinite(fraction).all(axis=0))
    if len(species) == 2:
        # two species have one degree of freedom: a table of mixtures serves every pixel
        share = np.linspace(0, 1, TABLE_POINTS)
        halves, peaks = _positions(np.stack([share, 1 - share], axis=1), spectra, grid, window)
        half[there], peak[there] = (np.interp(fraction[0, there], share, one) for one in (halves, peaks))
        return half, peak
    for start in range(0, there.size, PIXELS_AT_ONCE):
        pixels = there[start : start + PIXELS_AT_ONCE]
        half[pixels], peak[pixels] = _positions(fraction[:, pixels].T.astype(float), spectra, grid, window)
    return half, peak


def _positions(
    shares: NDArray[np.float64],
    spectra: NDArray[np.float64],
    grid: NDArray[np.float64],
    window: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return half height and white line of mixtures, shares of shape (mixtures, species), on a grid of energies."""
    mixture = shares @ spectra
    above = np.argmax(mixture >= 0.5, axis=1)
    which = np.arange(len(shares))
    left, right = mixture[which, above - 1], mixture[which, above]
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = grid[above - 1] + STEP_EV * (0.5 - left) / (right - left)
    # no point above one half, or already the very first: the edge is not in the grid, and has no position
    return np.where(above > 0, reached, np.nan), grid[window][np.argmax(mixture[:, window], axis=1)]
