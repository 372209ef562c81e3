"""The energy axis: one position that moves monochromator, undulator and optics together, or says what did not arrive.

A move goes in this order. First everything is computed and checked against every limit, and nothing has moved yet. The
feedback of the second crystal is switched off. Bragg, crystal gap, undulator gap, and what else may move beside them go
at the same time, each only if it is outside its dead band. Then the energy is read back from the Bragg angle, and the
optics are placed for what was *reached*. The feedback is switched on again. If a part fails, the others are stopped,
the feedback is switched on, and the status fails with a sentence that says which axis stopped where; the next call
starts from there.
"""

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from ophyd import Component
from ophyd.positioner import PositionerBase
from ophyd.status import MoveStatus, StatusBase

from whiteline.analysis.checks import require_between, require_energy
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import DeviceError, MoveFailed
from whiteline.devices.legs import Leg
from whiteline.devices.monochromator import LOCKS_S, Monochromator
from whiteline.devices.positioner import Arrival, number
from whiteline.devices.rehearsal import Rehearsal
from whiteline.devices.shown import Computed, Parameter
from whiteline.devices.targets import Targets
from whiteline.devices.together import halt, move_together, where
from whiteline.devices.undulator import Undulator

FEEDBACK_S = 2 * LOCKS_S
"""How long to wait for the feedback to switch, which has its own time to fail [s]."""


