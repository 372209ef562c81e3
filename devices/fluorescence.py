"""A fluorescence detector of several elements: spectra in files, and sums over the lines of elements with every point.

The sum over a line that tables and plots show is corrected for the dead time of each element (`counted`).
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from ophyd import Component, EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import StatusBase

from whiteline.analysis import tables
from whiteline.analysis.channels import Channels
from whiteline.analysis.checks import require_between, require_energy, require_positive
from whiteline.analysis.line_regions import LineRegion, Pair, line_regions, named
from whiteline.devices.area_detector import FileDetector
from whiteline.devices.asking import SETTLE_S
from whiteline.devices.camera_settings import LONGEST_EXPOSURE_S
from whiteline.devices.counted import Counted
from whiteline.devices.detector_parts import Driver, Part
from whiteline.devices.errands import Errand
from whiteline.devices.forecast import Forecast
from whiteline.devices.frame_files import FramesFile
from whiteline.devices.settings import Setting

TICKS_HZ = 80e6
"""Frequency of the clock of the elements [1/s], as of the Xspress 3."""

REGIONS = 8
"""Regions of interest of an element."""

DEFAULT_RESOLUTION_EV = 160.0
"""Full width at half maximum of Mn Kα [eV]."""

DEFAULT_WIDTHS = 2.0
"""Two full widths at half maximum hold 98 % of a line."""


class Region(Part):
    """A region of interest of an element: its first channel, the first one behind it, and the sum between."""

    first = Component(EpicsSignal, "_LLM", auto_monitor=True, kind="omitted")
    beyond = Component(EpicsSignal, "_HLM", auto_monitor=True, kind="omitted")
    total = Component(EpicsSignalRO, ":Value_RBV", kind="omitted")


class Element(Part):
    """One element of a detector."""

    ticks = Component(EpicsSignalRO, "_SCA0:Value_RBV", kind="omitted")
    events = Component(EpicsSignalRO, "_SCA3:Value_RBV", kind="omitted")
    region1 = Component(Region, "_ROI1", kind="omitted")
    region2 = Component(Region, "_ROI2", kind="omitted")
    region3 = Component(Region, "_ROI3", kind="omitted")
    region4 = Component(Region, "_ROI4", kind="omitted")
    region5 = Component(Region, "_ROI5", kind="omitted")
    region6 = Component(Region, "_ROI6", kind="omitted")
    region7 = Component(Region, "_ROI7", kind="omitted")
    region8 = Component(Region, "_ROI8", kind="omitted")

    @property
    def regions(self) -> tuple[Region, ...]:
        """All of them."""
        return tuple(getattr(self, f"region{number}") for number in range(1, REGIONS + 1))


class Fluorescence(FileDetector):
    """A fluorescence detector.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "NANO:fluorescence:".
    elements : int
        How many.
    bins : int
        Channels of a spectrum.
    bin_eV : float
        Width of a channel [eV].
    dead_time_s : float
        Of each element, paralyzable [s].
    write, read : str or Path
        Folder of its files, as the IOC sees it and as clients do.
    resolution_eV : float
        Full width at half maximum of Mn Kα [eV].
    ticks_Hz : float
        Frequency of the clock of the elements [1/s].
    """

    cam = Component(Driver, "det1:", kind="omitted")
    hdf1 = Component(FramesFile, "HDF1:", write_path_template="/", kind="normal")

    dwell = Component(Setting, shown=lambda one: float(one.cam.acquire_time.get()), unit="s", kind="normal")
    lines = Component(Setting, shown=lambda one: " ".join(line.label for line in one.line_regions), kind="config")
    checked_energy = Component(Setting, shown=lambda one: one.plan.energy, unit="eV", kind="config")
    resolution = Component(Setting, shown=lambda one: one.plan.channels.resolution, unit="eV", kind="config")
    region_width = Component(Setting, shown=lambda one: one.plan.widths, unit="FWHM", kind="config")
    dead_time = Component(Signal, kind="config", metadata={"units": "s"})

    def __new__(cls, *args: Any, elements: int = 4, **kwargs: Any) -> Self:
        """Make one of a class with as many elements."""
        made: Any = _with_elements(cls, elements)  # type: ignore[arg-type]
        return super().__new__(made)

    def __init__(
        self,
        prefix: str,
        *,
        name: str,
        bins: int,
        bin_eV: float,
        dead_time_s: float,
        write: str | Path,
        read: str | Path,
        elements: int = 4,
        resolution_eV: float = DEFAULT_RESOLUTION_EV,
        ticks_Hz: float = TICKS_HZ,
        **kwargs: Any,
    ) -> None:
        require_positive(dead_time_s, f"dead time of {name}", "s")
        self._ticks_Hz, self._count = ticks_Hz, elements
        self.plan = _Plan((), float("nan"), Channels(bins, bin_eV, resolution_eV), DEFAULT_WIDTHS)
        self.line_regions: tuple[LineRegion, ...] = ()
        self._counted: Counted | None = None
        self._at = 0.0
        super().__init__(prefix, name=name, write=str(write), read=str(read), image_name=f"{name}_spectra", **kwargs)
        self.dead_time.put(float(dead_time_s))
        self.stage_sigs["cam.num_images"] = 1

    @property
    def elements(self) -> tuple[Element, ...]:
        """All elements."""
        return tuple(getattr(self, f"element{number}") for number in range(1, self._count + 1))

    # settings

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One array of spectra: 1, elements, channels."""
        return 1, self._count, self.plan.channels.bins

    @property
    def duration_per_point(self) -> float:
        """How long a point takes [s]."""
        return max(float(self.cam.acquire_time.get()), float(self.cam.acquire_period.get()))

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return what a trigger would be with another dwell, and the other settings as they are."""
        seconds = float(settings.get("dwell", self.cam.acquire_time.get()))
        frames, *spectra = self.point_shape
        return Forecast(seconds, frames, frames * math.prod(spectra) * self.itemsize)

    @property
    def fixed_while_staged(self) -> frozenset[str]:
        """Settings that change the names of the readings, or what they mean; the dwell may change."""
        return frozenset({"lines", "resolution", "region_width"})

    def set_regions(self, lines: Sequence[Pair], energy: float) -> StatusBase:
        """Count in the regions of some lines; `bps.configure` does the same with "lines" and "checked_energy".

        Parameters
        ----------
        lines : sequence of (str, str)
            Elements and lines, such as ("Ni", "Ka") or "Ni_Ka".
        energy : float
            The lowest photon energy of what is to come [eV].

        Returns
        -------
        Status
            Done when every element has its regions.

        Raises
        ------
        OutOfRange
            If the energy does not excite a line, which names its edge; there are too many, or one leaves the spectrum.
        ValueError
            If there is no such element or line. Nothing is put then.
        """
        return self.change({"lines": lines, "checked_energy": energy})

    def check_energy(self, energy: float) -> None:
        """Refuse a photon energy [eV] that does not excite all lines that are counted.

        Raises
        ------
        OutOfRange
            Naming the edge.
        """
        require_energy(energy)
        for one in self.line_regions:
            tables.excitable_line(one.element, one.line, energy)

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense, together with the others as they are; nothing is put.

        Raises
        ------
        OutOfRange, ValueError
            As `set_regions`.
        """
        self._require_known(values, ("dwell", "lines", "checked_energy", "resolution", "region_width"))
        if "dwell" in values:
            require_positive(values["dwell"], f"dwell of {self.name}", "s")
            require_between(values["dwell"], 0, LONGEST_EXPOSURE_S, f"dwell of {self.name}", "s", "give it in seconds")
        self.plan.changed(values).regions()

    def _apply(self, errand: Errand, values: Mapping[str, Any]) -> None:
        if "dwell" in values:
            self._settle(errand, self.cam.acquire_time, float(values["dwell"]))
        if not set(values) - {"dwell"}:
            return
        plan = self.plan.changed(values)
        regions = plan.regions()
        # until all are set, the readings have no lines: those of before would be sums over other channels
        self.line_regions, self._counted = (), None
        for element in self.elements:
            for place, wanted in zip(element.regions, regions, strict=False):
                self._settle(errand, place.first, wanted.first)
                self._settle(errand, place.beyond, wanted.beyond)
        self.plan, self.line_regions = plan, regions

    # readings

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which nothing can be acquired."""
        return *super().needed_signals, self.elements[0].events

    def _finish(self, errand: Errand) -> None:
        lines = range(len(self.line_regions))
        asked = [[errand.ask(element.regions[line].total, SETTLE_S) for element in self.elements] for line in lines]
        sums = np.reshape(np.array(asked, float), (len(lines), self._count))
        events, ticks = (
            np.array([errand.ask(getattr(element, name), SETTLE_S) for element in self.elements], float)
            for name in ("events", "ticks")
        )
        self._counted = Counted(sums, events, ticks / self._ticks_Hz, float(self.dead_time.get()))
        self._at = time.time()

    @property
    def counted(self) -> Counted:
        """What the last point gave; NaN before the first, never of lines that were counted before others."""
        if self._counted is not None:
            return self._counted
        missing = np.full((len(self.line_regions), self._count), np.nan)
        unknown = np.full(self._count, np.nan)
        return Counted(missing, unknown, unknown, float(self.dead_time.get()))

    def read(self) -> dict[str, dict[str, Any]]:
        """Return spectra, dwell, and what was counted at the last point."""
        counted, own = self.counted, dict[str, Any]()
        for region, corrected, raw in zip(self.line_regions, counted.corrected, counted.sums, strict=True):
            own[f"{self.name}_{region.label}"] = float(corrected)
            own[f"{self.name}_{region.label}_counts"] = raw
        own[f"{self.name}_live_fraction"] = counted.live
        own[f"{self.name}_missing"] = counted.missing.astype(int)
        at = self._at or time.time()
        return super().read() | {key: {"value": value, "timestamp": at} for key, value in own.items()}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what the readings are."""
        sums = {f"{self.name}_{region.label}": region for region in self.line_regions}
        per_element = {
            **{f"{key}_counts": ("counts", "<f8") for key in sums},
            f"{self.name}_live_fraction": ("", "<f8"),
            f"{self.name}_missing": ("", "<i8"),
        }
        own: dict[str, dict[str, Any]] = {
            key: self._key(key, "number", [], "counts") | {"precision": 0} for key in sums
        }
        for key, (unit, dtype) in per_element.items():
            own[key] = self._key(key, "array", [self._count], unit) | {"dtype_numpy": dtype}
        return dict(super().describe()) | own

    @property
    def hints(self) -> dict[str, list[str]]:
        """What tables and plots show: the corrected sum of each line."""
        return {"fields": [f"{self.name}_{region.label}" for region in self.line_regions]}

    def _key(self, key: str, dtype: str, shape: list[int], unit: str) -> dict[str, Any]:
        described = {"source": f"PV:{self.prefix}", "dtype": dtype, "shape": shape}
        return described | ({"units": unit} if unit else {})


