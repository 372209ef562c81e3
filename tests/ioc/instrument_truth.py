"""The twin's true energy and focus as calibrations, and what its truth file says of exposures; for tests."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.calibration import Calibration, EnergyCalibration, FocusCalibration
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline

EXACT = ((0.0, 0.0), (0.0, 0.0))
MEASURED = {"version": 1, "date": "2026-03-01", "source": "the truth of the twin"}


def hidden_errors(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return edits of a shipped description that hide fresh errors from the devices."""
    hidden = {
        "bragg_offset_deg": rng.uniform(-0.01, 0.01),
        "spacing_ppm": rng.uniform(-50, 50),
        "undulator_gap_mm": rng.uniform(-1e-4, 1e-4),
        "zone_plate_zero_mm": rng.uniform(-0.3, 0.3),
        "zone_plate_ppm": rng.uniform(-2000, 2000),
    }
    return [(f"\n{name} = 0.0", f"\n{name} = {value:.9g}") for name, value in hidden.items()]


def true_calibrations(beamline: Beamline) -> dict[str, Calibration]:
    """Return what calibrations would be if they were measured without error."""
    mono, plate, simulation = twin.true_monochromator(beamline), beamline.zone_plate, beamline.simulation
    assert plate is not None
    assert simulation is not None
    return {
        "monochromator": EnergyCalibration(spacing=mono.spacing, offset=mono.offset_deg, covariance=EXACT, **MEASURED),
        "zone_plate": FocusCalibration(
            a0=plate.a0_mm + simulation.hidden.zone_plate_zero_mm,
            a1=plate.law.chromaticity * (1 + 1e-6 * simulation.hidden.zone_plate_ppm),
            covariance=EXACT,
            diameter_um=plate.diameter_um,
            outer_zone_width_nm=plate.outer_zone_width_nm,
            run_out=simulation.wander.run_out_um_per_mm,
            **MEASURED,
        ),
    }


def exposures(ca: Any) -> dict[str, NDArray[np.float64]]:
    """Return what the hardware truly did at every exposure so far, by the fields of the truth file."""
    ca.put("SIM:truth:write", 1, timeout=300)
    with h5py.File(ca.get("SIM:truth:file", as_string=True)) as file:
        return {name: values[:] for name, values in file["exposures"].items()}
