"""Legs of a move of several axes: where one of them is to go, and whether it must."""

from dataclasses import dataclass

from whiteline.devices.positioner import Positioner


@dataclass(frozen=True)
class Leg:
    """Where one axis is to go.

    Parameters
    ----------
    axis : Positioner
        The axis.
    position : float
        Its target, in its unit.
    outside : bool
        Whether it stands outside its dead band.
    """

    axis: Positioner
    position: float
    outside: bool = True

    @property
    def needed(self) -> bool:
        """Whether it must go: it stands outside its dead band, and not within its own tolerance; or it moves."""
        return self.axis.moving or (self.outside and not self.axis.is_there(self.position))
