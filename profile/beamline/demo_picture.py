"""Draw a simulated stack: frames, a spectrum, and the truth."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from whiteline.beamline.simulation.demonstration import Stack
from whiteline.sim.species import Species

BLANK_SHARE = 0.08
"""Columns at the left of the field that no particle covers: the incident beam, seen beside the sample."""

BOX = 5
"""Side of the square of pixels that the spectrum is the mean of."""

LEAST_THICKNESS_UM = 0.2
"""Below, a particle's edge: too little to tell a fraction from."""


def optical_density(stack: Stack) -> NDArray[np.float32]:
    """Return the optical density of every frame, shape of `stack.frames`; NaN where a pixel counted no light.

    The blank strip at the left is set to zero, which takes out what the beam changed between sample and flat.
    """
    frames, flats = stack.frames - stack.dark, stack.flats - stack.dark
    seen = (frames > 0) & (flats > 0)
    transmitted = np.divide(frames, flats, out=np.full_like(frames, np.nan), where=seen)
    blank = transmitted[:, :, : max(1, int(BLANK_SHARE * transmitted.shape[2]))]
    return np.asarray(-np.log(transmitted / np.nanmedian(blank, axis=(1, 2), keepdims=True)))


def draw(stack: Stack, species: tuple[Species, ...], title: str, path: Path) -> None:
    """Draw frames before, on and after the white line, a spectrum, and the truth, into a PNG.

    Parameters
    ----------
    stack : Stack
        What was simulated.
    species : tuple of Species
        What the sample is made of, for the lines of the spectrum.
    title : str
        Above the picture.
    path : Path
        Of the PNG; its folder is made.
    """
    density, truth = optical_density(stack), stack.truth
    total = truth.thickness_um.sum(axis=0)
    figure = Figure(figsize=(18, 9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    top, bottom = figure.subplots(2, 4)

    row, column = np.unravel_index(np.argmax(total), total.shape)
    spectrum_box = _box(int(row), int(column), total.shape)
    white_line = int(np.argmax(np.nanmean(density[:, spectrum_box[0], spectrum_box[1]], axis=(1, 2))))
    shown = (0, white_line, stack.energies.size - 1)
    darkest = float(np.nanquantile(density[list(shown)], 0.999))
    for axes, index, name in zip(top[:3], shown, ("before the edge", "on the white line", "after it"), strict=True):
        image = axes.imshow(density[index], origin="lower", cmap="gray", vmin=0, vmax=darkest)
        _finish(axes, f"{stack.energies[index]:.0f} eV, {name}", stack.pixel_nm)
        _bar(figure, axes, image, "optical density")
        if index == white_line:
            rows, columns = spectrum_box
            corners = (columns.start, columns.stop, columns.stop, columns.start, columns.start)
            axes.plot(corners, (rows.start, rows.start, rows.stop, rows.stop, rows.start), color="tab:red", lw=1)
    _spectrum(top[3], stack, species, density, spectrum_box)

    thick = total > LEAST_THICKNESS_UM
    maps = (
        (total, "thickness", "µm", "viridis"),
        (
            np.where(thick, truth.fraction[0], np.nan),
            f"fraction of {truth.names[0]}",
            "share of the absorbing atoms",
            "coolwarm",
        ),
        (np.where(thick, truth.half_height, np.nan), "edge at half height", "eV", "plasma"),
        (np.where(thick, truth.white_line, np.nan), "white line", "eV", "plasma"),
    )
    for axes, (values, name, unit, colours) in zip(bottom, maps, strict=True):
        image = axes.imshow(values, origin="lower", cmap=colours)
        _finish(axes, f"truth: {name}", stack.pixel_nm)
        _bar(figure, axes, image, unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _spectrum(
    axes: Axes, stack: Stack, species: tuple[Species, ...], density: NDArray[np.float32], box: tuple[slice, slice]
) -> None:
    rows, columns = box
    pixels = density[:, rows, columns].reshape(stack.energies.size, -1)
    # one standard error of the mean: Poisson noise of sample and flat in every pixel of the box
    number = stack.counts * stack.frames_per_energy
    error = np.sqrt((np.exp(pixels).mean(axis=1) + 1) / number / pixels.shape[1])
    axes.errorbar(stack.energies, pixels.mean(axis=1), error, fmt=".", ms=4, color="black", label="simulated frames")
    thickness = stack.truth.thickness_um[:, rows, columns].mean(axis=(1, 2))
    fine = np.linspace(stack.energies[0], stack.energies[-1], 1000)
    parts = [
        depth * np.array([one.absorption(float(e)) for e in fine])
        for one, depth in zip(species, thickness, strict=True)
    ]
    axes.plot(fine, np.sum(parts, axis=0), color="tab:red", lw=1, label="truth")
    for one, part in zip(species, parts, strict=True):
        axes.plot(fine, part, lw=0.8, ls="--", label=f"of it, {one.name} ({one.formula})")
    axes.set(
        xlabel="photon energy / eV", ylabel="optical density", title=f"mean of {pixels.shape[1]} pixels (red square)"
    )
    axes.set_box_aspect(1)
    axes.set_xlim(stack.energies[0], stack.energies[-1])
    axes.legend(fontsize="small", loc="upper right", framealpha=0.9)


def _box(row: int, column: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    top = min(max(row - BOX // 2, 0), shape[0] - BOX)
    left = min(max(column - BOX // 2, 0), shape[1] - BOX)
    return slice(top, top + BOX), slice(left, left + BOX)


def _finish(axes: Axes, title: str, pixel_nm: float) -> None:
    """Give an image its title and a scale bar of a round length, in place of axes in pixels."""
    width_um = 1e-3 * pixel_nm * (axes.get_xlim()[1] - axes.get_xlim()[0])
    length = max((one for one in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if one < 0.15 * width_um), default=0.1)
    pixels = 1e3 * length / pixel_nm
    left, bottom = 0.04 * axes.get_xlim()[1], 0.05 * axes.get_ylim()[1]
    axes.plot((left, left + pixels), (bottom, bottom), color="tab:orange", lw=3, solid_capstyle="butt")
    axes.text(left + pixels / 2, 1.6 * bottom, f"{length:g} µm", color="tab:orange", ha="center", va="bottom")
    axes.set(title=title, xticks=[], yticks=[])


def _bar(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    """Put a colour bar beside an image, as high as the image."""
    figure.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.05, 1)), label=label)