@dataclass(frozen=True)
class _Plan:
    """Which lines are counted, and how their regions are found."""

    pairs: tuple[tuple[str, str], ...]
    energy: float
    channels: Channels
    widths: float

    def changed(self, values: Mapping[str, Any]) -> "_Plan":
        """Return this with some settings of another value."""
        return replace(
            self,
            pairs=named(values["lines"]) if "lines" in values else self.pairs,
            energy=float(values.get("checked_energy", self.energy)),
            channels=replace(self.channels, resolution=float(values.get("resolution", self.channels.resolution))),
            widths=float(values.get("region_width", self.widths)),
        )

    def regions(self) -> tuple[LineRegion, ...]:
        """Return the regions of its lines; raises as `line_regions`."""
        if self.pairs and np.isnan(self.energy):
            raise ValueError(
                "lines need the photon energy that is to excite them: give checked_energy with them, in eV"
            )
        return line_regions(self.pairs, self.energy, self.channels, self.widths, REGIONS)


@cache
def _with_elements(cls: Any, elements: int) -> Any:
    """Return the class with components for its elements."""
    components = {f"element{one}": Component(Element, f"C{one}", kind="omitted") for one in range(1, elements + 1)}
    return type(cls.__name__, (cls,), components | {"__module__": cls.__module__, "__doc__": cls.__doc__})
