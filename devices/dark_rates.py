"""Dark rates that a plan has measured, as a scaler holds them: its chambers take over what they say of each."""

from typing import Any

import numpy as np

from whiteline.analysis.calibration import Calibration, DarkCalibration
from whiteline.devices.calibrated import CalibrationSignal


class DarkRates(CalibrationSignal[DarkCalibration]):
    """The dark rates of all chambers of a scaler; its value is the JSON text, empty while none were measured."""

    def _parsed(self, value: Calibration | str) -> DarkCalibration:
        parsed = super()._parsed(value)
        chambers = self.parent.chambers
        for channel, rates in parsed.by_channel.items():
            if channel not in chambers:
                raise ValueError(f"{self.name}: there is no channel {channel!r}; there are {', '.join(chambers)}")
            chambers[channel].table(rates)
        return parsed

    def put(self, value: Calibration | str, **kwargs: Any) -> None:
        """Take other dark rates; what they do not say of a gain stays as it is known. Raises as `check_value`."""
        super().put(value, **kwargs)
        for channel, rates in self.calibration.by_channel.items():
            chamber = self.parent.chambers[channel]
            measured = np.array(chamber.table(rates))
            chamber.change({"dark_rates": np.where(np.isnan(measured), chamber.dark_table, measured).tolist()})
