"""The picture of a demonstration: maps, their errors, the truth, the difference, spectra with fits, focus and drift."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from whiteline.beamline.demo.spectra import ShownSpectrum
from whiteline.beamline.score.scored import Scored

WIDTH, HEIGHT, DPI = 16.0, 25.0, 100
"""Of the picture [inches, dots per inch]."""

ROUND_UM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
BLUE, RED, GREY = "#2a6f97", "#c8553d", "0.45"

SHOWN = 0.97
"""Share of the pixels that lie within the colours of differences and standard errors."""


def draw(scored: Scored, spectra: Sequence[ShownSpectrum], title: str, path: Path) -> None:
    """Draw a scored run into a PNG.

    Parameters
    ----------
    scored : Scored
        The run with maps and truth.
    spectra : sequence of ShownSpectrum
        Four at most.
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
    parts: Any = figure.subfigures(6, 1, height_ratios=[0.07, 1, 1, 1, 1.25, 0.6], hspace=0.02)
    head, fractions, edges, jumps, below, states = parts
    head.text(0.008, 0.4, title, ha="left", va="center", fontsize=13)
    _fractions(fractions, scored, spectra)
    _edges(edges, scored)
    _jumps(jumps, scored)
    _spectra(below, spectra, "optical density" if scored.results.kind == "stack" else "counts per beam")
    _states(states, scored)
    figure.savefig(path)


def _fractions(part: Any, scored: Scored, spectra: Sequence[ShownSpectrum]) -> None:
    name = scored.truth.names[-1]
    found, true = scored.results.map(f"fraction of {name}"), scored.truth.fraction[-1]
    panels = part.subplots(1, 4)
    off, share = np.where(found.valid, found.value - true, np.nan), "share of the absorbing atoms"
    _image(part, panels[0], _valid(found.value, found.valid), f"fraction of {name}, found", share, 0, 1, "viridis")
    _image(part, panels[1], _valid(true, scored.truth.particles), f"fraction of {name}, the truth", share, 0, 1,
           "viridis")  # fmt: skip
    _difference(part, panels[2], off, share)
    _image(part, panels[3], _valid(found.error, found.valid), "standard error of the fraction", share, None, None,
           "magma")  # fmt: skip
    for one in spectra:
        if one.pixel is not None:
            row, column = one.pixel
            panels[0].plot(column, row, "o", ms=5, mfc="none", mec="white", mew=1.2)
            panels[0].annotate(one.mark, (column, row), (4, 4), textcoords="offset points", color="white", fontsize=10,
                               weight="bold", path_effects=[withStroke(linewidth=2, foreground="black")])  # fmt: skip
    _scale_bar(panels[0], true.shape, scored.results.pixel_um)


def _edges(part: Any, scored: Scored) -> None:
    panels = part.subplots(1, 4)
    edge, true = scored.results.maps.get("edge energy"), scored.edge_truth
    if edge is None or true is None:
        _not_determined(panels)
        return
    shown = _valid(edge.value, edge.valid)
    low, high = _range(shown)
    _image(part, panels[0], shown, "edge energy at half height, found", "eV", low, high, "plasma")
    _image(part, panels[1], true, "edge energy, the truth", "eV", low, high, "plasma")
    _difference(part, panels[2], shown - true, "eV")
    _image(part, panels[3], _valid(edge.error, edge.valid), "standard error of the edge energy", "eV", None, None,
           "magma")  # fmt: skip
    _scale_bar(panels[0], shown.shape, scored.results.pixel_um)


def _jumps(part: Any, scored: Scored) -> None:
    panels = part.subplots(1, 4)
    maps, true = scored.results.maps, scored.truth.jumps.sum(axis=0)
    jump, line = maps.get("edge jump"), maps.get("white line")
    if jump is None:
        _not_determined(panels[:1])
    else:
        # of a raster it is in counts per beam, and of frames in the unit of the truth
        most = float(np.nanquantile(jump.value if scored.results.kind == "raster" else true, 0.999))
        _image(part, panels[0], jump.value, "edge jump, found", jump.unit or "optical density", 0, most, "cividis")
        _scale_bar(panels[0], true.shape, scored.results.pixel_um)
    _image(part, panels[1], true, "edge jump, the truth", "optical density", 0, float(np.nanquantile(true, 0.999)),
           "cividis")  # fmt: skip
    if line is None:
        _not_determined(panels[2:])
        return
    shown = _valid(line.value, line.valid)
    _image(part, panels[2], shown, "white line, found", "eV", *_range(shown), "plasma")
    _image(part, panels[3], _valid(line.error, line.valid), "standard error of the white line", "eV", None, None,
           "magma")  # fmt: skip


