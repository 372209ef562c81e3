"""The velocity of an axis in the lines of a fly scan, and the usual one that it gets back."""

import math
import threading
from typing import Any

from whiteline.devices.errands import ANSWER_S, Errand
from whiteline.devices.errors import Lost, MoveFailed
from whiteline.devices.lost_puts import put

SAME_VELOCITY = 1e-3
"""By what share a velocity may differ from the one that was put."""


class LineVelocity:
    """The velocity of a motor record.

    Parameters
    ----------
    motor : Motor
        The axis.
    """

    def __init__(self, motor: Any) -> None:
        self._motor = motor
        made_early(motor, "highest_velocity")
        self._before: float | None = None
        self._changing = threading.Lock()

    @property
    def highest(self) -> float:
        """The highest velocity of the record, VMAX [unit/s]; where VMAX does not say, its usual one."""
        most = float(self._motor.highest_velocity.get())
        if most > 0:
            return most
        present = float(self._motor.velocity.get(use_monitor=False)) if self._before is None else self._before
        return max(present, _described(self._motor) or 0.0)

    def see_to_usual(self, errand: Errand) -> None:
        """Give it back its usual velocity where a session that was killed in a line has left it slower."""
        if self._before is None:
            see_to_usual(self._motor, errand)

    def take(self, errand: Errand, wanted: float) -> None:
        """Give it the velocity of a line, unless it has it.

        Raises
        ------
        MoveFailed
            If the record does not take it.
        Lost, Overdue
            As of `Errand.until`.
        """
        taken, pv = float(errand.ask(self._motor.velocity)), self._motor.velocity.setpoint_pvname
        with self._changing:
            # if it was stopped since it asked, the usual one is back, and what it has found is that of the line
            errand.require_possible()
            if self._before is None:
                self._before = taken
        if math.isclose(taken, wanted, rel_tol=SAME_VELOCITY):
            return
        errand.until(errand.put(self._motor.velocity, wanted), ANSWER_S, f"{pv} to take {wanted:.6g}")
        taken = float(errand.ask(self._motor.velocity))
        if not math.isclose(taken, wanted, rel_tol=SAME_VELOCITY):
            raise MoveFailed(
                f"{pv} was to be {wanted:.6g} {self._motor.egu}/s and is {taken:.6g}: the limits of the record "
                "(VBAS, VMAX) are in the way; dwell longer or shorter"
            )

    def restore(self, errand: Errand | None = None) -> None:
        """Give it back the velocity that it had before a line.

        Parameters
        ----------
        errand : Errand or None
            To wait by until the record has it; None to only tell it.

        Raises
        ------
        Lost
            If its IOC is lost; it keeps the velocity of the line then.
        """
        with self._changing:
            before = self._before
            if errand is None:
                self._before = None
        if before is None:
            return
        pv = self._motor.velocity.setpoint_pvname
        if errand is not None:
            completed = errand.put(self._motor.velocity, before)
            errand.until(completed, ANSWER_S, f"{pv} to take {before:.6g} again")
            self._before = None
            return
        try:
            put(self._motor.velocity, before)
        except Lost as error:
            raise Lost(
                f"{pv} could not be given back its {before:.6g} {self._motor.egu}/s, as its IOC has gone: see to it "
                "when that runs again"
            ) from error


def see_to_usual(axis: Any, errand: Errand) -> None:
    """Give an axis back its usual velocity where a session that was killed in a line has left it slower."""
    found = float(errand.ask(axis.velocity))
    if (usual := usual_velocity(axis, found)) != found:
        pv = axis.velocity.setpoint_pvname
        errand.until(errand.put(axis.velocity, usual), ANSWER_S, f"{pv} to take {usual:.6g}")


def usual_velocity(axis: Any, found: float) -> float:
    """Return the velocity that an axis was found with, or that of its description if it was left slower [unit/s]."""
    usual = _described(axis)
    if usual is None or found >= (1 - SAME_VELOCITY) * usual:
        return found
    axis.log.warning(
        "%s was %.6g %s/s, and gets its usual %.6g: was a fly scan killed?",
        axis.velocity.setpoint_pvname, found, axis.egu, usual,
    )  # fmt: skip
    return usual


def _described(axis: Any) -> float | None:
    """Return the usual velocity of an axis, as the beamline is described [unit/s]."""
    settings = getattr(axis, "settings", None)
    return None if settings is None else settings.velocity


def made_early(device: Any, attribute: str) -> None:
    """Make a signal that would be made when it is first asked for, so that it is connected then, and can be checked."""
    waits, device.lazy_wait_for_connection = device.lazy_wait_for_connection, False
    try:
        getattr(device, attribute)
    finally:
        device.lazy_wait_for_connection = waits
