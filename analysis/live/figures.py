"""A figure of the running scan: the map and its standard error, the mean spectrum with its fit, drift and sharpness.

It is drawn in the main thread only: by `draw`, or by a timer of the figure's own canvas, which runs whenever the
session waits for the RunEngine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from whiteline.analysis.live.results import Results
from whiteline.analysis.maps.map import Map

ERROR_QUANTILE = 0.98
LEFT, RIGHT = "#1f6fb4", "#c8501e"
ROUND_UM = [one * 10.0**power for power in range(-3, 5) for one in (1, 2, 5)]
MOST_PIXELS = 1024
"""Shown along each side: a screen has no more to spare for a map."""


class Live(Protocol):
    """What is shown: anything with results and a line of progress."""

    @property
    def results(self) -> Results | None:
        """What was found so far."""

    @property
    def progress(self) -> str:
        """Where it is, in one line."""


class LiveFigure:
    """The figure of a live analysis.

    Parameters
    ----------
    live : LiveXanes
        Or anything else with `results` and `progress`.
    figure : matplotlib.figure.Figure, optional
        To draw into, such as `plt.figure()`; one without a window if it is not given.
    name : str, optional
        The map to show; the last fraction, else the first map that there is.
    """

    def __init__(self, live: Live, figure: Figure | None = None, *, name: str | None = None) -> None:
        self.live, self.name = live, name
        self.figure = figure if figure is not None else Figure(figsize=(11, 7.5), layout="constrained")
        self._timer: Any = None
        self._drawn: Results | None = None

    def draw(self) -> Figure:
        """Draw what was found so far. Call it from the main thread."""
        results = self.live.results
        self._drawn = results
        self.figure.clear()
        self.figure.set_layout_engine("constrained")
        if results is None:
            self.figure.text(0.5, 0.5, self.live.progress, ha="center", va="center", color="0.4", wrap=True)
        else:
            self._panels(results)
        if self.figure.canvas is not None:
            self.figure.canvas.draw_idle()
        return self.figure

    def start(self, interval_s: float = 2.0) -> None:
        """Draw anew from time to time, by the timer of the window that the figure is in."""
        self.stop()
        self._timer = self.figure.canvas.new_timer(interval=int(1000 * interval_s))
        self._timer.add_callback(self._tick)
        self._timer.start()

    def stop(self) -> None:
        """Draw no more by itself."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def save(self, path: str | Path) -> None:
        """Draw it, and save it as a picture."""
        self.draw().savefig(path, dpi=120)

    def _tick(self) -> None:
        results = self.live.results
        same = self._drawn is not None and results is not None and results.energies.size == self._drawn.energies.size
        if not same or (results is not None and self._drawn is not None and results.over != self._drawn.over):
            self.draw()

    def _panels(self, results: Results) -> None:
        shown = self._chosen(results)
        title = results.line.split(" · ")
        self.figure.suptitle(" · ".join(title[:4]), fontsize=10, x=0.01, ha="left")
        if shown is None:
            _spectrum(self.figure.add_subplot(), results)
            return
        if results.frames:
            grid = self.figure.subplot_mosaic(
                [["map", "error"], ["spectrum", "drift"], ["spectrum", "detail"]], height_ratios=[3, 1, 1]
            )
            _drift(grid["drift"], results)
            _detail(grid["detail"], results)
        else:
            grid = self.figure.subplot_mosaic([["map", "error"], ["spectrum", "spectrum"]], height_ratios=[3, 2])
        _map(self.figure, grid["map"], shown, results.pixel_um)
        _error(self.figure, grid["error"], shown)
        _spectrum(grid["spectrum"], results)

    def _chosen(self, results: Results) -> Map | None:
        if self.name is not None and self.name in results.maps:
            return results.maps[self.name]
        fractions = [one for name, one in results.maps.items() if name.startswith("fraction")]
        return fractions[-1] if fractions else next(iter(results.maps.values()), None)


def _map(figure: Figure, axes: Any, shown: Map, pixel_um: float | None) -> None:
    step = _step(shown)
    value = shown.value[::step, ::step]
    known = value[np.isfinite(value)]
    if shown.name.startswith("fraction"):
        low, high = -0.1, 1.1
    else:
        low, high = (float(one) for one in np.quantile(known, [0.01, 0.99])) if known.size else (0.0, 1.0)
    image = _image(axes, value, low, high, "viridis")
    figure.colorbar(image, ax=axes, label=f"{shown.name}{f' / {shown.unit}' if shown.unit else ''}", extend="both")
    valid = float(shown.valid.mean())
    axes.set_title(f"{shown.name}, {valid:.0%} of the pixels valid", fontsize=9, loc="left")
    if pixel_um is not None:
        _scale_bar(axes, value.shape, pixel_um * step)