def _not_determined(panels: Sequence[Any]) -> None:
    for panel in panels:
        panel.set_axis_off()
        panel.text(0.5, 0.5, "not determined", ha="center", va="center", color=GREY)


def _spectra(part: Any, spectra: Sequence[ShownSpectrum], unit: str) -> None:
    """Draw spectra with their fits, the parts of these, and beneath what the fit leaves, over the error."""
    panels = part.subplots(4, 2, sharex=True, height_ratios=[3, 1, 3, 1])
    for number in range(4):
        above, below = panels[2 * (number // 2) : 2 * (number // 2) + 2, number % 2]
        if number >= len(spectra):
            _not_determined([above])
            below.set_axis_off()
            continue
        one = spectra[number]
        above.set_title(one.title, fontsize=10, loc="left")
        above.errorbar(one.energy, one.value, one.error, fmt="o", ms=3, color="0.2", lw=0.8, label="measured")
        above.plot(one.energy, one.fit, color=RED, lw=1.4, label="fit")
        # each reference is drawn upon the background, as it adds to it
        for name, colour in zip(one.parts, (BLUE, "#6a994e", "#8e5ea2", "#b08900"), strict=False):
            if name != "background":
                above.plot(
                    one.energy, one.parts[name] + one.parts["background"], color=colour, lw=1, ls="--", label=name
                )
        above.plot(one.energy, one.parts["background"], color=GREY, lw=0.8, ls=":", label="background")
        above.set_ylabel(unit)
        below.axhline(0, color=GREY, lw=0.8)
        below.plot(one.energy, (one.value - one.fit) / one.error, "o", ms=2.5, color="0.2")
        below.set_ylabel("less fit,\nover error", fontsize=8)
        if number == 0:
            above.legend(fontsize=8, frameon=False, loc="best", ncols=2)
    for panel in panels[-1]:
        panel.set_xlabel("energy / eV")


def _states(part: Any, scored: Scored) -> None:
    """Draw focus and drift against energy: what the hardware truly did, and what was found of it."""
    focus, drift = part.subplots(1, 2)
    energies, truth = scored.energies, scored.truth
    size = min(energies.size, truth.defocus_dof.size)
    focus.plot(energies[:size], truth.defocus_dof[:size], ".-", color=BLUE, lw=0.8, label="true defocus")
    focus.axhline(0.05, color=GREY, lw=0.8, ls="--", label="limit")
    focus.set_ylabel("defocus /\ndepth of focus")
    focus.set_ylim(0, max(0.06, 1.15 * float(np.nanmax(truth.defocus_dof, initial=0.0))))
    focus.set_title("largest defocus at each energy", fontsize=10, loc="left")
    focus.set_xlabel("energy / eV")
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


def _difference(part: Any, axes: Any, off: NDArray[np.float64], unit: str) -> None:
    known = np.abs(off[np.isfinite(off)])
    spread = float(np.quantile(known, SHOWN)) if known.size else 1.0
    _image(part, axes, off, "found less true", unit, -spread, spread, "RdBu_r")


def _scale_bar(axes: Any, shape: Sequence[int], pixel_um: float | None) -> None:
    """Draw a bar of a round length, below the left of the map."""
    if pixel_um is None:
        return
    width = shape[1] * pixel_um
    length = max((one for one in ROUND_UM if one <= width / 4), default=width / 4)
    share, where = length / width, axes.transAxes
    axes.plot([0, share], [-0.04, -0.04], transform=where, color="0.1", lw=3, solid_capstyle="butt", clip_on=False)
    axes.text(share + 0.02, -0.04, f"{length:g} µm", transform=where, va="center", ha="left", fontsize=9)
