"""The figures of the page: a map, a spectrum, curves frame by frame; each is made once, and updated."""

import math
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.events import RangesUpdate
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxAnnotation,
    BoxSelectTool,
    ColorBar,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    LinearColorMapper,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from whiteline.beamline.page.region import Rectangle
from whiteline.beamline.page.style import BLUE, FAINT, FONT, INK, LINE, MISSING, ORANGE, PAPER, TEXT_PX, TITLE_PX
from whiteline.beamline.page.view import Curves, Frames, Picture

LEFT = 66
"""For numbers left of curves that stand below each other [px]."""

ROOM = 0.06
"""Free space around curves, over their height."""


UNFRAMED = ":host, :host(:focus), :host(:focus-visible), * { outline: none !important; }"
"""No frame around the figure that was clicked last."""

NO_BAR: dict[str, list[Any]] = {
    key: [] for key in ("left", "right", "top", "bottom", "x0", "x1", "y", "text")
}  # fmt: skip


def round_length(width: float) -> float | None:
    """Return 1, 2 or 5 of some power of ten, the largest that is no more than a quarter of a width; None of none."""
    if not (math.isfinite(width) and width > 0):
        return None
    power = 10.0 ** math.floor(math.log10(width / 4))
    return max(one * power for one in (1, 2, 5) if one * power <= width / 4 * (1 + 1e-9))


def plain_numbers() -> Any:
    """Return what writes 0.004 as such, and not as 4.000e-3."""
    return BasicTickFormatter(precision="auto", power_limit_low=-5, power_limit_high=7)


def plain(*, min_border_left: int = 4, **options: Any) -> Any:
    """Return an empty figure in the style of the page."""
    one = figure(
        min_border_left=min_border_left,
        min_border_right=8,
        min_border_top=4,
        min_border_bottom=4,
        sizing_mode="stretch_both",
        toolbar_location=None,
        background_fill_color=PAPER,
        border_fill_color=PAPER,
        outline_line_color=None,
        stylesheets=[UNFRAMED],
        **options,
    )
    one.grid.grid_line_color = LINE
    one.grid.grid_line_alpha = 0.6
    one.axis.axis_line_color = one.axis.major_tick_line_color = FAINT
    one.axis.minor_tick_line_color = None
    one.axis.major_label_text_font = one.axis.axis_label_text_font = FONT
    one.axis.major_label_text_font_size = one.axis.axis_label_text_font_size = TEXT_PX
    one.axis.major_label_text_color = one.axis.axis_label_text_color = INK
    one.axis.axis_label_text_font_style = "normal"
    one.xaxis.axis_label_standoff = one.yaxis.axis_label_standoff = 2
    one.xaxis.ticker = BasicTicker(desired_num_ticks=5)
    one.xaxis.formatter, one.yaxis.formatter = plain_numbers(), plain_numbers()
    return one


