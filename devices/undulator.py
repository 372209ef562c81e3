"""The undulator: its gap with a busy record, and the harmonic that is chosen once for an edge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import StatusBase

from whiteline.analysis.calibration import Table
from whiteline.analysis.checks import OutOfRange, require_energy
from whiteline.analysis.laws import undulator as law
from whiteline.devices.axis import AxisOf, WithAxes
from whiteline.devices.calibrated import CalibrationSignal
from whiteline.devices.errands import ANSWER_S, Errand
from whiteline.devices.errors import MoveFailed
from whiteline.devices.lost_puts import put
from whiteline.devices.motor import AxisSettings
from whiteline.devices.positioner import Positioner
from whiteline.devices.shown import Parameter, done

REMEMBERED = 4096
"""Energies of which is remembered which harmonics reach them: it depends on the device alone, and takes long."""

NEAR_EDGE = (0.97, 1.05)
"""An energy that is gone to stands for its edge: energies from this share of it to that one keep their harmonic."""


@dataclass(frozen=True)
class GapSettings(AxisSettings):
    """What the description says of a gap; `tolerance` is 0.1 µm if not given.

    Parameters
    ----------
    velocity : float
        [mm/s]
    latency_s : float
        How long it is busy before it moves [s].
    """

    velocity: float = 0.1
    latency_s: float = 0.5


class UndulatorGap(Positioner):
    """The gap [mm]: set it, start it, and wait until it is no longer busy.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    settings : GapSettings
        Limits and figures of its motion.
    """

    woken_by = ("busy", "readback")

    readback = Component(EpicsSignalRO, ":readback", auto_monitor=True, kind="hinted")
    setpoint = Component(EpicsSignal, ":set", auto_monitor=True, kind="normal")
    start = Component(EpicsSignal, ":start", kind="omitted")
    stop_signal = Component(EpicsSignal, ":stop", kind="omitted")
    busy = Component(EpicsSignalRO, ":busy", auto_monitor=True, kind="omitted")
    # used by sweeps of the energy only
    velocity = Component(EpicsSignal, ":velocity", kind="omitted", lazy=True)

    egu = "mm"

    def __init__(self, prefix: str = "", *, name: str, settings: GapSettings, **kwargs: Any) -> None:
        self.settings = settings
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = self.name

    @property
    def readback_signal(self) -> Any:
        """Where it is."""
        return self.readback

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Without these it cannot be moved."""
        return self.readback, self.setpoint, self.start, self.busy

    @property
    def tolerance(self) -> float:
        """How near counts as there [mm]."""
        return 1e-4 if self.settings.tolerance is None else self.settings.tolerance

    @property
    def travel(self) -> tuple[float, float]:
        """The smallest and the largest gap [mm]."""
        return self.settings.low, self.settings.high

    @property
    def slow_down_s(self) -> float:
        """How long a stop takes [s]."""
        return self.settings.latency_s

    def duration(self, start: float, end: float) -> float:
        """Return how long a move takes [s]."""
        return self.settings.latency_s + abs(end - start) / self.settings.velocity

    def _rests(self, errand: Errand) -> bool:
        return bool(errand.ask(self.busy) == 0)

    def _command(self, errand: Errand, target: float) -> Callable[[], bool]:
        # a set point that was refused would let the gap start towards an older one
        errand.until(errand.put(self.setpoint, target), ANSWER_S, f"{self.setpoint.setpoint_pvname} to take {target:g}")
        taken = float(errand.ask(self.setpoint))
        if abs(taken - target) > self.tolerance:
            raise MoveFailed(f"{self.setpoint.setpoint_pvname} did not take {target:.6g} mm, it is {taken:.6g} mm")
        return errand.put(self.start, 1)

    def _halt(self) -> None:
        if self.stop_signal.connected:
            put(self.stop_signal, 1)

    @readback.sub_value
    def _readback_changed(self, value: Any = None, timestamp: Any = None, **_: Any) -> None:
        if value is not None:
            self._set_position(value, timestamp=timestamp)

    @busy.sub_value
    def _busy_changed(self, value: Any = None, timestamp: Any = None, **_: Any) -> None:
        if value is not None:
            self._done_changed(value == 0, timestamp)


