"""What ion chambers count without beam, at each gain of their amplifiers."""

from dataclasses import dataclass
from typing import ClassVar

from whiteline.analysis.calibration.base import Calibration
from whiteline.analysis.checks import require, require_finite, require_positive

Row = tuple[str, float, float, float]
"""Channel, gain [V/A], rate and its standard error [1/s]."""


@dataclass(frozen=True, kw_only=True)
class DarkCalibration(Calibration):
    """Dark rates of ion chambers.

    Parameters
    ----------
    rows : tuple of (str, float, float, float)
        Channel, gain of its amplifier [V/A], rate without beam and its standard error [1/s].
    """

    kind: ClassVar[str] = "dark rates"

    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rows:
            raise ValueError("dark rates of a calibration are none; give channel, gain, rate and error of each")
        for row in self.rows:
            if len(row) != 4 or not isinstance(row[0], str):
                raise ValueError(f"{row!r} of a calibration must be channel, gain, dark rate and error")
            channel, gain, rate, error = row
            require_positive(gain, f"gain of {channel}", "V/A")
            require_finite(rate, f"dark rate of {channel}", "1/s")
            require(rate, rate >= 0, f"dark rate of {channel}", "must not be negative", "1/s")
            require_positive(error, f"error of the dark rate of {channel}", "1/s")
        places = [(channel, gain) for channel, gain, _, _ in self.rows]
        if len(set(places)) < len(places):
            raise ValueError(f"dark rates of a calibration name a channel and gain twice: {places}")

    @property
    def by_channel(self) -> dict[str, dict[float, float]]:
        """Rates [1/s] by channel and gain [V/A]."""
        found: dict[str, dict[float, float]] = {}
        for channel, gain, rate, _ in self.rows:
            found.setdefault(channel, {})[gain] = rate
        return found

    def not_in(self, newer: tuple[Row, ...]) -> tuple[Row, ...]:
        """Return the rows whose channel and gain were not measured anew."""
        anew = {row[:2] for row in newer}
        return tuple(row for row in self.rows if row[:2] not in anew)
