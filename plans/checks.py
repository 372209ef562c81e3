"""Refuse arguments that cannot be right before the first message, in one sentence each."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from whiteline.analysis.checks import OutOfRange, require, require_energy, require_positive
from whiteline.plans.protocols import check_together

LONGEST_DWELL_S = 3600.0
"""Nobody counts longer at one point; a number beyond is a slip, such as milliseconds [s]."""

MOST_STEP_POINTS = 10_000
"""Points of a step map: beyond, the documents take longer than the counts."""


def energy_list(energies: Iterable[float], energy: object, name: str = "energies") -> tuple[float, ...]:
    """Return energies as a tuple, if the energy axis can go to each.

    Parameters
    ----------
    energies : iterable of float
        Ascending or descending, each once [eV].
    energy : object
        The axis, which refuses what it cannot reach.
    name : str
        What they are called in the message.

    Raises
    ------
    OutOfRange
        If there are none, one is no energy in eV, or the axis cannot go there.
    ValueError
        If they are no numbers, or go back and forth.
    """
    try:
        wanted = np.asarray([float(one) for one in energies])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {energies!r} must be a list of numbers, in eV") from error
    require(wanted.size, wanted.size > 0, f"number of {name}", "must be at least 1", remedy="give the energies in eV")
    require_energy(wanted, name)
    steps = np.diff(wanted)
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.flatnonzero(steps * np.sign(steps[0] or 1.0) <= 0)[0])
        raise ValueError(
            f"{name} must ascend or descend, each once, but {wanted[at + 1]:.10g} eV comes after {wanted[at]:.10g} eV; "
            "sort them, or use a list of whiteline.analysis.energies"
        )
    check_together(energy, [float(one) for one in wanted])
    return tuple(float(one) for one in wanted)


def dwell_list(
    dwell_s: float | Sequence[float] | None, energies: Any, count: int, name: str = "dwell_s"
) -> tuple[float, ...]:
    """Return how long to count at each energy [s].

    Parameters
    ----------
    dwell_s : float, sequence of float or None
        For all, or for each; None for what the list of energies says of itself, else one second.
    energies : object
        As the plan was given them: an `EnergyList` has a dwell for each.
    count : int
        How many there are.
    name : str
        What it is called in the message.

    Raises
    ------
    OutOfRange
        If one is not above 0, or longer than an hour.
    ValueError
        If there are not as many as energies.
    """
    if dwell_s is None:
        dwell_s = getattr(energies, "dwell_s", 1.0)
    each = [float(one) for one in dwell_s] if isinstance(dwell_s, Sequence) else [float(dwell_s)] * count
    for one in each:
        require_dwell(one)
    if len(each) != count:
        raise ValueError(f"{name} has {len(each)} values for {count} energies; give one for all, or one for each")
    return tuple(each)


def require_dwell(seconds: float, name: str = "dwell") -> None:
    """Refuse a time to count that is not above 0, or longer than an hour."""
    require_positive(seconds, name, "s")
    require(
        seconds, seconds <= LONGEST_DWELL_S, name, f"must be at most {LONGEST_DWELL_S:g} s", "s", "give it in seconds"
    )


def require_count(number: Any, name: str, least: int = 1) -> int:
    """Return a whole number, or refuse what is none, or too small."""
    if isinstance(number, bool) or int(number) != number or number < least:
        raise OutOfRange(name, float(number), f"must be a whole number from {least} on")
    return int(number)


def require_step_points(count: int, instead: str = "fly_raster") -> None:
    """Refuse a step map of more points than one event each can bear."""
    if count > MOST_STEP_POINTS:
        raise OutOfRange(
            "number of points",
            count,
            f"must be at most {MOST_STEP_POINTS}, as a step scan writes an event for each",
            remedy=f"use {instead}, which writes one for each line, or fewer pixels",
        )


def require_detectors(detectors: Sequence[Any]) -> None:
    """Refuse a scan that would count nothing."""
    if isinstance(detectors, str) or not isinstance(detectors, Sequence):
        raise TypeError(f"detectors = {detectors!r} must be a list, such as [counters]")
    if not detectors:
        raise ValueError("detectors is empty: name at least one, such as [counters]")
    for one in detectors:
        if isinstance(one, str):
            # the queue server hands over names that it does not know as they are
            raise TypeError(f"detectors hold {one!r}, which is the name of no device here; name one that there is")
