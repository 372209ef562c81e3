"""A sweep of the energy: while the capture box moves Bragg at constant speed, all that follows it goes in step.

Crystal gap, undulator gap and the optics each get a velocity with which they begin and end together with Bragg. Over a
sweep they go along straight lines, where their laws are curved: how far they are off in between is computed beforehand,
and a sweep that is too long for it is refused. Each has the velocity back that it had, however the sweep ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ophyd.status import StatusBase

from whiteline.analysis.checks import OutOfRange, require, require_energy
from whiteline.analysis.laws.fly_line import EVEN_S, FlyLine
from whiteline.devices.energy import Energy
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Refused, Stopped
from whiteline.devices.fly_axis import FlyAxis, made_early
from whiteline.devices.forecast import Forecast
from whiteline.devices.lost_puts import put
from whiteline.devices.monochromator import LOCKS_S
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Positioner
from whiteline.devices.targets import HARMONIC_DEAD_BAND, HEIGHT_DEAD_BAND_UM
from whiteline.devices.together import halt, wait_for_rest
from whiteline.devices.undulator import UndulatorGap

BRAGG = "bragg"
"""Position channel of the Bragg angle."""

FOCUS_SHARE = 0.1
"""By what part of the depth of focus the optics may be off in the middle of a sweep."""

ALONG_UM, MAGNIFICATION_SHARE = 20.0, 1e-4
"""By how much what does not focus, as the aperture, may be off along the beam in the middle of a sweep [µm]; and by
what part of its distance, where that is more, as the detector, on which the magnification depends."""

COMES_TO_SPEED_S = 0.2
"""How long before the first pulse all that follows has its velocity, at least [s]."""

STARTS_S = 30.0
"""How long after its kickoff Bragg may begin to move [s]: the shutter opens meanwhile, or the box is armed."""


@dataclass(frozen=True)
class Follower:
    """What follows Bragg in a sweep.

    Parameters
    ----------
    axis : Positioner
        The axis.
    first, last : float
        Where it belongs at the first pulse, and at the end of the last gate [unit of the axis].
    velocity : float
        That takes it from one to the other in the time of the pulses [unit/s].
    late_s : float
        By how much a command that is given when Bragg starts is behind one of constant velocity [s].
    """

    axis: Positioner
    first: float
    last: float
    velocity: float
    late_s: float

    def way(self, before_s: float) -> tuple[float, float]:
        """Return where it starts and ends, if Bragg starts so long before the first pulse [s]."""
        rate = self.velocity if self.last > self.first else -self.velocity
        return self.first - rate * (before_s - self.late_s), self.last + rate * (before_s - self.late_s)


class EnergySweep(Watchful):
    """All that follows the Bragg axis in a sweep; Bragg itself is moved by the capture box.

    Parameters
    ----------
    energy : Energy
        The energy axis, which knows where everything belongs.
    feedback_off : bool
        Whether the feedback of the second crystal is off while Bragg moves.
    """

    def __init__(
        self, prefix: str = "", *, name: str, energy: Energy, feedback_off: bool = True, **kwargs: Any
    ) -> None:
        self.energy = energy
        self._feedback_off = feedback_off
        self._begun = False
        self._bragg = FlyAxis(energy.monochromator.bragg)
        self._forget()
        super().__init__(prefix, name=name, **kwargs)
        for axis in energy.axes:
            made_early(axis, "velocity" if isinstance(axis, UndulatorGap) else "highest_velocity")
        energy.monochromator.bragg.subscribe(self.wake, event_type=Positioner.SUB_START, run=False)

    def _forget(self) -> None:
        self._line: FlyLine | None = None
        self._followers: list[Follower] = []
        self._under_way: dict[Positioner, StatusBase] = {}
        self._usual: dict[Any, float] = {}
        self._feedback_owed = False

    # what plans and preflight ask

    def line(self, first: float, last: float, pulses: int, gate_s: float) -> FlyLine:
        """Return a sweep as a line along the Bragg axis.

        Parameters
        ----------
        first, last : float
            Energies in the middles of the first and of the last gate [eV].
        pulses : int
            Evenly spaced in angle, and nearly so in energy.
        gate_s : float
            Dwell of each [s].

        Raises
        ------
        OutOfRange
            If there is no such sweep.
        """
        require_energy([first, last])
        require(pulses, pulses >= 2, "pulses of a sweep", "must be at least 2")
        mono = self.energy.monochromator
        begin, end = float(mono.angle(float(first))), float(mono.angle(float(last)))
        axes = self.energy.axes
        late = max((_late_s(axis) for axis in axes if axis is not mono.bragg), default=0.0)
        even_s = max(EVEN_S, late + COMES_TO_SPEED_S)
        step = (end - begin) / (pulses - 1)
        return FlyLine(BRAGG, begin - step / 2, step, pulses, gate_s, even_s)

    def energies(self, line: FlyLine) -> tuple[float, float]:
        """Return the energies at the first pulse of a line, and at the end of its last gate [eV]."""
        mono = self.energy.monochromator
        return mono.energy_at(line.first), mono.energy_at(line.last)

    def check_value(self, line: FlyLine) -> None:
        """Refuse a sweep that some axis cannot follow.

        Raises
        ------
        ValueError
            If it is not along Bragg.
        OutOfRange
            If an axis would leave its limits, be too slow, or too far off in the middle of the sweep.
        """
        if line.channel != BRAGG:
            raise ValueError(f"{self.name} follows lines along {BRAGG!r}, and not along {line.channel!r}")
        self._bragg.check(line)
        before_s = self._bragg.run_up_s(line)
        for one in self._followers_of(line):
            if one.velocity > (most := _highest_velocity(one.axis)):
                unit = f"{one.axis.egu}/s"
                slow = line.gate_s * one.velocity / most
                raise OutOfRange(
                    f"velocity of {one.axis.name}", one.velocity, f"must not exceed {most:.6g} {unit}", unit,
                    f"dwell {slow:.4g} s or longer",
                )  # fmt: skip
            for position in one.way(before_s):
                one.axis.check_value(position)

    def forecast_line(self, line: FlyLine) -> Forecast:
        """Return how long a sweep takes from rest to rest; raises as `check_value`."""
        self.check_value(line)
        return Forecast(float(self._bragg.seconds(line)))

    def _followers_of(self, line: FlyLine) -> list[Follower]:
        energy, mono = self.energy, self.energy.monochromator
        first, last = self.energies(line)
        middle = mono.energy_at((line.first + line.last) / 2)
        undulator = energy.undulator
        harmonic = undulator.choice_at(middle, undulator.choice, keep=energy.keeps_harmonic).harmonic
        places = [
            {leg.axis: float(leg.position) for leg in energy.legs(one, harmonic)} for one in (first, middle, last)
        ]
        found = []
        for axis in places[0]:
            begin, between, end = (one[axis] for one in places)
            if axis is mono.bragg or abs(end - begin) <= axis.tolerance:
                continue
            self._require_straight(axis, (begin + end) / 2, between, middle, harmonic)
            found.append(Follower(axis, begin, end, abs(end - begin) / line.length_s, _late_s(axis)))
        return found

    def _require_straight(self, axis: Positioner, straight: float, wanted: float, middle: float, harmonic: int) -> None:
        """Refuse a sweep in whose middle an axis that goes along a straight line is too far off."""
        energy = self.energy
        off, most, unit = 0.0, 1.0, axis.egu
        if axis is energy.monochromator.crystal_gap:
            off, most, unit = (
                energy.monochromator.height_error_um(straight, wanted),
                HEIGHT_DEAD_BAND_UM,
                "um of height",
            )
        elif axis is energy.undulator.gap:
            off = energy.undulator.off_peak_eV(harmonic, straight, wanted)
            most, unit = HARMONIC_DEAD_BAND * energy.undulator.width(middle, harmonic), "eV"
        elif axis is getattr(getattr(energy, "zone_plate", None), "z", None):
            depth = float(energy.depth_of_focus(middle))
            off, most, unit = 1e3 * (straight - wanted), FOCUS_SHARE * depth, "um along the beam"
        elif axis.egu == "mm":
            off, unit = 1e3 * (straight - wanted), "um along the beam"
            most = max(ALONG_UM, 1e3 * MAGNIFICATION_SHARE * abs(wanted))
        if abs(off) > most:
            raise OutOfRange(
                f"{axis.name} in the middle of a sweep, at {middle:.1f} eV", abs(off),
                f"off would be more than {most:.3g} {unit}", unit, "divide the sweep into shorter ones",
            )  # fmt: skip

    # staging

    @property
    def is_staged(self) -> bool:
        """Whether a run is under way."""
        return self._begun

    def stage(self) -> list[object]:
        """Begin a run."""
        self._forget()
        self._begun = True
        return [self]

    def unstage(self) -> list[object]:
        """Leave all at rest with their own velocities, and the feedback as it was.

        Raises
        ------
        DeviceError
            Naming what could not be put back.
        """
        if self._begun:
            self.end_errand("was unstaged", success=True)
            try:
                self.run_errand(lambda _: self._leave_in_order(), needs=()).wait()
                if self._feedback_owed:
                    self._feedback_owed = False
                    self.energy.monochromator.feedback.set("On").wait(2 * LOCKS_S)
            finally:
                self._begun = False
        return [self]

    # a sweep

    def prepare(self, line: FlyLine) -> StatusBase:
        """Bring all that follows to its run-up; raises as `check_value`, and `Refused` if it is not staged."""
        if not self._begun:
            raise Refused(f"{self.name} is not staged; stage it first")
        self.check_value(line)
        followers, before_s = self._followers_of(line), self._bragg.run_up_s(line)
        self._line, self._followers = line, followers

        def bring(errand: Errand) -> None:
            feedback = self.energy.monochromator.feedback
            if self._feedback_off and feedback.is_on:
                self._feedback_owed = True
                self._wait_for(errand, feedback.set("Off"), 2 * LOCKS_S, f"{feedback.name} to be Off")
            moving = {one.axis: one.way(before_s)[0] for one in followers}
            self._go(moving, None)
            self._see_to_end(errand, "reach its run-up")

        return self._run(bring)

    def kickoff(self) -> StatusBase:
        """Wait until Bragg starts, and start all that follows with it.

        Kick it off before the capture box, and wait for both together.

        Returns
        -------
        Status
            Done when all are under way; fails if Bragg does not start within half a minute.

        Raises
        ------
        Refused
            If no sweep is prepared.
        """
        line, followers = self._line, self._followers
        if line is None:
            raise Refused(f"{self.name} has no sweep to begin; prepare one first")
        before_s, bragg = self._bragg.run_up_s(line), self.energy.monochromator.bragg

        def begin(errand: Errand) -> None:
            for one in followers:
                signal: Any = one.axis.velocity
                self._usual[signal] = float(errand.ask(signal))
                pv = signal.setpoint_pvname
                errand.until(errand.put(signal, one.velocity), ANSWER_S, f"{pv} to take {one.velocity:.6g}")
            errand.until(lambda: bragg.moving, STARTS_S, f"{bragg.name} to start along the sweep")
            self._go({one.axis: one.way(before_s)[1] for one in followers}, self._seconds(line))

        return self._run(begin)

    def complete(self) -> StatusBase:
        """Wait until all that follows has arrived; fails with one sentence, and all stand then.

        Raises
        ------
        Refused
            If no sweep is prepared.
        """
        if self._line is None:
            raise Refused(f"{self.name} has begun no sweep; prepare one, and kick it off")

        def end(errand: Errand) -> None:
            self._see_to_end(errand, "follow the sweep")
            self._restore()

        return self._run(end)

    def _seconds(self, line: FlyLine) -> float:
        return MARGIN * (self._bragg.seconds(line) + line.even_s) + 2 * ALLOWANCE_S

    def _run(self, work: Any) -> StatusBase:
        needs = [signal for one in self._followers for signal in one.axis.needed_signals]
        return self.run_errand(work, needs=needs, on_failure=self._leave_in_order)

    def _go(self, targets: dict[Positioner, float], seconds: float | None) -> None:
        self._under_way = {}
        for axis, position in targets.items():
            self._under_way[axis] = axis.move(position, wait=False, timeout=seconds)
            self._under_way[axis].add_callback(self._ended)

    def _see_to_end(self, errand: Errand, what: str) -> None:
        """Wait until all have arrived; raise as soon as one has failed."""
        moving = self._under_way
        names = ", ".join(axis.name for axis in moving)

        def ended() -> bool:
            return all(one.done for one in moving.values()) or any(
                one.done and not one.success for one in moving.values()
            )

        # each axis has a time of its own to fail in
        line = self._line
        errand.until(ended, 60.0 + 2 * (self._seconds(line) if line else 0.0), f"{names} to {what}")
        for axis, status in moving.items():
            if status.done and (error := status.exception()) is not None:
                kind = next((one for one in (Lost, Stopped) if isinstance(error, one)), MoveFailed)
                raise kind(f"{self.name}: {axis.name} did not {what}: {error}") from error

    def _wait_for(self, errand: Errand, status: StatusBase, seconds: float, what: str) -> None:
        status.add_callback(self._ended)
        errand.until(lambda: bool(status.done), seconds, what)
        if (error := status.exception()) is not None:
            raise DeviceError(f"{self.name} cannot begin: {error}") from error

    def _ended(self, _: StatusBase) -> None:
        self.wake()

    # how it ends

    def _restore(self) -> None:
        """Give each axis the velocity back that it had.

        Raises
        ------
        DeviceError
            Naming those that could not be reached.
        """
        usual, self._usual, problems = self._usual, {}, []
        for signal, velocity in usual.items():
            try:
                put(signal, velocity)
            except DeviceError as error:
                problems.append(f"it could not be given back its {velocity:.6g}: {error}")
        if problems:
            raise DeviceError("; ".join(problems))

    def _leave_in_order(self) -> None:
        """Stop what still moves, and restore the velocities; raises as `_restore`."""
        moving = [axis for axis, status in self._under_way.items() if not status.done]
        problems: list[str] = []
        leaving: list[Callable[[], None]] = [lambda: halt(moving), lambda: wait_for_rest(moving), self._restore]
        for leave in leaving:
            try:
                leave()
            except DeviceError as error:
                problems.append(str(error))
        if problems:
            raise DeviceError("; ".join(problems))

    def stop(self, *, success: bool = False) -> None:
        """Stop all that follows, and let what is under way fail, or finish if that counts as a success."""
        self.end_errand("was stopped in a sweep", success=success)
        # an errand that ends just now by itself leaves the sweep to go on
        self._leave_in_order()

    def pause(self) -> None:
        """End the sweep under way, as the RunEngine does when it pauses: it is taken anew when it resumes."""
        try:
            self.stop(success=True)
        except DeviceError as error:  # it is told again when the sweep is taken anew
            self.log.warning("%s was not stopped for a pause: %s", self.name, error)


def _late_s(axis: Positioner) -> float:
    """Return by how much an axis is behind one that has its velocity at once [s]."""
    if isinstance(axis, UndulatorGap):
        return float(axis.settings.latency_s)
    return 0.5 * float(axis.acceleration.get())


def _highest_velocity(axis: Positioner) -> float:
    """Return the highest velocity of an axis [unit/s]."""
    if isinstance(axis, UndulatorGap):
        return float(axis.settings.velocity)
    return FlyAxis(axis).highest_velocity
