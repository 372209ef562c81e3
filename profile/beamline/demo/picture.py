"""The picture of a demonstration: maps, their errors, the truth, the difference, spectra with fits, focus and drift."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from whiteline.analysis.maps.basis import Basis
from whiteline.beamline.score.scored import Scored

WIDTH, HEIGHT, DPI = 16.0, 16.0, 100
"""Of the picture [inches, dots per inch]."""

ROUND_UM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
BLUE, RED, GREY = "#2a6f97", "#c8553d", "0.45"

SHOWN = 0.97
"""Share of the pixels that lie within the colours of differences and standard errors."""


def draw(scored: Scored, title: str, path: Path) -> None:
    """Draw a scored run into a PNG.

    Parameters
    ----------
    scored : Scored
        The run with maps and truth.
    title : str
        What it is, in a line.
    path : Path
        Of the PNG; its folder is made if need be.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # so many inches keep the rows apart
    layout = ConstrainedLayoutEngine(h_pad=0.12)
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout=layout)
    parts: Any = figure.subfigures(4, 1, height_ratios=[0.07, 1, 1, 0.95], hspace=0.02)
    head, fractions, edges, below = parts
    head.text(0.008, 0.4, title, ha="left", va="center", fontsize=13)
    _fractions(fractions, scored)
    _edges(edges, scored)
    left, right = below.subfigures(1, 2, width_ratios=[1, 1])
    _spectra(left, scored)
    _states(right, scored)
    figure.savefig(path)


def _fractions(part: Any, scored: Scored) -> None:
    name = scored.truth.names[-1]
    found, true = scored.results.map(f"fraction of {name}"), scored.truth.fraction[-1]
    panels = part.subplots(1, 4)
    off = np.where(found.valid, found.value - true, np.nan)
    spread = float(np.nanquantile(np.abs(off), SHOWN)) if found.valid.any() else 1.0
    share, error = "share of the absorbing atoms", _valid(found.error, found.valid)
    _image(part, panels[0], _valid(found.value, found.valid), f"fraction of {name}, found", share, 0, 1, "viridis")
    _image(part, panels[1], _valid(true, scored.truth.particles), f"fraction of {name}, the truth", share, 0, 1,
           "viridis")  # fmt: skip
    _image(part, panels[2], off, "found less true", share, -spread, spread, "RdBu_r")
    _image(part, panels[3], error, "standard error of the fraction", share, None, None, "magma")
    _scale_bar(panels[0], true.shape, scored.results.pixel_um)


def _edges(part: Any, scored: Scored) -> None:
    panels = part.subplots(1, 4)
    maps, jumps = scored.results.maps, scored.truth.jumps.sum(axis=0)
    jump, edge, line = (maps.get(name) for name in ("edge jump", "edge energy", "white line"))
    if jump is not None:
        # of a raster it is in counts per beam, and of frames in the unit of the truth
        most = float(np.nanquantile(jump.value if scored.results.kind == "raster" else jumps, 0.999))
        _image(part, panels[0], jump.value, "edge jump, found", jump.unit or "optical density", 0, most, "cividis")
        _scale_bar(panels[0], jumps.shape, scored.results.pixel_um)
    if edge is not None:
        shown = _valid(edge.value, edge.valid)
        low, high = _range(shown)
        _image(part, panels[1], shown, "edge energy at half height", "eV", low, high, "plasma")
        _image(part, panels[2], _valid(edge.error, edge.valid), "standard error of the edge energy", "eV", None, None,
               "magma")  # fmt: skip
    if line is not None:
        shown = _valid(line.value, line.valid)
        low, high = _range(shown)
        _image(part, panels[3], shown, "white line", "eV", low, high, "plasma")
    for panel, one in zip(panels, (jump, edge, edge, line), strict=True):
        if one is None:
            panel.set_axis_off()
            panel.text(0.5, 0.5, "not determined", ha="center", va="center", color=GREY)


