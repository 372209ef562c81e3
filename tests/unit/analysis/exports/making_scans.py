"""Point scans and rasters as documents, with the truth that their exports are compared with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.calibration import EnergyCalibration

Document = tuple[str, dict[str, Any]]
Numbers = NDArray[np.float64]

EDGE = 8333.0
NUMBER = {"dtype": "number", "shape": [], "source": "test"}
Peer = Callable[..., Any]
"""Runs a script of this folder with the programs of others, and returns the JSON of its last line."""

CALIBRATION = EnergyCalibration(
    spacing=3.1356, offset=0.012, covariance=((1e-10, 0.0), (0.0, 1e-8)), version=3, date="2026-01-02", source="abc"
)
RATES = ["counters_incident_rate", "counters_transmitted_rate", "counters_reference_rate"]


def documents(
    rows: list[dict[str, Any]],
    units: dict[str, str],
    devices: dict[str, list[str]],
    *,
    start: dict[str, Any],
    exit_status: str = "success",
) -> list[Document]:
    """A run of one stream."""
    keys = {key: NUMBER | ({"units": units[key]} if key in units else {}) for key in rows[0]}
    about = {"start": {"uid": "12345678-aaaa-bbbb", "time": 1.8e9, "scan_id": 17, **start}}
    descriptor = {
        "uid": "descriptor", "run_start": "12345678-aaaa-bbbb", "name": "primary", "time": 1.8e9, "data_keys": keys,
        "object_keys": devices,
        "configuration": {"mono": {"data": {"mono_calibration": CALIBRATION.to_json()}, "timestamps": {}}},
    }  # fmt: skip
    found: list[Document] = [("start", about["start"]), ("descriptor", descriptor)]
    for number, row in enumerate(rows, start=1):
        event = {"uid": str(number), "descriptor": "descriptor", "seq_num": number, "time": 1.8e9 + number}
        found.append(("event", event | {"data": row, "timestamps": {}, "filled": {}}))
    found.append(("stop", {"run_start": "12345678-aaaa-bbbb", "time": 1.8e9 + 900, "exit_status": exit_status}))
    return found


def absorption(energy: Numbers) -> Numbers:
    """An edge with a white line, on what absorbs before it."""
    offset = energy - EDGE
    step = 0.5 + np.arctan(offset / 1.5) / np.pi
    return np.asarray(0.4 + 1.1 * (step + 0.8 / (1 + ((offset - 8) / 4) ** 2)))


@dataclass
class PointScan:
    """Counts of three chambers and of a line over an edge, in an order of its own, with a readback that is off."""

    seed: int
    fluorescence: bool = False
    repeats: int = 1
    missing: tuple[int, ...] = ()
    start: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        source = np.random.default_rng(self.seed)
        wanted = np.concatenate([np.arange(-150, -20, 10.0), np.arange(-20, 40, 1.0), np.arange(40, 300, 10.0)]) + EDGE
        wanted = np.tile(source.permutation(wanted), self.repeats)
        self.wanted = wanted
        self.reached = wanted + 0.1 + source.normal(0, 0.002, wanted.size)
        self.incident = source.uniform(0.8, 1.2, wanted.size) * 1e6
        mu = absorption(self.reached)
        self.transmitted = self.incident * np.exp(-mu)
        self.reference = self.transmitted * np.exp(-0.7 * mu)
        self.line = self.incident * 0.02 * mu

    def documents(self) -> list[Document]:
        rows = []
        for index, energy in enumerate(self.reached):
            rates = [float(one[index]) for one in (self.incident, self.transmitted, self.reference)]
            if index in self.missing:
                rates[1] = float("nan")
            row = {"energy": float(energy), "energy_setpoint": float(self.wanted[index])}
            if self.fluorescence:
                line = float(self.line[index])
                row |= {RATES[0]: rates[0], "xrf_Ni_Ka": line, "xrf_Ni_Ka_counts": np.floor(line)}
            else:
                row |= dict(zip(RATES, rates, strict=True))
            rows.append(row)
        devices = {"energy": ["energy", "energy_setpoint"], "counters": RATES, "xrf": ["xrf_Ni_Ka", "xrf_Ni_Ka_counts"]}
        units = {"energy": "eV", "energy_setpoint": "eV", **dict.fromkeys(RATES, "counts/s")}
        start = {
            "plan_name": "xanes", "motors": ["energy"], "element": "Ni", "edge": "K", "sample": "NiO pellet",
            "energies": self.wanted.tolist(), "scan": {"type": "XAS", "dwell": 0.5},
        }  # fmt: skip
        return documents(rows, units, devices, start=start | self.start)


@dataclass
class Raster:
    """A snaking raster, at several energies or at one, whose last pixels may be missing."""

    seed: int
    energies: Numbers = field(default_factory=lambda: EDGE + np.array([-30.0, -5.0, 5.0, 12.0, 40.0]))
    rows: int = 5
    columns: int = 7
    missing: int = 0

    def __post_init__(self) -> None:
        source = np.random.default_rng(self.seed)
        shape = (self.energies.size, self.rows, self.columns)
        self.reached = self.energies + 0.1 + source.normal(0, 0.002, self.energies.size)
        self.incident = source.uniform(0.8, 1.2, shape) * 1e5
        self.amount = source.uniform(0.2, 1.0, shape[1:])
        self.line = np.rint(self.incident * 0.01 * self.amount * absorption(self.reached)[:, None, None])
        self.transmitted = self.incident * np.exp(-0.2 * self.amount * absorption(self.reached)[:, None, None])
        self.y = 3.0 + 0.5 * np.arange(self.rows)
        self.x = -2.0 + 0.25 * np.arange(self.columns)
        self.there = np.arange(np.prod(shape)) < np.prod(shape) - self.missing

    def places(self) -> list[tuple[int, int, int]]:
        """Plane, row and column of each point."""
        found = []
        for place in range(int(self.there.sum())):
            plane, row, column = (int(one) for one in np.unravel_index(place, self.line.shape))
            if (plane * self.rows + row) % 2:
                column = self.columns - 1 - column
            found.append((plane, row, column))
        return found

    def documents(self, **more: Any) -> list[Document]:
        rows = []
        for plane, row, column in self.places():
            at = plane, row, column
            rows.append(
                {
                    "energy": float(self.reached[plane]), "sample_y": float(self.y[row]),
                    "sample_x": float(self.x[column]), RATES[0]: float(self.incident[at]),
                    RATES[1]: float(self.transmitted[at]), "xrf_Ni_Ka": float(self.line[at]),
                    "xrf_Ni_Ka_counts": float(self.line[at]),
                }
            )  # fmt: skip
        several = self.energies.size > 1
        shape, snaking = [self.rows, self.columns], [False, True]
        extents = [[float(self.y[0]), float(self.y[-1])], [float(self.x[0]), float(self.x[-1])]]
        start = {
            "plan_name": "raster_stack" if several else "raster", "sample": "particles",
            "motors": ["energy", "sample_y", "sample_x"] if several else ["sample_y", "sample_x"],
            "shape": [self.energies.size, *shape] if several else shape,
            "snaking": [False, *snaking] if several else snaking,
            "extents": [[0.0, 1.0], *extents] if several else extents,
        }  # fmt: skip
        if several:
            start["energies"] = self.energies.tolist()
        devices = {
            "energy": ["energy"], "sample_y": ["sample_y"], "sample_x": ["sample_x"], "counters": RATES[:2],
            "xrf": ["xrf_Ni_Ka", "xrf_Ni_Ka_counts"],
        }  # fmt: skip
        units = {"energy": "eV", "sample_y": "um", "sample_x": "um", RATES[0]: "counts/s", RATES[1]: "counts/s"}
        status = "abort" if self.missing else "success"
        return documents(rows, units, devices, start=start | more, exit_status=status)

    def normalised(self, counts: Numbers) -> Numbers:
        """What an export is to have: counts over incident beam, brought to its median; NaN where there is no point."""
        taken = np.full(counts.shape, np.nan)
        incident = np.full(counts.shape, np.nan)
        for at in self.places():
            taken[at], incident[at] = counts[at], self.incident[at]
        return np.asarray(taken / (incident / np.nanmedian(incident)))
