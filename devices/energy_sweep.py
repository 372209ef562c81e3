"""A sweep of the energy: while the capture box moves Bragg at constant speed, all that follows it goes in step.

Crystal gap, undulator gap and the optics each get a velocity with which they begin and end together with Bragg. Each
has the velocity back that it had, however the sweep ends.
"""

from collections.abc import Callable
from typing import Any

from ophyd.status import StatusBase

from whiteline.analysis.checks import require, require_energy
from whiteline.analysis.laws.fly_line import EVEN_S, FlyLine
from whiteline.devices.energy import Energy
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Refused, Stopped
from whiteline.devices.fly_axis import FlyAxis
from whiteline.devices.fly_velocity import made_early, see_to_usual, usual_velocity
from whiteline.devices.forecast import Forecast
from whiteline.devices.lost_puts import put
from whiteline.devices.monochromator import LOCKS_S
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Positioner
from whiteline.devices.sweep_followers import Follower, followers_of, late_s, require_able, require_in_step
from whiteline.devices.together import halt, wait_for_rest
from whiteline.devices.undulator import UndulatorGap

BRAGG = "bragg"
"""Position channel of the Bragg angle."""

COMES_TO_SPEED_S = 0.2
"""How long before the first pulse all that follows has its velocity, at least [s]."""

STARTS_S = 30.0
"""How long after its kickoff Bragg may begin to move [s]: the shutter opens meanwhile, or the box is armed."""


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
        for kind in (Positioner.SUB_START, Positioner.SUB_DONE):
            energy.monochromator.bragg.subscribe(self.wake, event_type=kind, run=False)

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
        late = max((late_s(axis) for axis in axes if axis is not mono.bragg), default=0.0)
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
        require_able(followers_of(self.energy, line), line.gate_s, self._bragg.run_up_s(line))

    def forecast_line(self, line: FlyLine) -> Forecast:
        """Return how long a sweep takes from rest to rest; raises as `check_value`."""
        self.check_value(line)
        return Forecast(float(self._bragg.seconds(line)))

    # staging

    @property
    def is_staged(self) -> bool:
        """Whether a run is under way."""
        return self._begun

    def stage(self) -> list[object]:
        """Begin a run; the undulator gets its usual velocity, should a sweep that was killed have left it slow.

        What a run that was halted owes is put back before; raises as `unstage`.
        """
        self.unstage()
        self.see_to_undulator().wait()
        self._forget()
        self._begun = True
        return [self]

    def see_to_undulator(self) -> StatusBase:
        """Give the undulator back the velocity of its description, where a sweep that was killed has left it slow.

        A motor record says itself how long a move takes; of the gap nobody would know why it does not arrive.
        """
        gap = self.energy.undulator.gap
        return self.run_errand(lambda errand: see_to_usual(gap, errand), needs=gap.needed_signals)

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
            finally:
                self._begun = False
                if self._feedback_owed:  # also where an axis has gone
                    self._feedback_owed = False
                    self.energy.monochromator.feedback.set("On").wait(2 * LOCKS_S)
        return [self]

    # a sweep

    def prepare(self, line: FlyLine) -> StatusBase:
        """Bring all that follows to its run-up; raises as `check_value`, and `Refused` if it is not staged."""
        if not self._begun:
            raise Refused(f"{self.name} is not staged; stage it first")
        self.check_value(line)
        followers, before_s = followers_of(self.energy, line), self._bragg.run_up_s(line)
        self._line, self._followers = line, followers

        def bring(errand: Errand) -> None:
            feedback = self.energy.monochromator.feedback
            if self._feedback_off and feedback.is_on:
                self._feedback_owed = True
                self._wait_for(errand, feedback.set("Off"), 2 * LOCKS_S, f"{feedback.name} to be Off")
            moving = {one.axis: one.way(before_s)[0] for one in followers}
            self._go(moving, None)
            self._see_to_end(errand, "reach its run-up")
            self._set_velocities(errand)

        return self._run(bring)

    def kickoff(self) -> StatusBase:
        """Wait until Bragg starts, and start all that follows with it, at the velocities that they were given before.

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
            errand.until(lambda: bragg.moving, STARTS_S, f"{bragg.name} to start along the sweep")
            self._go({one.axis: one.way(before_s)[1] for one in followers}, self._seconds(line))

        return self._run(begin)

    def complete(self) -> StatusBase:
        """Wait until all that follows has arrived; fails with one sentence, and all stand then.

        It fails as well if something that follows was too far behind all along: it is started when Bragg is seen to
        move, which a busy computer sees late.

        Raises
        ------
        Refused
            If no sweep is prepared.
        """
        line, followers = self._line, self._followers
        if line is None:
            raise Refused(f"{self.name} has begun no sweep; prepare one, and kick it off")
        bragg = self.energy.monochromator.bragg

        def end(errand: Errand) -> None:
            self._see_to_end(errand, "follow the sweep")
            errand.until(lambda: not bragg.moving, self._seconds(line), f"{bragg.name} to come to rest")
            self._restore()
            require_in_step(self.energy, line, followers, self._late(line))

        return self._run(end)

    def _late(self, line: FlyLine) -> dict[Positioner, float]:
        """Return how long after Bragg each of those that follow has started, by the clocks of their IOCs [s].

        A simulated machine may run faster than its clock: Bragg's own move tells by how much. One that takes longer
        than it should, as it settles, tells nothing.
        """
        started, ended = self.energy.monochromator.bragg.last_move_s
        faster = max(1.0, self._bragg.seconds(line) / (ended - started)) if ended > started else 1.0
        return {one.axis: faster * (one.axis.last_move_s[0] - started) for one in self._followers}

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

    def _set_velocities(self, errand: Errand) -> None:
        """Give all that follows its velocity of the sweep: none is lost when Bragg starts."""
        taken = []
        for one in self._followers:
            signal: Any = one.axis.velocity
            if signal not in self._usual:
                self._usual[signal] = usual_velocity(one.axis, float(errand.ask(signal)))
            taken.append(errand.put(signal, one.velocity))
        names = ", ".join(one.axis.velocity.setpoint_pvname for one in self._followers)
        errand.until(lambda: all(one() for one in taken), ANSWER_S, f"{names} to be taken")

    # how it ends

    def _restore(self) -> None:
        """Give each axis the velocity back that it had.

        Raises
        ------
        DeviceError
            Naming those that could not be reached.
        """
        problems = []
        for signal, velocity in list(self._usual.items()):
            try:
                put(signal, velocity)
                self._usual.pop(signal, None)  # a stop and the errand that it ends may both be here
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
