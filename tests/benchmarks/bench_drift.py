"""A drifting sample held in place on the simulated TXM: how well what is left is known, and how far it gets.

The drift is a random walk of some five pixels over the scan, and what the stage leaves at each return. The reference is
the same scan with the correction switched off.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from whiteline.beamline import description
from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {"drift_residual_px": ("<=", 0.1), "drift_held_within_px": ("<=", 3.0)}

SPEED, SEEDS, LONG_SEEDS = 5.0, 2, 10
ENERGIES = [8325.0 + 5 * number for number in range(12)]


def measure(*, long: bool) -> dict[str, float]:
    """Measure each seed in a process of its own, which decides once and for all where it looks for IOCs."""
    found: list[dict[str, float]] = []
    for seed in range(LONG_SEEDS if long else SEEDS):
        with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, *map(str, ports), folder, str(seed)]
            done = subprocess.run(
                command, env=os.environ | client_environment(*ports), capture_output=True, text=True, check=False
            )
        if done.returncode:
            raise RuntimeError(f"the drift could not be measured:\n{done.stderr}")
        found.append(json.loads(done.stdout.splitlines()[-1]))

    def rms(key: str) -> float:
        return float(np.sqrt(np.mean([one[key] ** 2 for one in found])))

    return {
        "drift_residual_px": rms("residual"),
        "drift_held_within_px": max(one["held"] for one in found),
        "drift_free_within_px": max(one["free"] for one in found),
        "drift_injected_px": rms("drifted"),
    }


def _trial(ports: list[int], folder: Path, seed: int) -> dict[str, float]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "ioc"))
    from drift_trials import BINNING, ROI, WALK, hold_trial
    from instrument_truth import exposures, true_calibrations

    from whiteline.beamline.build import build

    text = (Path(description.__file__).parent / "txm.toml").read_text().replace(*WALK)
    (folder / "drifting.toml").write_text(text)
    options = Options(beamline=str(folder / "drifting.toml"), speed=SPEED, seed=seed, data=folder / "data")
    with simulated(options, ports=ports) as twin:
        devices: Any = build(twin.beamline, calibrations=true_calibrations(twin.beamline))
        devices.wait_for_connection(timeout=60.0)
        devices.photon_shutter.set("Open").wait(60.0)
        devices.camera.change({"roi": ROI, "binning": BINNING}).wait(60.0)

        from ca_client import Channels

        channels = Channels("")
        held, free = (hold_trial(devices, lambda: exposures(channels), ENERGIES, hold=hold) for hold in (True, False))
    return {
        "residual": held.residual_px,
        "held": held.farthest_px,
        "free": free.farthest_px,
        "drifted": held.drifted_px,
    }


def _main() -> None:
    *ports, folder, seed = sys.argv[1:]
    print(json.dumps(_trial([int(one) for one in ports], Path(folder), int(seed))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _main()