def _error(figure: Figure, axes: Any, shown: Map) -> None:
    error = shown.error[:: _step(shown), :: _step(shown)]
    known = error[np.isfinite(error)]
    high = float(np.quantile(known, ERROR_QUANTILE)) if known.size else 1.0
    image = _image(axes, error, 0.0, high, "magma")
    unit = f" / {shown.unit}" if shown.unit else ""
    figure.colorbar(image, ax=axes, label=f"standard error{unit}", extend="max")
    if known.size:
        axes.set_title(f"standard error, median {np.median(known):.2g}", fontsize=9, loc="left")


def _image(axes: Any, value: Any, low: float, high: float, colours: str) -> Any:
    axes.set_facecolor("0.85")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(value, vmin=low, vmax=high, cmap=colours, interpolation="nearest", aspect="equal")


def _step(shown: Map) -> int:
    return max(1, -(-int(max(shown.value.shape)) // MOST_PIXELS))


def _scale_bar(axes: Any, shape: tuple[int, ...], pixel_um: float) -> None:
    """Draw a bar of a round length, about a fifth of the width, below the left of the map."""
    width = shape[1] * pixel_um
    length = max((one for one in ROUND_UM if one <= width / 4), default=width / 4)
    part = length / width
    where = axes.transAxes
    axes.plot([0, part], [-0.035, -0.035], transform=where, color="0.1", lw=3, solid_capstyle="butt", clip_on=False)
    axes.text(part + 0.02, -0.035, f"{length:g} µm", transform=where, va="center", ha="left", fontsize=9)


def _spectrum(axes: Any, results: Results) -> None:
    spectrum = results.spectrum
    axes.set_xlabel("energy / eV")
    axes.set_ylabel("absorption" if results.kind == "points" else "mean optical density")
    if results.kind == "raster":
        axes.set_ylabel("mean counts per beam")
    if spectrum is None:
        axes.text(0.5, 0.5, "no spectrum yet", transform=axes.transAxes, ha="center", color="0.5")
        return
    many = spectrum.energy.size > 40
    error = spectrum.error if spectrum.error is not None else None
    axes.errorbar(
        spectrum.energy,
        spectrum.absorption,
        error,
        fmt="o",
        ms=2.5 if many else 4,
        color="0.25",
        label="measured",
        zorder=2,
    )
    if spectrum.combination is not None:
        found = spectrum.combination
        parts = zip(found.names, found.fractions, found.fraction_errors, strict=True)
        label = "\n".join(_rounded(*part) for part in parts)
        axes.plot(found.energy, found.fitted, color=RIGHT, lw=1.3, label=label, zorder=3)
    if spectrum.e0 is not None:
        value, of = spectrum.e0
        sure = f" ± {of:.2g}" if np.isfinite(of) else ""
        axes.axvline(value, color=LEFT, lw=0.9, ls="--", label=f"E0 {value:.2f}{sure} eV", zorder=1)
    over = f", over {spectrum.pixels} pixels" if spectrum.pixels else ""
    axes.set_title(f"spectrum{over}", fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False)


def _rounded(name: str, value: float, error: float) -> str:
    if not np.isfinite(error) or error <= 0:
        return f"{name} {value:.3f}"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 2, 5))
    return f"{name} {value:.{digits}f} ± {error:.{digits}f}"


def _drift(axes: Any, results: Results) -> None:
    _by_frame(axes, results, ("shift_y", "shift_x"), ("vertical", "horizontal"))
    axes.set_ylabel("shift / px")
    axes.tick_params(labelbottom=False)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="best")
    unsure = sum(not one.trusted for one in results.frames)
    axes.set_title(
        "drift against the first frame" + (f"; hollow: {unsure} not to be believed" if unsure else ""),
        fontsize=9,
        loc="left",
    )


def _detail(axes: Any, results: Results) -> None:
    sure = [one for one in results.frames if one.detail > 0 and one.detail_error < one.detail]
    best = max((one.detail for one in sure), default=1.0)
    numbers = [one.number for one in sure]
    bars = [one.detail_error / best for one in sure]
    axes.errorbar(numbers, [one.detail / best for one in sure], bars, fmt=".-", color="0.25", lw=0.8, ms=5)
    axes.set_ylim(0, 1.15)
    axes.set_ylabel("fine detail")
    axes.set_xlabel("frame")


def _by_frame(axes: Any, results: Results, names: tuple[str, str], labels: tuple[str, str]) -> None:
    numbers = np.array([one.number for one in results.frames])
    trusted = np.array([one.trusted for one in results.frames])
    draw: Callable[..., Any] = axes.plot
    for name, label, colour in zip(names, labels, (LEFT, RIGHT), strict=True):
        values = np.array([getattr(one, name) for one in results.frames])
        draw(numbers[trusted], values[trusted], ".-", color=colour, lw=0.8, ms=5, label=label)
        if not trusted.all():
            draw(numbers[~trusted], values[~trusted], "o", color=colour, ms=4, mfc="none")