class MapFigure:
    """A map with its colour bar and, where the pixel is known, a scale bar.

    Parameters
    ----------
    name : str
        By which the browser finds its data.
    palette : str
        A perceptually uniform one.
    beside : MapFigure, optional
        One that is zoomed together with this one.
    """

    def __init__(self, name: str, palette: str, beside: "MapFigure | None" = None) -> None:
        self.source = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": [], "number": []}, name=name)
        if beside is None:
            ranges = {
                "x_range": DataRange1d(range_padding=0),
                "y_range": DataRange1d(range_padding=0, flipped=True),
            }
        else:
            ranges = {"x_range": beside.figure.x_range, "y_range": beside.figure.y_range}
        self.figure: Any = plain(match_aspect=True, tools=[], **ranges)
        self.figure.grid.visible = False
        self.mapper = LinearColorMapper(palette=palette, low=0.0, high=1.0, nan_color=MISSING)
        image = self.figure.image("image", x="x", y="y", dw="dw", dh="dh", source=self.source, color_mapper=self.mapper)
        self.bar = ColorBar(
            color_mapper=self.mapper,
            height=12,
            padding=2,
            title_standoff=3,
            title_text_font=FONT,
            title_text_font_size=TEXT_PX,
            title_text_font_style="normal",
            title_text_color=INK,
            major_label_text_font=FONT,
            major_label_text_font_size=TEXT_PX,
            major_label_text_color=INK,
            ticker=BasicTicker(desired_num_ticks=5),
            formatter=plain_numbers(),
            background_fill_color=PAPER,
            bar_line_color=None,
        )
        self.figure.add_layout(self.bar, "below")
        self._scale = ColumnDataSource(NO_BAR)
        self.figure.quad("left", "right", "top", "bottom", source=self._scale, color=PAPER, fill_alpha=0.85)
        self.figure.segment("x0", "y", "x1", "y", source=self._scale, color=INK, line_width=3)
        self.figure.text(
            "x1", "y", "text", source=self._scale, x_offset=6, text_baseline="middle", text_font=value(FONT),
            text_font_size=TITLE_PX, text_color=INK,
        )  # fmt: skip
        self._view = (0.0, 1.0, 0.0, 1.0)
        self._extent, self._known = (1.0, 1.0), False
        self.figure.on_event(RangesUpdate, self._zoomed)
        self.box = BoxAnnotation(
            fill_color=None, line_color="white", line_width=2, line_alpha=1, visible=False, editable=False
        )
        self.under = BoxAnnotation(
            fill_color=None, line_color=INK, line_width=5, line_alpha=1, visible=False, editable=False
        )
        self.figure.add_layout(self.under)
        self.figure.add_layout(self.box)
        select, zoom = BoxSelectTool(), WheelZoomTool()
        self.hover = HoverTool(renderers=[image], attachment="below")
        self.figure.add_tools(select, zoom, self.hover)
        self.figure.toolbar.active_drag, self.figure.toolbar.active_scroll = select, zoom

    def show(self, picture: Picture, number: int, *, error: bool = False) -> None:
        """Show the map of a picture, or its standard error; `number` tells the browser which one it is."""
        width, height = picture.extent
        low, high = picture.error_ends if error else picture.ends
        self.mapper.update(low=low, high=high)
        unit = f" / {picture.unit}" if picture.unit else ""
        self.bar.title = f"standard error{unit}" if error else f"{picture.name}{unit}"
        axis = picture.axis_unit
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = f"x / {axis}", f"y / {axis}"
        if (width, height) != self._extent or self._known != (picture.pixel_um is not None):
            self._extent, self._known = (width, height), picture.pixel_um is not None
            self._view = 0.0, width, 0.0, height
            self._draw_scale()
        suffix = f" {picture.unit}" if picture.unit else ""
        self.hover.tooltips = [("", f"@image{suffix}"), ("", f"x $x{{0.00}} {axis}, y $y{{0.00}} {axis}")]
        image = picture.error if error else picture.value
        self.source.data = {"image": [image], "x": [0], "y": [0], "dw": [width], "dh": [height], "number": [number]}

    def clear(self) -> None:
        """Show nothing."""
        self.source.data = {"image": [], "x": [], "y": [], "dw": [], "dh": [], "number": []}
        self._extent, self._known = (1.0, 1.0), False
        self._draw_scale()
        self.bar.title = ""

    def _zoomed(self, event: Any) -> None:
        x, y = sorted((event.x0, event.x1)), sorted((event.y0, event.y1))
        self._view = max(0.0, x[0]), min(self._extent[0], x[1]), max(0.0, y[0]), min(self._extent[1], y[1])
        self._draw_scale()

    def _draw_scale(self) -> None:
        """Draw a bar of a round length in the lower left of what is seen of the map."""
        left, right, top, bottom = self._view
        length = round_length(right - left)
        if not self._known or length is None:
            self._scale.data = NO_BAR
            return
        width, height = right - left, bottom - top
        start, y = left + 0.04 * width, bottom - 0.06 * height
        text = f"{length:g} µm" if length >= 1 else f"{length * 1000:g} nm"
        # as wide as bar and words together
        box = {"left": start - 0.02 * width, "right": start + length + 0.17 * width}
        bar = {"x0": start, "x1": start + length, "y": y, "text": text}
        self._scale.data = {
            key: [value] for key, value in (box | {"top": y - 0.04 * height, "bottom": y + 0.04 * height} | bar).items()
        }

    def mark(self, region: Rectangle | None, pixel_um: float | None) -> None:
        """Draw a frame around a region, or none."""
        for one in (self.box, self.under):
            one.visible = region is not None
            if region is not None:
                unit = pixel_um or 1.0
                one.update(
                    left=region.left * unit, right=region.right * unit, top=region.top * unit,
                    bottom=region.bottom * unit,
                )  # fmt: skip


