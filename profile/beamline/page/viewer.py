"""One browser's page: what is chosen in it, and how it is kept up to date."""

import html
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import panel as pn
from bokeh.events import DoubleTap, SelectionGeometry

from whiteline.analysis.live.results import Results
from whiteline.beamline.page import style
from whiteline.beamline.page.facts import Facts
from whiteline.beamline.page.figures import FramesFigure, MapFigure, SpectrumFigure
from whiteline.beamline.page.past_runs import PastRuns
from whiteline.beamline.page.region import Rectangle
from whiteline.beamline.page.running import Running
from whiteline.beamline.page.shown import Regions, Shown
from whiteline.beamline.page.view import (
    Frames,
    Picture,
    Tile,
    chosen_map,
    curves_of,
    frames_of,
    region_mean,
    region_title,
    tiles_of,
)
from whiteline.beamline.page.words import of

log = logging.getLogger("whiteline.page")

RUNNING = "running scan"
"""The first choice of the list of runs, where a session is listened to."""

EVERY_MS = 500
"""After how long is looked for something new [ms]: each viewer costs the machine of a scan that often."""

VERTICAL = {"stack": "optical density", "raster": "counts per beam", "points": "absorption", "tomography": ""}
"""What the vertical axis of a spectrum is called, by the kind of the run."""


class Source(Protocol):
    """All that pages are made of; one for all viewers."""

    @property
    def title(self) -> str:
        """Name of the beamline."""

    @property
    def running(self) -> Running | None:
        """The running scan."""

    @property
    def past(self) -> PastRuns | None:
        """Runs of the catalog."""

    @property
    def workers(self) -> ThreadPoolExecutor:
        """Reads frames for regions."""

    def regions(self, shown: Shown) -> Regions:
        """Return the regions of a run."""


