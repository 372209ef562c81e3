"""What a plan learns: parts that are triggered and read like detectors, and say what the newest frame has told.

    reading = yield from bps.trigger_and_read([live.shift, live.error], name="live")

`trigger` returns a status that ends when all that was recorded before it is worked out. It fails, with a sentence, if
the newest frame cannot be, or if it takes too long. `read` gives the values of that moment, so what a plan decides on
is recorded with the run.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whiteline.analysis.live.results import Results, detail_of_best
from whiteline.analysis.live.status import Pending

Values = dict[str, float | str]
"""What a part says, by the end of its data keys."""


@dataclass(frozen=True)
class Quantity:
    """One of the values of a part: its unit, and its kind in documents."""

    unit: str = ""
    dtype: str = "number"


SHIFT: Mapping[str, Quantity] = {
    "y": Quantity("px"),
    "x": Quantity("px"),
    "error_y": Quantity("px"),
    "error_x": Quantity("px"),
    "y_um": Quantity("um"),
    "x_um": Quantity("um"),
    "confidence": Quantity(),
    "trusted": Quantity(dtype="integer"),
    "commanded_y_um": Quantity("um"),
    "commanded_x_um": Quantity("um"),
    "energy": Quantity("eV"),
    "frame": Quantity(dtype="integer"),
}
"""Shift of the newest frame, or of one only looked at, against the first one: how far, how sure, 1 where it is to be
believed; how far the sample has been moved since the first frame; energy and number of the frame. NaN for what is not
known."""

SHARPNESS: Mapping[str, Quantity] = {
    "value": Quantity("1/px^2"),
    "error": Quantity("1/px^2"),
    "detail": Quantity(),
    "detail_error": Quantity(),
    "of_best": Quantity(),
    "pixel_um": Quantity("um"),
    "energy": Quantity("eV"),
    "frame": Quantity(dtype="integer"),
}
"""Sharpness of the newest frame, which follows its contrast too; the share of fine detail, which follows the focus
alone, and its ratio to that of the best frame so far; the size of a pixel."""

ERROR: Mapping[str, Quantity] = {
    "median": Quantity(),
    "valid": Quantity(),
    "lacking": Quantity(),
    "fit": Quantity(dtype="string"),
    "clean": Quantity(dtype="integer"),
    "energies": Quantity(dtype="integer"),
}
"""Median standard error of the fractions, share of valid pixels, share that the references do not explain, whether
that is "clean", "lacking" or "unknown", 1 if clean, and frames in the fit."""

ROTATION: Mapping[str, Quantity] = {
    "column": Quantity("px"),
    "error": Quantity("px"),
    "off_um": Quantity("um"),
    "error_um": Quantity("um"),
    "tilt_mrad": Quantity("mrad"),
    "tilt_error_mrad": Quantity("mrad"),
    "rise": Quantity("px"),
    "confidence": Quantity(),
    "trusted": Quantity(dtype="integer"),
    "reason": Quantity(dtype="string"),
    "angle": Quantity("deg"),
    "frame": Quantity(dtype="integer"),
    "partner": Quantity(dtype="integer"),
}
"""Axis of rotation by the newest frame and the last one half a turn away: its column, how far that is beside the middle
of the image, how it leans; 1 where it is to be believed, or why not; angle, number of the frame and of the other."""


class Part:
    """A part of the live analysis that bluesky triggers and reads.

    Parameters
    ----------
    name : str
        Which its data keys begin with.
    quantities : mapping of str to Quantity
        What it says.
    ask : callable
        Takes the part and a status, and ends the status when the part's `values` are those of now.
    timeout_s : float
        How long a trigger may take [s].

    Attributes
    ----------
    told : bool
        Always true: what it says nobody knows before the data are there.
    """

    told = True

    def __init__(
        self,
        name: str,
        quantities: Mapping[str, Quantity],
        ask: Callable[["Part", Pending], None],
        timeout_s: float,
    ) -> None:
        self.name, self.parent = name, None
        self.timeout_s = timeout_s
        self._quantities, self._ask = quantities, ask
        self._values: Values = nothing(quantities)
        self._time = time.time()

    @property
    def hints(self) -> dict[str, Any]:
        """What best-effort plots and tables show."""
        return {"fields": [f"{self.name}_{next(iter(self._quantities))}"]}

    def trigger(self) -> Pending:
        """Ask for the newest frame to be worked out."""
        status = Pending(f"{self.name.replace('_', ' ')} of the newest frame", self.timeout_s, self)
        self._ask(self, status)
        return status

    def settle(self, values: Values) -> None:
        """Set what `read` says from now on."""
        self._values, self._time = nothing(self._quantities) | values, time.time()

    def read(self) -> dict[str, Any]:
        """Return what the last trigger has found."""
        return {f"{self.name}_{key}": {"value": value, "timestamp": self._time} for key, value in self._values.items()}

    def describe(self) -> dict[str, Any]:
        """Return what the values are."""
        return {
            f"{self.name}_{key}": {
                "source": "LIVE:whiteline.analysis.live",
                "dtype": one.dtype,
                "shape": [],
                **({"units": one.unit} if one.unit else {}),
            }
            for key, one in self._quantities.items()
        }


def nothing(quantities: Mapping[str, Quantity]) -> Values:
    """Return the values of a part that has found nothing yet."""
    empty: dict[str, float | str] = {"number": np.nan, "integer": 0, "string": "unknown"}
    return {key: empty[one.dtype] for key, one in quantities.items()}


def shift_values(results: Results) -> Values:
    """Return what `live.shift` says."""
    last, pixel = results.newest, results.pixel_um or np.nan
    if last is None:
        return {}
    return {
        "y": last.shift_y,
        "x": last.shift_x,
        "error_y": last.shift_error_y,
        "error_x": last.shift_error_x,
        "y_um": last.shift_y * pixel,
        "x_um": last.shift_x * pixel,
        "confidence": last.confidence,
        "trusted": int(last.trusted),
        "commanded_y_um": last.stage_y,
        "commanded_x_um": last.stage_x,
        "energy": last.energy,
        "frame": last.number,
    }


def sharpness_values(results: Results) -> Values:
    """Return what `live.sharpness` says."""
    last = results.newest
    if last is None:
        return {}
    return {
        "value": last.sharpness,
        "error": last.sharpness_error,
        "detail": last.detail,
        "detail_error": last.detail_error,
        "of_best": detail_of_best(results.frames, last),
        "pixel_um": results.pixel_um or np.nan,
        "energy": last.energy,
        "frame": last.number,
    }


def error_values(results: Results) -> Values:
    """Return what `live.error` says."""
    error = results.error
    return {
        "median": error.median,
        "valid": error.valid,
        "lacking": error.lacking,
        "fit": error.fit,
        "clean": int(error.fit == "clean"),
        "energies": error.energies,
    }
