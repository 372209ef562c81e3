"""Legs of a move of several axes: where one of them is to go, and whether it must."""

from dataclasses import dataclass

from whiteline.devices.positioner import Positioner


@dataclass(frozen=True)
class Leg:
    """Where one axis is to go for an energy, and whether it must.

    Parameters
    ----------
    axis : Positioner
        The axis.
    position : float
        Its target, in its unit.
    needed : bool
        Whether it stands outside its dead band now.
    """

    axis: Positioner
    position: float
    needed: bool = True
