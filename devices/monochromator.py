"""The double-crystal monochromator: its axes, its energy, the feedback of its second crystal, its temperature."""

from collections.abc import Mapping
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO, FormattedComponent
from ophyd.status import StatusBase

from whiteline.analysis.calibration import EnergyCalibration
from whiteline.analysis.checks import Numbers
from whiteline.analysis.laws import bragg as law
from whiteline.devices.axis import AxisOf, WithAxes
from whiteline.devices.calibrated import CalibrationSignal
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError
from whiteline.devices.motor import AxisSettings
from whiteline.devices.shown import Computed

AT_LIMIT = "At limit"
"""What the feedback says when it cannot correct as much as it should."""

LOCKS_S = 15.0
"""How long the feedback may take to lock [s]."""


class Feedback(Watchful):
    """The loop that keeps the second crystal parallel to the first; `set("On")` ends when it has locked."""

    woken_by = ("enable", "status")

    enable = Component(EpicsSignal, "enable", string=True, auto_monitor=True, kind="omitted")
    status = Component(EpicsSignalRO, "status", string=True, auto_monitor=True, kind="normal")
    correction = Component(EpicsSignalRO, "correction", auto_monitor=True, kind="normal")

    def set(self, value: str) -> StatusBase:
        """Switch it "On" or "Off".

        Returns
        -------
        Status
            Done when it is off, or has locked; fails if it cannot.

        Raises
        ------
        ValueError
            If the value is neither.
        """
        if value not in ("On", "Off"):
            raise ValueError(f"{self.name} = {value!r} must be On or Off")
        ends = ("Locked", AT_LIMIT) if value == "On" else ("Off",)

        def switch(errand: Errand) -> None:
            errand.until(errand.put(self.enable, value), ANSWER_S, f"{self.enable.pvname} to take {value}")
            errand.until(
                lambda: self.status.get() in ends and self.enable.get() == value,
                LOCKS_S,
                lambda: f"{self.status.pvname} to be {ends[0]}; it is {self.status.get()}",
            )
            if value == "On" and self.status.get() == AT_LIMIT:
                raise DeviceError(
                    f"{self.status.pvname} is {AT_LIMIT}, with a correction of {self.correction.get():.4g} urad: the "
                    "feedback cannot lock; align the pitch of the second crystal"
                )

        return self.run_errand(switch, needs=(self.enable, self.status))

    def locate(self) -> dict[str, str]:
        """Return whether it was switched on or off last; its status is a reading of its own."""
        told = str(self.enable.get())
        return {"setpoint": told, "readback": told}

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return bool(self.enable.get() == "On")


class Monochromator(WithAxes, Watchful):
    """A double-crystal monochromator with a fixed exit.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of bragg [deg], crystal_gap [mm], pitch, roll and fine_pitch [µrad].
    feedback, temperature : str
        Process variables: prefix of the feedback, and temperature of the crystals.
    calibration : EnergyCalibration
        d-spacing and offset of the Bragg angle.
    beam_offset_mm : float
        Height of the exit beam above the incoming one [mm].
    """

    energy = Component(Computed, compute=lambda mono: mono.energy_at(mono.bragg.position), unit="eV", kind="hinted")
    bragg = AxisOf()
    crystal_gap = AxisOf()
    pitch = AxisOf()
    roll = AxisOf()
    fine_pitch = AxisOf()
    feedback = FormattedComponent(Feedback, "{_feedback}")
    temperature = FormattedComponent(EpicsSignalRO, "{_temperature}", auto_monitor=True, kind="normal")
    calibration = Component(CalibrationSignal, of=EnergyCalibration, kind="config")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        feedback: str,
        temperature: str,
        calibration: EnergyCalibration,
        beam_offset_mm: float,
        **kwargs: Any,
    ) -> None:
        self._feedback, self._temperature = feedback, temperature
        self.beam_offset_mm = beam_offset_mm
        super().__init__(prefix, name=name, axes=axes, **kwargs)
        self.calibration.put(calibration)

    def energy_at(self, angle: float) -> float:
        """Return the energy [eV] at a reading of the Bragg axis [deg]."""
        return float(self.calibration.calibration.energy(angle))

    def angle(self, energy: Numbers) -> Numbers:
        """Return the reading of the Bragg axis [deg] for an energy [eV].

        Raises
        ------
        Uncertain
            Where the calibration knows the energy to no better than 0.2 eV.
        OutOfRange
            If it is no energy in eV, or the crystal cannot reflect it.
        """
        return self.calibration.calibration.angle(energy)

    def gap(self, energy: float) -> float:
        """Return the gap of the crystals [mm] that keeps the beam at its height, for an energy [eV]."""
        return law.crystal_gap(energy, self.calibration.calibration.spacing, self.beam_offset_mm)

    def height_error_um(self, gap: float, wanted: float) -> float:
        """Return by how much the exit beam is too high [µm] at a gap, where another is right [mm]: h = 2 g cos θ."""
        return 1e3 * self.beam_offset_mm * (gap / wanted - 1)