def require_odd(harmonic: int) -> None:
    """Refuse a harmonic that does not shine on the axis.

    Raises
    ------
    OutOfRange
        If it is even, or negative; 0 stands for none.
    """
    if harmonic and (harmonic < 0 or harmonic % 2 == 0):
        raise OutOfRange("harmonic", harmonic, "must be odd: on the axis only odd harmonics shine")


def require_gap_table(table: Table) -> None:
    """Refuse a table that is not of gaps in mm on one harmonic.

    Raises
    ------
    ValueError
        Naming what it is of.
    """
    if table.unit != "mm" or table.harmonic is None:
        raise ValueError(
            f"a gap table is in mm and of one harmonic; that of {table.axis} is in {table.unit}, of harmonic "
            f"{table.harmonic}"
        )
    require_odd(table.harmonic)


@dataclass(frozen=True)
class Choice:
    """The harmonic in force.

    Parameters
    ----------
    harmonic : int
        0 while none was chosen.
    low, high : float
        Energies that it was chosen for [eV].
    by_hand : bool
        Whether it was set by hand, or is always kept.
    """

    harmonic: int
    low: float
    high: float
    by_hand: bool

    def serves(self, energy: float, *, keep: bool) -> bool:
        """Tell whether it is kept at an energy [eV]; a scan keeps it in any case."""
        return bool(self.harmonic) and (keep or self.by_hand or self.low <= energy <= self.high)


class EnergiesOfScan(Signal):
    """The lowest and the highest energy of a scan [eV]; to set them chooses the harmonic for all of it."""

    def check_value(self, value: Sequence[float], **_: Any) -> None:
        """Refuse energies that no one harmonic reaches.

        Raises
        ------
        OutOfRange
            Naming the energy, and where to divide the list.
        """
        self.parent.harmonic_of(value)

    def put(self, value: Sequence[float], **kwargs: Any) -> None:
        """Choose the harmonic for a list of energies."""
        self.parent.take_harmonic(self.parent.harmonic_of(value))
        super().put([float(min(value)), float(max(value))], **kwargs | {"force": True})

    def set(self, value: Sequence[float], **_: Any) -> StatusBase:
        """Choose the harmonic for a list of energies; done at once. Raises as `check_value`."""
        self.put(value)
        return done()


