"""Calibrations of energy and focus on simulated TXMs whose true errors are hidden: right, and as right as they say?

Each seed is a twin of its own. The pull is what a calibration predicts, less the truth, over the standard error that it
gives itself, in the middle of 8200 to 8600 eV and for each parameter; the predicted error is the largest that it gives
over that range. Time is that of the twin's own clock: nothing drifts while this machine computes. What moves the
figures: the errors of single points scaled by two moves the pulls, and `passes`, `points` and the exposure move the
predicted errors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "energy_pull_rms": ("<=", 1.25),
    "focus_pull_rms": ("<=", 1.25),
    "focus_a0_pull_rms": ("<=", 1.25),
    "focus_a1_pull_rms": ("<=", 1.25),
    "energy_spacing_pull_rms": ("<=", 1.25),
    "energy_offset_pull_rms": ("<=", 1.25),
    "energy_predicted_error_eV": ("<=", 0.015),
    "focus_predicted_error_dof": ("<=", 0.01),
}

PULLS = ("energy", "energy_spacing", "energy_offset", "focus", "focus_a0", "focus_a1")
"""Of which there are pulls: predictions in the middle of the range, and parameters."""

SEEDS, SEEDS_LONG = 5, 100
SPEED = 200.0
FOILS = ["Co", "Ni", "Cu"]
SCAN_EV = (8200.0, 8400.0, 8600.0)
SIDE, BINNING, EXPOSURE_S = 512, 2, 0.2
DETECTOR_MM = 1700.0
"""Where the detector stands for predictions of the focus."""


def measure(*, long: bool) -> dict[str, float]:
    """Calibrate one twin after the other, each in a process of its own."""
    trials = [_trial(seed) for seed in range(SEEDS_LONG if long else SEEDS)]

    def rms(key: str) -> float:
        values = [trial["pulls"][key] for trial in trials if key in trial["pulls"]]
        return float((sum(value**2 for value in values) / len(values)) ** 0.5) if values else float("nan")

    return {
        **{f"{key}_pull_rms": rms(key) for key in PULLS},
        "energy_predicted_error_eV": max(error for trial in trials for error in trial["energy_errors"]),
        "focus_predicted_error_dof": max(error for trial in trials for error in trial["focus_errors"]),
        "calibrations_refused": float(sum(trial["refused"] for trial in trials)),
    }


def _trial(seed: int) -> dict[str, Any]:
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        environment = os.environ | client_environment(*ports)
        command = [sys.executable, __file__, *map(str, ports), folder, str(seed)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"calibration of seed {seed} could not be measured:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _calibrate(ports: list[int], folder: Path, seed: int, verbose: bool) -> dict[str, Any]:
    import time

    import numpy as np
    from bluesky import RunEngine
    from bluesky import plan_stubs as bps

    sys.path.insert(0, str(Path(__file__).parents[1] / "ioc"))
    from instrument_truth import hidden_errors, true_calibrations

    from whiteline.analysis.live import LiveXanes
    from whiteline.beamline import description
    from whiteline.beamline.build import build
    from whiteline.plans.calibration.calibrate_energy import calibrate_energy
    from whiteline.plans.calibration.calibrate_focus import calibrate_focus

    text = (Path(description.__file__).parent / "txm.toml").read_text()
    for old, new in hidden_errors(np.random.default_rng(seed)):
        text = text.replace(old, new)
    (folder / "hidden.toml").write_text(text)
    options = Options(
        beamline=str(folder / "hidden.toml"), speed=SPEED, clock="frames", seed=seed + 1, data=folder / "data"
    )
    with simulated(options, ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        live = LiveXanes()
        engine = RunEngine({}, context_managers=[], call_returns_result=True)
        engine.subscribe(live)
        corner = (2048 - SIDE * BINNING) // 2

        def prepared() -> Any:
            yield from bps.mv(devices.photon_shutter, "Open")
            region = (corner, corner, SIDE * BINNING, SIDE * BINNING)
            yield from bps.configure(devices.camera, {"binning": BINNING, "roi": region})

        engine(prepared())
        begun = time.monotonic()
        energy = engine(
            calibrate_energy(
                devices.counters,
                devices.energy,
                devices.mono,
                devices.foil_wheel,
                FOILS,
                shutter=devices.fast_shutter,
            )
        ).plan_result
        between = time.monotonic()
        focus = engine(
            calibrate_focus(
                [devices.camera],
                devices.energy,
                devices.zone_plate,
                SCAN_EV,
                shutter=devices.fast_shutter,
                dwell_s=EXPOSURE_S,
                sharpness=live.sharpness,
                shift=live.shift,
                sample=devices.sample,
            )
        ).plan_result
        took = between - begun, time.monotonic() - between
        truth = true_calibrations(twin.beamline)
        live.close()
    if verbose:
        for frame in live.results.frames if live.results else ():
            print(
                frame.number,
                frame.sharpness,
                frame.sharpness_error,
                frame.detail,
                frame.shift_y,
                frame.shift_x,
                frame.trusted,
                file=sys.stderr,
            )
        print(live.troubles, file=sys.stderr)
        print(energy, focus, truth, took, sep="\n", file=sys.stderr)
    return {
        "refused": int(not energy.applied) + int(not focus.applied),
        "pulls": {
            **(_pulls("energy", energy.calibration, truth["monochromator"]) if energy.applied else {}),
            **(_pulls("focus", focus.calibration, truth["zone_plate"]) if focus.applied else {}),
        },
        "energy_errors": energy.calibration.predicted_error(np.array(SCAN_EV)).tolist() if energy.applied else [],
        "focus_errors": _focus_errors(focus.calibration) if focus.applied else [],
        "seconds": took,
    }


def _pulls(of: str, found: Any, true: Any) -> dict[str, float]:
    """Return how far a prediction in the middle of the range, and each parameter, is off, in its standard errors."""
    at = SCAN_EV[1]
    if of == "energy":
        off, error = float(found.energy(true.angle(at))) - at, float(found.predicted_error(at))
        names = ("spacing", "offset")
    else:
        off = float(found.full_field_reading(at, DETECTOR_MM) - true.full_field_reading(at, DETECTOR_MM))
        error, names = float(found.full_field_error(at, DETECTOR_MM)), ("a0", "a1")
    parameters = {
        f"{of}_{name}": (getattr(found, name) - getattr(true, name)) / found.covariance[number][number] ** 0.5
        for number, name in enumerate(names)
    }
    return {of: off / error, **parameters}


def _focus_errors(found: Any) -> list[float]:
    """Return the predicted errors over the range, in depths of focus."""
    return [
        float(found.full_field_error(at, DETECTOR_MM)) / (1e-3 * float(found.zone_plate.depth_of_focus(at)))
        for at in SCAN_EV
    ]


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", nargs=3, type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    print(json.dumps(_calibrate(chosen.ports, chosen.folder, chosen.seed, chosen.verbose)))


if __name__ == "__main__":
    _main()
