"""Every axis back to where it stood before, in an order in which nothing collides."""

from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import require, require_energy, require_finite, require_positive
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import restoring
from whiteline.plans.shutter import CLOSED, closing


def restore_positions(
    axes: Sequence[Movable[Any]],
    positions: Sequence[float],
    *,
    along_beam: Sequence[Movable[Any]] = (),
    tolerances: Sequence[float] | None = None,
    energy: Movable[Any] | None = None,
    energy_eV: float | None = None,
    energy_tolerance_eV: float = 0.05,
    shutter: Movable[Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Bring axes back to given positions; those that stand there are left alone.

    `whiteline.beamline.earlier_positions` reads positions from the baseline of an old run, and shows what would move.

    Parameters
    ----------
    axes : sequence of Movable
        Real ones, each once.
    positions : sequence of float
        One for each, in its unit.
    along_beam : sequence of Movable
        Those of `axes` that carry optics or a detector along the beam: their reading is the distance from the sample,
        downstream positive.
    tolerances : sequence of float, optional
        How near to its position an axis counts as there; it must stand there exactly if they are not given.
    energy : Movable, optional
        The energy axis, which goes first and takes its own axes along; then they are compared anew.
    energy_eV : float, optional
        Where to [eV].
    energy_tolerance_eV : float
        How near counts as there [eV].
    shutter : Movable, optional
        Closed before anything moves.

    Returns
    -------
    tuple of str
        Names of the axes that were moved, in the order in which they were.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For positions outside of the limits of an axis, or arguments that do not go together; nothing was moved then.

    Notes
    -----
    First go, one after the other, the axes along the beam that go away from the sample, the one with the farthest
    target first; then all that is not along the beam, together; then, one after the other, those that come nearer, the
    one with the nearest target first. So between two states that are possible no optics come nearer to the sample, or
    to each other, than they are in one of the two, while sample and apertures move across.
    """
    typed = [satisfying(one, Axis, "axis") for one in axes]
    targets = [float(one) for one in positions]
    near = [0.0] * len(typed) if tolerances is None else [float(one) for one in tolerances]
    if not len(typed) == len(targets) == len(near):
        raise ValueError(f"{len(typed)} axes, {len(targets)} positions and {len(near)} tolerances: give one for each")
    if len({id(one) for one in typed}) != len(typed):
        raise ValueError("axes hold an axis twice: name each once")
    if any(all(one is not axis for axis in typed) for one in along_beam):
        raise ValueError("along_beam holds an axis that is none of axes")
    require_finite(targets, "positions")
    require(near, [one >= 0 for one in near], "tolerances", "must be at least 0")
    for axis, target in zip(typed, targets, strict=True):
        check_together(axis, [target])
    if (energy is None) != (energy_eV is None):
        raise ValueError("energy and energy_eV go together: give both, or neither")
    if energy_eV is not None:
        require_energy(energy_eV)
        require_positive(energy_tolerance_eV, "energy_tolerance_eV", "eV")
        check_together(energy, [energy_eV])
    moved: list[str] = []

    def go(*pairs: tuple[Axis, float]) -> MsgGenerator[None]:
        if pairs:
            yield from bps.checkpoint()
            moved.extend(axis.name for axis, _ in pairs)
            yield from bps.mv(*(part for pair in pairs for part in pair))

    def all_back() -> MsgGenerator[tuple[str, ...]]:
        if shutter is not None:
            yield from bps.mv(shutter, CLOSED)
        if energy is not None and energy_eV is not None:
            now = yield from bps.rd(energy, default_value=None)
            if now is None or abs(now - energy_eV) > energy_tolerance_eV:
                yield from go((satisfying(energy, Axis, "energy"), energy_eV))
        away, across, nearer = [], [], []
        for axis, target, tolerance in zip(typed, targets, near, strict=True):
            here = yield from bps.rd(axis, default_value=None)
            if here is not None and abs(here - target) <= tolerance:
                continue
            if all(axis is not one for one in along_beam):
                across.append((axis, target))
            elif here is None or abs(target) > abs(here):
                away.append((axis, target))
            else:
                nearer.append((axis, target))
        for pair in sorted(away, key=lambda pair: -abs(pair[1])):
            yield from go(pair)
        yield from go(*across)
        for pair in sorted(nearer, key=lambda pair: abs(pair[1])):
            yield from go(pair)
        return tuple(moved)

    return (yield from restoring(all_back(), closing(shutter)))