class Undulator(WithAxes):
    """A planar undulator whose gap follows the energy on one harmonic.

    The harmonic is chosen once for an edge, the brightest that reaches all of it, and kept as long as energies stay
    there; while a scan runs it never changes. One that is set by hand is kept until energies are given, or 0 is set.

    Parameters
    ----------
    axes : mapping of str to GapSettings
        Of the gap.
    law : Undulator
        Gap against energy, and its limits.
    harmonic : int or None
        One that is always kept; None to choose.
    detune_eV : float
        By how much the peak of the harmonic is put above the energy [eV].
    """

    gap = AxisOf(UndulatorGap, kind="hinted")
    harmonic = Component(Parameter, value=0, check=require_odd, kind="config", doc="0 while none was chosen")
    energies = Component(EnergiesOfScan, value=[0.0, 0.0], kind="config")
    detune = Component(Parameter, value=0.0, kind="config", unit="eV")
    gap_table = Component(CalibrationSignal, of=Table, check=require_gap_table, kind="config")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        axes: Mapping[str, AxisSettings],
        law: law.Undulator,
        harmonic: int | None = None,
        detune_eV: float = 0.0,
        gap_table: Table | None = None,
        **kwargs: Any,
    ) -> None:
        self.law = law
        self._harmonics = lru_cache(REMEMBERED)(law.harmonics)
        self._always = harmonic
        self._chosen = 0
        super().__init__(prefix, name=name, axes=axes, **kwargs)
        self.detune.put(float(detune_eV))
        if harmonic is not None:
            self.harmonic.put(harmonic)
        if gap_table is not None:
            self.gap_table.put(gap_table)

    def harmonic_of(self, energies: Sequence[float]) -> int:
        """Return the harmonic for a list of energies [eV]: the brightest that reaches all of them.

        Raises
        ------
        OutOfRange
            If none does, naming the energy, or where to divide the list.
        """
        require_energy(energies)
        if self._always is not None:
            return self._always
        detune = self.detune.get()
        wanted = tuple(energy + detune for energy in energies)
        best = self._harmonics(wanted)
        return best[0] if best else self.law.choose_harmonic(wanted)

    def window(self, energy: float) -> tuple[float, float]:
        """Return the energies that an edge near this energy is scanned over [eV], as far as one harmonic reaches."""
        low, high = (share * energy for share in NEAR_EDGE)
        detune = self.detune.get()
        return (low, high) if self._harmonics((low + detune, high + detune)) else (energy, energy)

    @property
    def choice(self) -> Choice:
        """The harmonic in force, and the energies that it was chosen for."""
        low, high = self.energies.get()
        return Choice(int(self.harmonic.get()), low, high, self._set_by_hand)

    def choice_at(self, energy: float, before: Choice, *, keep: bool = False) -> Choice:
        """Return the harmonic that would be in force after a move to an energy [eV], for that of before."""
        if before.serves(energy, keep=keep):
            return before
        window = self.window(energy)
        return Choice(self.harmonic_of(window), *window, by_hand=self._always is not None)

    def harmonic_at(self, energy: float, *, keep: bool = False) -> int:
        """Return the harmonic on which the undulator would go to an energy [eV].

        Parameters
        ----------
        energy : float
            Photon energy [eV].
        keep : bool
            Whether a harmonic that was chosen is kept in any case, as during a scan.
        """
        return self.choice_at(energy, self.choice, keep=keep).harmonic

    def settle_harmonic(self, energy: float, *, keep: bool = False) -> int:
        """Choose the harmonic for the edge around an energy, unless the one that was chosen serves it."""
        before = self.choice
        after = self.choice_at(energy, before, keep=keep)
        if after is not before:
            self.energies.put([after.low, after.high])
        return after.harmonic

    @property
    def _set_by_hand(self) -> bool:
        return bool(self.harmonic.get() and self.harmonic.get() != self._chosen)

    def take_harmonic(self, harmonic: int) -> None:
        """Remember a harmonic that was chosen for energies, as against one that is set by hand."""
        self.harmonic.put(harmonic)
        self._chosen = 0 if self._always is not None else harmonic

    def gap_at(self, energy: float, harmonic: int) -> float:
        """Return the gap [mm] for an energy [eV], by the table of this harmonic if there is one, else by the law.

        Raises
        ------
        OutOfRange
            If the gap lies outside its limits, naming the harmonics that would do; or the energy outside the table.
        """
        require_energy(energy)
        peak = energy + float(self.detune.get())
        if not self.gap_table.present:
            return self.law.gap(peak, harmonic)
        table = self.gap_table.calibration
        if table.harmonic != harmonic:
            raise OutOfRange(
                "harmonic",
                harmonic,
                f"has no gap table: that of {self.name} is of harmonic {table.harmonic}",
                "",
                f"set {self.harmonic.name} to {table.harmonic}, or measure a table of {harmonic}",
            )
        return table.position(peak)

    def off_peak_eV(self, harmonic: int, gap: float, wanted: float) -> float:
        """Return by how much the peak of a harmonic lies off [eV] at a gap, where another one [mm] is wanted."""
        low, high = self.law.lowest_gap, self.law.highest_gap
        if not low <= gap <= high:
            return float("inf")
        # by the law alone a table would not count: the difference of two gaps is turned into energies instead
        return float(self.law.energy(gap, harmonic) - self.law.energy(min(max(wanted, low), high), harmonic))

    def width(self, energy: float, harmonic: int) -> float:
        """Return the width of the harmonic, E / (n N) [eV]."""
        return self.law.harmonic_width(energy, harmonic)
