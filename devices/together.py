"""Axes that move at the same time, all or none: if one fails, the others stop, and a sentence says where each is."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from ophyd.status import StatusBase

from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Stopped
from whiteline.devices.legs import Leg
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Positioner


def move_together(errand: Errand, legs: Iterable[Leg], ended: Callable[[StatusBase], Any], failure: str) -> None:
    """Move axes at the same time, and return when all are there.

    Parameters
    ----------
    errand : Errand
        To wait by.
    legs : iterable of Leg
        Where each goes.
    ended : callable
        Called at the end of each move; wakes the errand.
    failure : str
        What has failed if one does not arrive, as the beginning of a sentence.

    Raises
    ------
    Lost, Stopped, MoveFailed
        Saying which axis failed and why, and where the others are, which have been stopped.
    Overdue
        If none of them ends in twice the time that was computed.
    """
    moving: dict[Positioner, StatusBase] = {}
    seconds = 0.0
    for leg in legs:
        errand.require_possible()
        seconds = max(seconds, MARGIN * leg.axis.duration(leg.axis.position, leg.position) + ALLOWANCE_S)
        moving[leg.axis] = leg.axis.set(leg.position)
        moving[leg.axis].add_callback(ended)

    def over() -> bool:
        return all(one.done for one in moving.values()) or any(one.done and not one.success for one in moving.values())

    errand.until(over, 2 * seconds + ALLOWANCE_S, lambda: ", ".join(axis.name for axis in moving))
    for axis, status in moving.items():
        if status.done and (error := status.exception()) is not None:
            others = [other for other in moving if other is not axis]
            arrived = [other for other in others if moving[other].done and moving[other].success]
            stopped = [other for other in others if other not in arrived]
            with suppress(DeviceError):  # it is tried again, and told, at the end
                halt(stopped)
            wait_for_rest(stopped)
            kind = Lost if isinstance(error, Lost) else Stopped if isinstance(error, Stopped) else MoveFailed
            raise kind(f"{failure}: {error}" + where("stopped with it", stopped) + where("arrived", arrived)) from error


def wait_for_rest(axes: Sequence[Positioner]) -> None:
    """Wait until axes that were told to stop have slowed down, so that what is said of them stays true."""
    deadline = time.monotonic() + ALLOWANCE_S + max((axis.slow_down_s for axis in axes), default=0.0)
    for axis in axes:
        with axis.woken:
            while axis.moving and axis.readback_signal.connected and time.monotonic() < deadline:
                axis.woken.wait(deadline - time.monotonic())


def halt(axes: Iterable[Positioner]) -> None:
    """Stop axes; one that cannot be stopped does not keep the others from it.

    Raises
    ------
    DeviceError
        Naming those that could not be stopped.
    """
    failures = []
    for axis in axes:
        try:
            axis.stop()
        except (DeviceError, TimeoutError) as error:
            failures.append(f"{axis.name} was not stopped: {error}")
    if failures:
        raise DeviceError("; ".join(failures))


def where(what: str, axes: Sequence[Positioner]) -> str:
    """Return the end of a sentence that says where axes were seen last; nothing if there are none."""
    return f"; {what}: {', '.join(f'{axis.name} at {axis.last_seen}' for axis in axes)}" if axes else ""