class Energy(Targets, Watchful, PositionerBase):
    """The photon energy [eV], of a beamline whose optics need not follow it.

    Parameters
    ----------
    monochromator : Monochromator
        Sets the energy, and tells what was reached.
    undulator : Undulator
        Follows.
    low, high : float
        The range of the beamline [eV].
    feedback_off : bool
        Whether the feedback of the second crystal is switched off while axes move.

    Attributes
    ----------
    optics_follow : Parameter
        Whether the optics follow; False leaves them where they are, as for a look at what chromatic focus costs.
    """

    readback = Component(Computed, compute=lambda energy: energy.position, unit="eV", kind="hinted")
    setpoint = Component(Parameter, value=float("nan"), kind="normal", unit="eV")
    bragg = Component(Computed, compute=lambda energy: energy.monochromator.bragg.position, unit="deg", precision=6)
    crystal_gap = Component(
        Computed, compute=lambda energy: energy.monochromator.crystal_gap.position, unit="mm", precision=5
    )
    optics_follow = Component(Parameter, value=True, kind="config")
    undulator_gap = Component(Computed, compute=lambda energy: energy.undulator.gap.position, unit="mm", precision=4)

    egu: ClassVar[str] = "eV"

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        monochromator: Monochromator,
        undulator: Undulator,
        low: float,
        high: float,
        feedback_off: bool = True,
        **kwargs: Any,
    ) -> None:
        self.monochromator, self.undulator = monochromator, undulator
        self._range = low, high
        self._feedback_off = feedback_off
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = name
        # a feedback that was switched off for a move, and is to be switched on again
        self._feedback_owed = False
        # whether the run under way has chosen its harmonic
        self._harmonic_kept = False
        self.monochromator.bragg.readback_signal.subscribe(self._bragg_moved, run=False)

    # what plans and scientists ask

    @property
    def position(self) -> float:
        """The energy [eV], read back from the Bragg angle."""
        return self.reached()

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the beamline [eV]."""
        return self._range

    def preview(self, value: float) -> dict[str, float]:
        """Return where each axis would go for an energy, by its name; nothing moves.

        Parameters
        ----------
        value : float
            Energy [eV].

        Raises
        ------
        OutOfRange
            If the energy is none in eV, outside the range, a table or the harmonic's gap, or an axis cannot follow.
        Uncertain
            Where a calibration knows too little.
        """
        return {leg.axis.name: float(leg.position) for leg in self._checked_legs(value)}

    def _checked_legs(self, value: float) -> list[Leg]:
        energy = self.checked(value)
        return self.legs(energy, self.undulator.harmonic_at(energy, keep=self._harmonic_kept))

    def checked(self, value: float) -> float:
        """Return an energy [eV] that is one, and within the range of the beamline. Raises as `preview` does."""
        energy = value if isinstance(value, float) else number(value, self.name, "eV")
        require_energy(energy)
        require_between(energy, *self._range, self.name, "eV", "that is the range of this beamline")
        return energy

    def check_value(self, value: float) -> None:
        """Refuse an energy that some axis cannot follow to. Raises as `preview` does."""
        for leg in self._checked_legs(value):
            leg.axis.check_value(leg.position)

    def duration(self, start: float, end: float) -> float:
        """Return how long a move from one energy to another takes [s]. Raises as `preview` does."""
        rehearsal = self.rehearsal()
        rehearsal.move(start)
        return rehearsal.move(end)

    def rehearsal(self, places: MutableMapping[Any, Any] | None = None) -> Rehearsal:
        """Return what makes moves in the mind, from where everything stands, and says what would come of each.

        Parameters
        ----------
        places : mutable mapping of object to object, optional
            Where axes would stand by then, and what settings would be, by device; it is kept up to date.
        """
        return Rehearsal(self, {} if places is None else places)

    @property
    def keeps_harmonic(self) -> bool:
        """Whether the run under way has chosen its harmonic."""
        return self._harmonic_kept

    @property
    def staged(self) -> bool:
        """Whether a run is under way."""
        return bool(self._staged.value == "yes")

    def stage(self) -> list[Any]:
        """Begin a run: its first energy chooses the harmonic, and then it stays."""
        self._harmonic_kept = False
        return super().stage()

    def unstage(self) -> list[Any]:
        """End a run: the harmonic may be chosen anew."""
        self._harmonic_kept = False
        return super().unstage()

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return what its number depends on, too: calibrations and harmonic of the devices that it moves."""
        return self._with_parts("read_configuration")

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Describe what `read_configuration` returns."""
        return self._with_parts("describe_configuration")

    def _with_parts(self, method: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = dict(getattr(super(), method)())
        for part in self.configured_by:
            found |= getattr(part, method)()
        return found

    @property
    def configured_by(self) -> Sequence[Any]:
        """Signals of other devices that the energy depends on."""
        undulator = self.undulator
        return self.monochromator.calibration, undulator.harmonic, undulator.detune, undulator.gap_table

    # moving

    def move(
        self,
        position: float,
        wait: bool = True,
        moved_cb: Callable[..., None] | None = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        """Go to an energy, with everything that follows it.

        Parameters
        ----------
        position : float
            Energy [eV].
        wait : bool
            Whether to return only when all has arrived.
        moved_cb : callable or None
            Called with the status and `obj` when the move has ended.
        timeout : float or None
            Of no effect: each axis has its own, computed from its way.

        Returns
        -------
        MoveStatus
            Fails with one sentence that says which axis stopped where.

        Raises
        ------
        OutOfRange, Uncertain
            As `preview`; nothing moves then.
        """
        self.check_value(position)
        energy, keep = float(position), self._harmonic_kept
        if self.moving:
            self._stop(f"was sent to {energy:g} eV before it had arrived")
        status = Arrival(self, energy, call_stop_on_failure=False)
        if moved_cb is not None:
            status.add_callback(lambda ended: moved_cb(ended, obj=self))

        def go(errand: Errand) -> None:
            harmonic = self.undulator.settle_harmonic(energy, keep=keep)
            self._harmonic_kept = self.staged
            self.setpoint.put(energy)
            self._go(errand, energy, harmonic)

        self.run_errand(go, needs=(), status=status, on_failure=self._leave_in_order)
        if wait:
            try:
                status.wait()
            except KeyboardInterrupt:
                self.stop()
                raise
        return status

    def stop(self, *, success: bool = False) -> None:
        """Stop every axis.

        The move under way fails, unless `success` says that it was stopped on purpose: the RunEngine says so when it
        pauses, and goes there anew when it resumes.
        """
        self._stop("was stopped before all of its axes had arrived", success=success)

    def _stop(self, why: str, *, success: bool = False) -> None:
        moving = [axis for axis in self.axes if axis.moving]
        where = ", ".join(f"{axis.name} was passing {axis.last_seen}" for axis in moving) or "none of them moved"
        # first the errand, so that it does not take the stop of an axis for the failure of that axis
        self.end_errand(f"{why}: {where}", success=success)
        halt(moving)

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return not self._idle.is_set()

    def _go(self, errand: Errand, energy: float, harmonic: int) -> None:
        try:
            self._go_in_steps(errand, energy, harmonic)
        except (DeviceError, ValueError):
            raise
        except Exception as error:  # a record was lost between two questions
            told = Errand(self, [axis.readback_signal for axis in self.axes]).told(error)
            raise type(told)(
                f"{self.name} did not arrive at {energy:g} eV: {told}{where('last seen', self.axes)}"
            ) from error

    def _go_in_steps(self, errand: Errand, energy: float, harmonic: int) -> None:
        for group in self.steps(energy, harmonic):
            legs = [leg for leg in group if leg.needed]
            if legs and self._feedback_off and self.monochromator.feedback.is_on:
                self._feedback_owed = True
                self._switch_feedback(errand, "Off", energy)
            move_together(errand, legs, self._ended, f"{self.name} did not arrive at {energy:g} eV")
        self._require_whole(energy, harmonic)
        if self._feedback_owed:
            self._feedback_owed = False  # what cannot lock now will not by being told twice
            self._switch_feedback(errand, "On", energy)

    def _require_whole(self, energy: float, harmonic: int) -> None:
        """Raise unless every axis stands where it belongs at the end: one may have been moved by somebody else."""
        for leg in self.legs(energy, harmonic):
            if leg.needed:
                raise MoveFailed(
                    f"{self.name} did not arrive at {energy:g} eV: {leg.axis.name} "
                    f"{'moves' if leg.moving else 'stands'} at {leg.axis.last_seen} and belongs at "
                    f"{leg.position:.10g} {leg.axis.egu}; it was moved by somebody else, or a calibration was changed"
                )

    def _switch_feedback(self, errand: Errand, wanted: str, energy: float) -> None:
        status = self.monochromator.feedback.set(wanted)
        status.add_callback(self._ended)
        errand.until(lambda: status.done, FEEDBACK_S, f"{self.monochromator.feedback.name} to be {wanted}")
        if (error := status.exception()) is not None:
            arrived = "all of its axes have arrived" if wanted == "On" else "none of its axes has moved"
            raise DeviceError(f"{self.name} did not arrive at {energy:g} eV, though {arrived}: {error}") from error

    def _leave_in_order(self) -> None:
        """Stop the axes that still move, and switch the feedback on again, after a move that failed."""
        problems = []
        try:
            halt([axis for axis in self.axes if axis.moving])
        except DeviceError as error:
            problems.append(str(error))
        if self._feedback_owed:
            try:
                self.monochromator.feedback.set("On").wait(FEEDBACK_S)
                self._feedback_owed = False
            except (DeviceError, TimeoutError) as error:
                problems.append(f"the feedback was not switched on again: {error}")
        if problems:
            raise DeviceError("; ".join(problems))

    def _ended(self, _: StatusBase) -> None:
        self.wake()

    def _bragg_moved(self, value: float, timestamp: float | None = None, **_: Any) -> None:
        """Tell progress bars and other listeners where the energy is."""
        # an angle while the axis is homed may stand for no energy
        with suppress(ValueError):
            energy = self.monochromator.energy_at(value)
            self._run_subs(sub_type=self.SUB_READBACK, value=energy, timestamp=timestamp)
