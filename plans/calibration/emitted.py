"""What a calibrating plan has found, as a readable: its event in the stream `calibration` is the record of it."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from event_model import DataKey

from whiteline.analysis.calibration import (
    Calibration,
    DarkCalibration,
    EnergyCalibration,
    FocusCalibration,
    MagnificationCalibration,
    RotationCalibration,
    Table,
)

STREAM = "calibration"
"""Of the event."""

Quantity = tuple[float, float, str]
"""A value, its standard error, and their unit."""


@dataclass(frozen=True)
class Calibrated:
    """What a calibrating plan has found.

    Parameters
    ----------
    of : str
        What was calibrated, as the beamline calls it: "monochromator", "zone_plate", "undulator.gap", "magnification",
        "sample.rotation", "counters";
        or what was measured, such as "probe".
    calibration : Calibration or None
        The result; None where there is none, or the result is no calibration of a device.
    quantities : mapping of str to (float, float, str)
        What was found, by name: value, standard error, unit.
    covariance : tuple of tuple of float
        Of the parameters that were fitted together, in the order of the quantities; empty where each stands alone.
    applied : bool
        Whether the device holds it now.
    reason : str
        Why it was not applied, in a sentence; empty if it was.
    run : str
        That it was found in.
    """

    of: str
    calibration: Calibration | None = None
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    covariance: tuple[tuple[float, ...], ...] = ()
    applied: bool = False
    reason: str = ""
    run: str = ""

    @classmethod
    def by(cls, of: str, calibration: Calibration, **more: Any) -> "Calibrated":
        """Return what a calibration says, with its parameters and their errors by name."""
        quantities, covariance = quantities_of(calibration)
        return cls(of, calibration, quantities, covariance, run=calibration.source, **more)


def quantities_of(calibration: Calibration) -> tuple[dict[str, Quantity], tuple[tuple[float, ...], ...]]:
    """Return the parameters of a calibration by name, and the covariance of the first of them.

    Raises
    ------
    TypeError
        If it is of a kind that is not known here.
    """
    if isinstance(calibration, EnergyCalibration):
        errors = np.sqrt(np.diag(calibration.covariance))
        values = {
            "spacing": (calibration.spacing, float(errors[0]), "Å"),
            "offset": (calibration.offset, float(errors[1]), "deg"),
        }
        return values, calibration.covariance
    if isinstance(calibration, FocusCalibration):
        errors = np.sqrt(np.diag(calibration.covariance))
        values = {"a0": (calibration.a0, float(errors[0]), "mm"), "a1": (calibration.a1, float(errors[1]), "mm/eV")}
        return values, calibration.covariance
    if isinstance(calibration, MagnificationCalibration):
        return {"factor": (calibration.factor, calibration.error, "")}, ((calibration.error**2,),)
    if isinstance(calibration, RotationCalibration):
        values = {"position": (calibration.position, calibration.error, "µm")}
        if calibration.tilt_mrad is not None and calibration.tilt_error_mrad is not None:
            values["tilt"] = (calibration.tilt_mrad, calibration.tilt_error_mrad, "mrad")
        return values, ()
    if isinstance(calibration, DarkCalibration):
        found = {f"{name} at {gain:g} V/A": (rate, error, "1/s") for name, gain, rate, error in calibration.rows}
        return found, ()
    if isinstance(calibration, Table):
        rows = zip(calibration.energies, calibration.positions, calibration.errors, strict=True)
        return {f"at {at:.8g} eV": (position, error, calibration.unit) for at, position, error in rows}, ()
    raise TypeError(f"a calibration of kind {calibration.kind!r} has no parameters that are known here")


class Emitted:
    """The readable of what was found; a plan sets `found`, and takes it as an event.

    Parameters
    ----------
    name : str
        Which its data keys begin with.
    """

    parent = None

    def __init__(self, name: str = "calibration") -> None:
        self.name = name
        self.found = Calibrated("")

    def read(self) -> dict[str, Any]:
        """Return it: names and sentences as they are, the rest as JSON, NaN as null."""
        found = self.found
        values: dict[str, str | int] = {
            "of": found.of,
            "result": "" if found.calibration is None else found.calibration.to_json(),
            "quantities": json.dumps({name: _plain(one) for name, one in found.quantities.items()}),
            "covariance": json.dumps([_plain(row) for row in found.covariance]),
            "applied": int(found.applied),
            "reason": found.reason,
        }
        return {f"{self.name}_{key}": {"value": value, "timestamp": time.time()} for key, value in values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        return {
            key: {"source": "PLAN", "dtype": "integer" if isinstance(one["value"], int) else "string", "shape": []}
            for key, one in self.read().items()
        }

    @property
    def hints(self) -> dict[str, Any]:
        """What a table shows."""
        return {"fields": [f"{self.name}_of", f"{self.name}_applied"]}


def _plain(values: tuple[Any, ...]) -> list[Any]:
    return [None if isinstance(one, float) and not math.isfinite(one) else one for one in values]