def _spectra(part: Any, scored: Scored) -> None:
    axes = part.subplots(1, 1)
    axes.set_title("mean spectrum of the map, and its fit", fontsize=10, loc="left")
    axes.set_xlabel("energy / eV")
    spectrum = scored.results.spectrum
    axes.set_ylabel("optical density" if scored.results.kind == "stack" else "counts per beam")
    if spectrum is None:
        axes.text(0.5, 0.5, "no spectrum", transform=axes.transAxes, ha="center", color=GREY)
        return
    axes.errorbar(spectrum.energy, spectrum.absorption, spectrum.error, fmt="o", ms=3.5, color="0.2", label="measured")
    basis = Basis.from_spectra(scored.truth.references, spectrum.energy, background=("constant", "linear"))
    matrix = basis.matrix
    weights = 1 / np.asarray(spectrum.error if spectrum.error is not None else np.ones(spectrum.energy.size))
    found = np.linalg.lstsq(matrix * weights[:, None], spectrum.absorption * weights, rcond=None)[0]
    number = len(basis.references)
    background = matrix[:, number:] @ found[number:]
    shares = found[:number] / found[:number].sum()
    axes.plot(spectrum.energy, matrix @ found, color=RED, lw=1.4, label="fit")
    for index, colour in zip(range(number), (BLUE, "#6a994e", "#8e5ea2", "#b08900"), strict=False):
        axes.plot(spectrum.energy, background + matrix[:, index] * found[index], color=colour, lw=1, ls="--",
                  label=f"{basis.references[index]}, {shares[index]:.1%}")  # fmt: skip
    axes.plot(spectrum.energy, background, color=GREY, lw=0.8, ls=":", label="background")
    # beside the axes: a spectrum leaves no corner of them free for certain
    axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _states(part: Any, scored: Scored) -> None:
    """Draw focus and drift against energy: what the hardware truly did, and what was found of it."""
    focus, drift = part.subplots(2, 1, sharex=True)
    energies, truth = scored.energies, scored.truth
    size = min(energies.size, truth.defocus_dof.size)
    focus.plot(energies[:size], truth.defocus_dof[:size], ".-", color=BLUE, lw=0.8, label="true defocus")
    focus.axhline(0.05, color=GREY, lw=0.8, ls="--", label="limit")
    focus.set_ylabel("defocus /\ndepth of focus")
    focus.set_ylim(0, max(0.06, 1.15 * float(np.nanmax(truth.defocus_dof, initial=0.0))))
    focus.set_title("largest defocus at each energy", fontsize=10, loc="left")
    focus.legend(fontsize=9, frameon=False, loc="upper right", ncols=2)
    pixel_nm = 1e3 * (scored.results.pixel_um or np.nan)
    what = (
        "sample against the first map: followed"
        if scored.results.kind == "raster"
        else "image against the first: found"
    )
    drift.set_title(f"shift of the {what} (dots), true (lines)", fontsize=10, loc="left")
    for column, (label, colour) in enumerate((("vertical", BLUE), ("horizontal", RED))):
        drift.plot(energies, truth.shift_nm[:, column] / pixel_nm, color=colour, lw=0.9)
        drift.plot(energies, scored.found_px[:, column], "o", ms=3, color=colour, label=label)
    drift.set_ylabel("shift / px")
    drift.set_xlabel("energy / eV")
    drift.legend(fontsize=9, frameon=False, ncols=2, loc="best")


def _valid(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(valid, values, np.nan)


def _range(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    known = values[np.isfinite(values)]
    if not known.size:
        return None, None
    low, high = np.quantile(known, [0.02, 0.98])
    return float(low), float(high)


def _image(
    part: Any,
    axes: Any,
    values: NDArray[Any],
    title: str,
    unit: str,
    low: float | None,
    high: float | None,
    colours: str,
) -> None:
    known = values[np.isfinite(values)]
    if low is None and known.size:
        low, high = 0.0, float(np.quantile(known, SHOWN))
    axes.set_facecolor("0.88")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10, loc="left")
    shown = axes.imshow(values, vmin=low, vmax=high, cmap=colours, interpolation="nearest")
    bar = part.colorbar(shown, ax=axes, label=unit, location="bottom", extend="both", shrink=0.9, pad=0.08)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4))


def _scale_bar(axes: Any, shape: Sequence[int], pixel_um: float | None) -> None:
    """Draw a bar of a round length, below the left of the map."""
    if pixel_um is None:
        return
    width = shape[1] * pixel_um
    length = max((one for one in ROUND_UM if one <= width / 4), default=width / 4)
    share, where = length / width, axes.transAxes
    axes.plot([0, share], [-0.04, -0.04], transform=where, color="0.1", lw=3, solid_capstyle="butt", clip_on=False)
    axes.text(share + 0.02, -0.04, f"{length:g} µm", transform=where, va="center", ha="left", fontsize=9)
