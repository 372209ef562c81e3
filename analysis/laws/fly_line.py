"""A line of a fly scan: where its pulses are, how fast the axis goes, where it begins and ends.

An axis that moves by the trapezoid of the EPICS motor record covers ½·v·t until its velocity v is reached, with t the
time of its acceleration. It starts that far before the first pulse, and a little more, so that a servo that lags behind
follows evenly when the first pulse comes; it comes to rest as far behind the last gate.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

from whiteline.analysis.checks import OutOfRange, require, require_between, require_finite, require_positive
from whiteline.analysis.laws.motion import move_duration

CLOCK = ""
"""Channel of a line whose pulses come by the clock of the box."""

EVEN_S = 0.012
"""How long the velocity is constant before the first pulse, and after the last gate [s]: twelve lags of a piezo that
follows within a millisecond, after which e⁻¹² of its start is left, 2 pm of a lag of 0.3 µm."""

LONGEST_GATE_S = 3600.0
"""Nobody counts longer for a pixel; a number beyond is a slip, such as milliseconds [s]."""


@dataclass(frozen=True)
class FlyLine:
    """Pulses that are evenly spaced along an axis, or in time; each opens a gate that lasts until the next one.

    Parameters
    ----------
    channel : str
        Position channel of the capture box that is compared, such as "x"; empty for pulses by its clock.
    first : float
        Position of the first pulse [unit of the axis]; of no effect by the clock.
    step : float
        From pulse to pulse: signed, in the unit of the axis; by the clock a period [s].
    pulses : int
        How many.
    gate_s : float
        How long each gate is, which is the dwell [s]. By the clock it may be shorter than the period.
    even_s : float
        How long the velocity is constant before the first pulse, and after the last gate, at least [s]; longer than
        usual where other axes must have followed by then.
    rows : int
        In how many rows of the table it is written, all as long, one after the other while it goes on; a line of one
        row is written when it is over.

    Raises
    ------
    OutOfRange
        If a number is not finite, the step is 0, there is no pulse, the gate is not above 0, or pulses do not make up
        whole rows; by the clock also if the period is not above 0, or shorter than the gate.
    """

    channel: str
    first: float
    step: float
    pulses: int
    gate_s: float
    even_s: float = EVEN_S
    rows: int = 1

    def __post_init__(self) -> None:
        require_finite(self.first, "position of the first pulse", "units")
        require_finite(self.step, "step between pulses", self._unit)
        if self.pulses != int(self.pulses):
            raise OutOfRange("number of pulses", self.pulses, "must be a whole number")
        require(self.pulses, self.pulses >= 1, "number of pulses", "must be at least 1")
        whole = self.rows >= 1 and self.pulses % self.rows == 0
        require(self.rows, whole, "rows of a line", f"must divide its {self.pulses} pulses")
        require_positive(self.gate_s, "dwell of a fly scan", "s")
        remedy = "give it in seconds"
        require_between(float(self.gate_s), 0.0, LONGEST_GATE_S, "dwell of a fly scan", "s", remedy)
        require(self.even_s, 0 <= self.even_s < math.inf, "even_s of a fly scan", "must be finite and ≥ 0", "s")
        if not self.by_clock:
            require(self.step, self.step != 0, "step between pulses", "must not be 0", self._unit)
            return
        require_positive(self.step, "period of pulses by the clock", "s")
        limit = f"must not exceed the period of {self.step:.6g} s"
        require(self.gate_s, self.gate_s <= self.step, "gate of pulses by the clock", limit, "s")

    @property
    def by_clock(self) -> bool:
        """Whether pulses come by the clock, and nothing moves."""
        return self.channel == CLOCK

    @property
    def _unit(self) -> str:
        return "s" if self.by_clock else "units"

    @property
    def direction(self) -> int:
        """1 towards larger positions, −1 towards smaller ones; 0 by the clock."""
        return 0 if self.by_clock else int(math.copysign(1, self.step))

    @property
    def velocity(self) -> float:
        """Speed of the axis [units/s], a step in the time of a gate; 0 by the clock."""
        return 0.0 if self.by_clock else abs(self.step) / self.gate_s

    @property
    def last(self) -> float:
        """Where the last gate ends [units]: one step beyond the last pulse; by the clock where the first was."""
        return self.first if self.by_clock else self.first + self.pulses * self.step

    @property
    def row_pulses(self) -> int:
        """Pulses in a row of the table."""
        return self.pulses // self.rows

    def of_rows(self, first: int, count: int) -> Self:
        """Return the line that takes some of the rows of this one, each pulse where it is in the whole.

        Parameters
        ----------
        first, count : int
            The first of these rows, from 0, and how many.

        Raises
        ------
        OutOfRange
            If there are no such rows.
        """
        require(first, 0 <= first < self.rows, "first row of a line", f"must be one of its {self.rows} rows, from 0")
        left = self.rows - first
        require(count, 1 <= count <= left, "number of rows of a line", f"must be one of the {left} that are left")
        pulses = count * self.row_pulses
        at = self.first if self.by_clock else self.first + first * self.row_pulses * self.step
        return replace(self, first=at, pulses=pulses, rows=count)

    @property
    def rate(self) -> float:
        """Pulses per second [1/s]."""
        return 1 / (self.step if self.by_clock else self.gate_s)

    @property
    def length_s(self) -> float:
        """From the first pulse to the end of the last gate [s]."""
        if self.by_clock:
            return (self.pulses - 1) * self.step + self.gate_s
        return self.pulses * self.gate_s

    def run_up(self, acceleration_s: float, least: float = 0.0) -> float:
        """Return how far before the first pulse the axis starts, and behind the last gate ends [units].

        ½·v·t for the acceleration, v·`even_s` until the servo follows, and `least`.

        Parameters
        ----------
        acceleration_s : float
            ACCL of the axis: the time to reach its velocity [s].
        least : float
            By how much the position may be read wrongly at rest: noise and vibration [units].

        Raises
        ------
        OutOfRange
            If one of them is negative or not finite.
        """
        require(acceleration_s, 0 <= acceleration_s < math.inf, "acceleration time", "must be finite and ≥ 0", "s")
        require(least, 0 <= least < math.inf, "margin of a run-up", "must be finite and not negative", "units")
        if self.by_clock:
            return 0.0
        return self.velocity * (0.5 * acceleration_s + self.even_s) + least

    def begin(self, acceleration_s: float, least: float = 0.0) -> float:
        """Return where the axis starts [units]; parameters as `run_up`."""
        return self.first - self.direction * self.run_up(acceleration_s, least)

    def end(self, acceleration_s: float, least: float = 0.0) -> float:
        """Return where the axis comes to rest [units]; parameters as `run_up`."""
        return self.last + self.direction * self.run_up(acceleration_s, least)

    def seconds(self, acceleration_s: float, least: float = 0.0) -> float:
        """Return how long the line takes from rest to rest [s], without the way to its begin."""
        if self.by_clock:
            return self.length_s
        distance = self.end(acceleration_s, least) - self.begin(acceleration_s, least)
        return move_duration(distance, self.velocity, acceleration_s)