class SpectrumFigure:
    """A spectrum: points with their standard errors, the fit of the references, and E0."""

    def __init__(self) -> None:
        self.figure = plain(tools="", y_range=Range1d(0, 1), x_range=Range1d(0, 1), min_border_left=LEFT)
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "energy / eV", "optical density"
        self.points = ColumnDataSource({"energy": [], "value": [], "low": [], "high": []}, name="spectrum")
        self.fit = ColumnDataSource({"energy": [], "value": []}, name="fit")
        self.edge = Span(
            location=0, dimension="height", line_color=BLUE, line_dash="dashed", line_width=1.5, visible=False
        )
        self.figure.add_layout(self.edge)
        self.figure.segment("energy", "low", "energy", "high", source=self.points, color=FAINT, line_width=1.2)
        self.figure.line("energy", "value", source=self.fit, color=ORANGE, line_width=2)
        self.figure.scatter("energy", "value", source=self.points, color=INK, size=5)

    def show(self, curves: Curves, label: str) -> None:
        """Show a spectrum; `label` is that of the vertical axis."""
        energy, value = np.asarray(curves.energy, float), np.asarray(curves.measured, float)
        error = np.nan_to_num(np.asarray(curves.error, float)) if len(curves.error) else np.zeros_like(value)
        self.figure.yaxis.axis_label = label
        self.points.data = {"energy": energy, "value": value, "low": value - error, "high": value + error}
        self.fit.data = {"energy": np.asarray(curves.fit_energy, float), "value": np.asarray(curves.fit, float)}
        self.edge.visible = math.isfinite(curves.e0)
        if self.edge.visible:
            self.edge.location = curves.e0
        if energy.size:
            heights = [value - error, value + error, np.asarray(curves.fit, float)]
            fit_into(self.figure.y_range, np.concatenate(heights))
            fit_into(self.figure.x_range, energy)


class FramesFigure:
    """Curves frame by frame, in up to two colours; hollow points are not to be believed."""

    def __init__(self, label: str, names: tuple[str, ...]) -> None:
        self.figure = plain(tools="", x_range=Range1d(0, 1), y_range=Range1d(0, 1), min_border_left=LEFT)
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "frame", label
        self.figure.yaxis.ticker = BasicTicker(desired_num_ticks=3)
        self.sources = []
        for name, colour in zip(names, (BLUE, ORANGE), strict=False):
            source = ColumnDataSource({"frame": [], "value": [], "fill": []})
            self.figure.line("frame", "value", source=source, color=colour, line_width=1.2)
            options = {"legend_label": name} if len(names) > 1 else {}
            self.figure.scatter(
                "frame", "value", source=source, line_color=colour, fill_color=colour, fill_alpha="fill", size=5,
                **options,
            )  # fmt: skip
            self.sources.append(source)
        if len(names) > 1:
            legend = self.figure.legend[0]
            self.figure.add_layout(legend, "above")  # beside the curves, never over them
            legend.update(
                label_text_font=FONT, label_text_font_size=TEXT_PX, label_text_color=INK, border_line_color=None,
                padding=0, margin=0, spacing=12, orientation="horizontal", background_fill_color=PAPER,
            )  # fmt: skip

    def show(self, frames: Frames, *values: Any, label: str, include: tuple[float, ...] = ()) -> None:
        """Show a curve for each colour; what `include` names is always inside."""
        self.figure.yaxis.axis_label = label
        for source, curve in zip(self.sources, values, strict=True):
            fill = [1.0 if trusted else 0.0 for trusted in frames.trusted]
            source.data = {"frame": list(frames.number), "value": list(curve), "fill": fill}
        heights = np.concatenate([np.asarray([*one], float) for one in (*values, include)])
        if np.isfinite(heights).any():
            fit_into(self.figure.y_range, heights)
        if len(frames.number):
            fit_into(self.figure.x_range, np.asarray([*frames.number, 0.0], float))


def fit_into(axis: Any, values: Any) -> None:
    """Give an axis the ends between which all finite values lie."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    room = ROOM * (high - low) or 0.5
    axis.update(start=low - room, end=high + room)
