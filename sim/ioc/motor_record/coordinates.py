"""The three names of a place on an axis: where it truly is, what the dial says, and what the user calls it."""

from dataclasses import dataclass

ROUNDING = 1e-9
"""What a limit may be exceeded by, as a part of the travel: coordinates are converted to and fro."""


@dataclass(frozen=True)
class Coordinates:
    """How the names of a place follow from each other, and what is allowed.

    Parameters
    ----------
    zero : float
        Dial position of the true zero [unit]: not 0 once a dial position has been redefined.
    sign : int
        1 or -1: user positions grow with dial positions, or against them.
    offset : float
        User position of the dial's zero [unit].
    low, high : float
        Soft limits as dial positions [unit]; equal ones are none.
    """

    zero: float
    sign: int
    offset: float
    low: float
    high: float

    def user(self, dial: float) -> float:
        """Return the user position of a dial position [unit]."""
        return self.sign * dial + self.offset

    def dial(self, user: float) -> float:
        """Return the dial position of a user position [unit]."""
        return self.sign * (user - self.offset)

    def true(self, dial: float) -> float:
        """Return where the axis truly is at a dial position [unit]."""
        return dial - self.zero

    def shown(self, true: float) -> float:
        """Return the dial position of an axis that truly is somewhere [unit]."""
        return true + self.zero

    @property
    def limited(self) -> bool:
        """Whether there are soft limits."""
        return self.low != self.high

    @property
    def user_limits(self) -> tuple[float, float]:
        """Soft limits as user positions, low and high [unit]."""
        limits = self.user(self.low), self.user(self.high)
        return limits if self.sign > 0 else limits[::-1]

    def allows(self, dial: float) -> bool:
        """Say whether a dial position lies within the soft limits."""
        rounding = ROUNDING * abs(self.high - self.low)
        return not self.limited or self.low - rounding <= dial <= self.high + rounding
