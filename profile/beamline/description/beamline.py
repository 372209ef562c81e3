"""The whole of a beamline, and what must hold between its tables."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from whiteline.beamline.description.axes import Axis
from whiteline.beamline.description.base import Energy, Formula, Positive, Table
from whiteline.beamline.description.capture import Capture
from whiteline.beamline.description.detectors import Bias, Camera, Counters, Fluorescence, Spectrometer
from whiteline.beamline.description.optics import (
    Condenser,
    Filters,
    FoilWheel,
    Mirrors,
    Monochromator,
    OrderSortingAperture,
    ZonePlate,
)
from whiteline.beamline.description.reach import check_reach
from whiteline.beamline.description.simulation import Simulation
from whiteline.beamline.description.source import Beam, Ring, Shutters, Undulator
from whiteline.beamline.description.stages import DetectorStage, SampleStages
from whiteline.beamline.description.store import Store


class EnergyAxis(Table):
    """How the one energy axis moves everything: its range, and where the detector goes.

    A detector that is "fixed" stands at `detector_mm`; by "table" it goes where the measured table says. The feedback
    of the second crystal may be switched off while axes move, and on when they have arrived.
    """

    low: Energy
    high: Energy
    detector: Literal["constant-magnification", "fixed", "table"] = "constant-magnification"
    magnification: Annotated[FiniteFloat, Field(gt=1)] | None = None
    detector_mm: Positive | None = None
    feedback_off_while_moving: bool = True

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g} eV; swap the two limits")
        if (self.detector == "fixed") != (self.detector_mm is not None):
            raise ValueError('detector_mm says where a detector stands that is "fixed", and is given for no other')
        return self


class Beamline(Table):
    """One beamline: what it is made of, and which axis plays which part.

    A full-field microscope has a condenser, a zone plate, a camera and its stage. A scanning one has a zone plate with
    its order-sorting aperture, or a pair of mirrors, or both; `optic` says which is in use.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    kind: Literal["full-field", "scanning"]
    optic: Literal["zone-plate", "mirrors"] = "zone-plate"
    energy: EnergyAxis
    ring: Ring
    shutters: Shutters
    undulator: Undulator
    monochromator: Monochromator
    filters: Filters
    foil_wheel: FoilWheel
    condenser: Condenser | None = None
    zone_plate: ZonePlate | None = None
    order_sorting_aperture: OrderSortingAperture | None = None
    mirrors: Mirrors | None = None
    sample: SampleStages
    detector: DetectorStage | None = None
    camera: Camera | None = None
    fluorescence: Fluorescence | None = None
    counters: Counters
    spectrometer: Spectrometer | None = None
    bias: Bias | None = None
    capture: Capture | None = None
    beam: Beam | None = None
    store: Store = Field(default_factory=Store)
    dose_budgets_Gy: dict[Formula, Positive] = Field(default_factory=dict)
    simulation: Simulation | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            ("full-field", "zone-plate"): ("condenser", "zone_plate", "detector", "camera"),
            ("scanning", "zone-plate"): ("zone_plate", "order_sorting_aperture", "fluorescence"),
            ("scanning", "mirrors"): ("mirrors", "fluorescence"),
        }.get((self.kind, self.optic))
        if needed is None:
            raise ValueError('a full-field microscope has a zone plate: set optic = "zone-plate"')
        for table in needed:
            if getattr(self, table) is None:
                raise ValueError(f"a {self.kind} microscope with optic {self.optic!r} needs a table [{table}]")
        if self.kind == "full-field" and self.energy.magnification is None:
            raise ValueError("a full-field microscope needs [energy] magnification, such as 32.5")
        return self

    @model_validator(mode="after")
    def _beam(self) -> Self:
        if self.beam is not None and (self.beam.photons_per_s is None) != (self.kind == "full-field"):
            key = "photons_per_um2_s" if self.kind == "full-field" else "photons_per_s"
            raise ValueError(f"[beam] of a {self.kind} microscope needs {key}, and nothing else")
        return self

    @model_validator(mode="after")
    def _channel_of_foils(self) -> Self:
        if self.foil_wheel.channel not in self.counters.channels:
            known = ", ".join(self.counters.channels)
            raise ValueError(f"[foil_wheel] channel {self.foil_wheel.channel!r} is no counter; counters are {known}")
        return self

    @model_validator(mode="after")
    def _captured(self) -> Self:
        if self.capture is None:
            return self
        if getattr(self, self.capture.detector) is None:
            raise ValueError(f"[capture] triggers a detector {self.capture.detector!r} that this beamline has not")
        for name in self.capture.counters:
            if name not in self.counters.channels:
                known = ", ".join(self.counters.channels)
                raise ValueError(f"[capture] counters: {name!r} is no counter; counters are {known}")
        interferometer = self.sample.interferometer
        read = {f"sample.interferometer.{axis}" for axis in interferometer.channels} if interferometer else set()
        for name, channel in self.capture.channels.items():
            if channel.source not in read:
                self.axis(channel.source, f"[capture.channels.{name}] source")
        return self

    @model_validator(mode="after")
    def _start(self) -> Self:
        if self.simulation is not None and not self.energy.low <= self.simulation.energy <= self.energy.high:
            raise ValueError(
                f"[simulation] energy = {self.simulation.energy:g} eV must lie within [energy], "
                f"{self.energy.low:g} to {self.energy.high:g} eV"
            )
        if self.simulation is not None and self.simulation.knife is not None and self.kind != "scanning":
            raise ValueError("[simulation.knife] is for a scanning microscope; take the table out of this one")
        return self

    @model_validator(mode="after")
    def _pvs(self) -> Self:
        seen: dict[str, str] = {}
        for path, pv in self.pvs().items():
            if pv in seen:
                raise ValueError(f"[{path}] and [{seen[pv]}] have the same pv {pv!r}; each device has its own")
            seen[pv] = path
        return self

    @model_validator(mode="after")
    def _reach(self) -> Self:
        check_reach(self)
        return self

    def tables(self) -> dict[str, Table]:
        """Return every table by its path in the file, such as "sample.fine.x"."""
        found: dict[str, Table] = {}

        def walk(value: object, path: str) -> None:
            if isinstance(value, Table):
                found[path] = value
                for name in type(value).model_fields:
                    walk(getattr(value, name), f"{path}.{name}" if path else name)
            elif isinstance(value, dict):
                for name, inner in value.items():
                    walk(inner, f"{path}.{name}")

        walk(self, "")
        return found

    def axes(self) -> dict[str, Axis]:
        """Return every axis by its path in the file."""
        return {path: table for path, table in self.tables().items() if isinstance(table, Axis)}

    def pvs(self) -> dict[str, str]:
        """Return the process variable, or the beginning of several, of every device by its path in the file."""
        found = {}
        for path, table in self.tables().items():
            for key in ("pv", "prefix", "amplifier", "feedback", "temperature"):
                if isinstance(pv := getattr(table, key, None), str):
                    found[path if key in ("pv", "prefix") else f"{path}.{key}"] = pv
        return found

    def axis(self, path: str, name: str = "axis") -> Axis:
        """Return the axis at a path in the file.

        Raises
        ------
        ValueError
            If there is none.
        """
        axes = self.axes()
        if path not in axes:
            raise ValueError(f"{name} = {path!r} is no axis; axes are {', '.join(axes)}")
        return axes[path]