class Viewer:
    """A page in one browser.

    Parameters
    ----------
    source : Source
        What is looked at.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._region: Rectangle | None = None
        self._uid = ""
        self._drawn: tuple[Any, ...] = ()
        self._number = 0
        self._usual: str | None = None  # the map that nobody chose
        self._curves: tuple[Any, ...] = ()
        self._kept_map: Any = None
        self._head = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[style.HEAD], margin=0)
        self._tiles = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[style.TILES], margin=0)
        self._caption = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[style.CAPTION], margin=0)
        self._map_caption = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[style.CAPTION], margin=0)
        self._error_caption = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[style.CAPTION], margin=0)
        self._map = MapFigure("map", "Viridis256")
        self._error = MapFigure("error", "Magma256", self._map)
        self._spectrum = SpectrumFigure()
        self._drift = FramesFigure("shift / px", ("x", "y"))
        self._detail = FramesFigure("detail / best", ("detail",))
        common = {"stylesheets": [style.SELECT], "margin": (0, 0, 0, 8), "align": "center"}
        self._run = pn.widgets.Select(options=[RUNNING], width=330, name="", css_classes=["runs"], **common)
        self._name = pn.widgets.Select(options=[], width=210, name="", css_classes=["maps"], **common)
        self._place = pn.widgets.Select(options=[], width=110, name="", visible=False, **common)
        self._whole = pn.widgets.Button(label="whole map", width=120, disabled=True, css_classes=["whole"], **common)
        self._whole.on_click(lambda _: self._choose(None))
        for one in (self._map.figure, self._error.figure):
            one.on_event(SelectionGeometry, self._drawn_by_mouse)
            one.on_event(DoubleTap, lambda _: self._choose(None))

    def page(self) -> Any:
        """Return what the browser shows."""
        shown: tuple[Any, ...] = (self._map, self._error, self._spectrum, self._drift, self._detail)
        panes = [pn.pane.Bokeh(one.figure, sizing_mode="stretch_both", margin=0) for one in shown]

        def column(share: int, rows: str, *parts: Any) -> Any:
            # its share of the width, and of that of the height for its parts, whatever these would like to be
            styles = {"min-width": "0", "min-height": "0", "flex": f"{share} 1 0", "display": "grid"}
            styles |= {"grid-template-rows": rows, "grid-template-columns": "minmax(0, 1fr)"}
            return pn.Column(*parts, sizing_mode="stretch_both", margin=0, styles=styles)

        chosen = pn.Row(self._run, self._name, self._place, self._whole, margin=0)
        head = pn.Row(self._head, chosen, sizing_mode="stretch_width", margin=0)
        parts = pn.Row(
            column(36, "auto minmax(0, 1fr)", self._map_caption, panes[0]),
            column(36, "auto minmax(0, 1fr)", self._error_caption, panes[1]),
            column(28, "auto minmax(0, 9fr) minmax(0, 6fr) minmax(0, 5fr)", self._caption, *panes[2:]),
            sizing_mode="stretch_both",
            margin=0,
            styles={"min-height": "0", "flex": "1 1 auto", "gap": "12px"},
        )
        whole = pn.Column(
            head, self._tiles, parts,
            sizing_mode="stretch_both", margin=0,
            styles={"height": "100vh", "padding": "8px 14px 8px 14px", "gap": "8px", "box-sizing": "border-box"},
        )  # fmt: skip
        self.update()
        pn.state.add_periodic_callback(self.update, period=EVERY_MS)
        return whole

    # what is chosen

    @property
    def _shown(self) -> Shown | None:
        past = self._source.past
        if self._run.value != RUNNING and past is not None and self._run.value:
            return past.open(self._run.value)
        return self._source.running

    def _choose(self, region: Rectangle | None) -> None:
        self._region = region
        self._drawn, self._curves = (), ()
        self.update()

    def _drawn_by_mouse(self, event: Any) -> None:
        shown = self._shown
        results = None if shown is None else shown.results
        there = None if results is None else self._at(results)
        chosen = None if there is None else chosen_map(there, self._name.value)
        geometry = event.geometry
        if not event.final or there is None or chosen is None or geometry.get("type") != "rect":
            return
        unit = there.pixel_um or 1.0
        x, y = ((float(geometry[f"{axis}0"]) / unit, float(geometry[f"{axis}1"]) / unit) for axis in "xy")
        self._choose(Rectangle.drawn(x, y, chosen.value.shape))

    def _at(self, results: Results) -> Results:
        if self._place.value is not None and self._place.value in results.positions:
            return results.at(self._place.value)
        return results

    # what is shown

    def update(self) -> None:
        """Show what is new."""
        try:
            self._update()
        except Exception:
            log.exception("the page could not be updated")
            raise

    def _update(self) -> None:
        self._list_runs()
        shown = self._shown
        if shown is None:
            _write(self._head, self._heading(Facts(), "there is no run yet", ()))
            return
        facts, results = shown.facts, shown.results
        if facts.uid != self._uid:
            self._uid, self._region, self._drawn, self._curves = facts.uid, None, (), ()
            self._clear()
        state = "" if results is not None and results.maps else shown.state
        _write(self._head, self._heading(facts, state, (*shown.troubles, *self._unlisted)))
        there = None if results is None else self._at(results)
        _write(self._tiles, _tiles(tiles_of(facts, there, time.time())))
        if results is None or there is None:
            return
        self._list_maps(results, there)
        self._draw(there, shown)

    @property
    def _unlisted(self) -> tuple[str, ...]:
        """Why the list of runs is not up to date."""
        past = self._source.past
        return (past.trouble,) if past is not None and past.trouble else ()

    def _heading(self, facts: Facts, state: str, troubles: tuple[str, ...]) -> str:
        number = f"run {facts.scan_id}" if facts.scan_id is not None else ""
        run = " · ".join(part for part in (self._source.title, number, facts.plan, facts.sample) if part)
        below = html.escape(state)
        if not state and troubles:
            more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
            below = f'<span class="alarm">{html.escape(troubles[-1] + more)}</span>'
        elif not state:
            below = "running" if facts.exit_status == "running" else html.escape(facts.exit_status)
        return f'<div class="head"><div class="run">{html.escape(run)}</div><div class="below">{below}</div></div>'

    def _list_runs(self) -> None:
        options = {} if self._source.running is None else {RUNNING: RUNNING}
        if self._source.past is not None:
            options |= {one.label: one.uid for one in self._source.past.listed}
        if options != self._run.options:
            keep = self._run.value
            self._run.options = options
            if keep in options.values():
                self._run.value = keep

    def _list_maps(self, results: Results, there: Results) -> None:
        names = [name for name, one in there.maps.items() if one.value.ndim == 2]
        if names != self._name.options and names:
            usual = chosen_map(there, None)
            keep = self._name.value if self._name.value in names and self._picked else None
            self._name.options = names
            self._name.value = keep or (usual.name if usual is not None and usual.name in names else names[0])
            self._usual = self._name.value if keep is None else self._usual
        places = {f"position {one}": one for one in sorted(results.positions)}
        if places != self._place.options and places:
            self._place.options, self._place.visible = places, True

    @property
    def _picked(self) -> bool:
        """Whether the map was chosen by hand: else it is the fraction as soon as there is one."""
        return bool(self._name.value != self._usual)

    def _draw(self, there: Results, shown: Shown) -> None:
        chosen = chosen_map(there, self._name.value)
        key = (there.uid, there.position, None if chosen is None else (chosen.name, id(chosen.value)), there.over)
        if key != self._drawn and chosen is not None:
            self._drawn, self._number = key, len(there.frames) or self._number + 1
            self._kept_map = chosen.value  # so that no other one gets its id
            picture = Picture.of(chosen, there.pixel_um)
            self._map.show(picture, self._number)
            self._error.show(picture, self._number, error=True)
            for one in (self._map, self._error):
                one.mark(self._region, there.pixel_um)
            valid = f"{picture.valid:.0%} of the pixels valid, others grey"
            median = of(picture.median_error, picture.unit, 3)
            _write(self._map_caption, _caption(picture.name, (valid, "")))
            _write(self._error_caption, _caption("its standard error", (f"median {median}", "")))
            frames = frames_of(there)
            self._draw_frames(frames)
        self._draw_spectrum(there, shown, chosen)

    def _draw_frames(self, frames: Frames) -> None:
        self._drift.show(frames, frames.x, frames.y, label=f"shift / {frames.unit}", include=(0.0,))
        self._detail.show(frames, frames.detail, label="detail / best", include=(0.0, 1.0))

    def _draw_spectrum(self, there: Results, shown: Shown, chosen: Any) -> None:
        self._whole.disabled = self._region is None
        if self._region is None:
            spectrum, why, title, more = there.spectrum, "", "spectrum of the map", ""
        else:
            spectrum, why = self._source.regions(shown).spectrum(self._region, there)
            title = region_title(self._region, there.pixel_um)
            more = region_mean(self._region, chosen) if chosen is not None else ""
        key = (there.uid, there.position, self._region, id(spectrum), why, more)
        if key == self._curves:
            return
        self._curves = key
        self._kept = spectrum  # so that no other one gets its id
        curves = curves_of(spectrum, title, why)
        self._spectrum.show(curves, VERTICAL.get(there.kind, ""))
        _write(self._caption, _caption(curves.title, *curves.found, *([(more, "")] if more else []), lines=4))

    def _clear(self) -> None:
        self._map.clear()
        self._error.clear()
        self._draw_frames(Frames())
        self._spectrum.show(curves_of(None, ""), "optical density")
        for pane in (self._map_caption, self._error_caption, self._caption):
            _write(pane, "")
        for one in (self._map, self._error):
            one.mark(None, None)


def _write(pane: Any, text: str) -> None:
    if pane.object != text:
        pane.object = text


def _caption(title: str, *parts: tuple[str, str], lines: int = 2) -> str:
    """Return a title, and parts below it, each in the colour of what is drawn of it; none of them is broken."""
    below = " ".join(f'<span class="part {drawn}">{html.escape(one)}</span>' for one, drawn in parts)
    return f'<div class="caption lines{lines}"><b>{html.escape(title)}</b><br>{below}</div>'


def _tiles(tiles: list[Tile]) -> str:
    parts = []
    for one in tiles:
        done = f'<div class="part" style="width:{one.part:.1%}"></div>' if one.part is not None else ""
        alarm = " alarm" if one.alarm else ""
        texts = "".join(
            f'<div class="{kind}" title="{html.escape(text)}">{html.escape(text)}</div>'
            for kind, text in (("title", one.title), ("value", one.value), ("beside", one.beside))
        )
        parts.append(f'<div class="tile{alarm}">{done}{texts}</div>')
    return f'<div class="tiles">{"".join(parts)}</div>'
