"""Scans of both simulated beamlines that are aborted, killed, or lose the beam at random moments, and are gone on with.

What is counted: points of all roles that the runs together lack, and those that were recorded twice. Stacks are
compared with an undisturbed one, pixel by pixel: χ² of the difference of optical densities, all frames on the pixels of
the same reference, and the largest shift that is left. Its reference is χ² of two stacks that were both undisturbed,
and that without the part of the field that is blank: there the change of the beam between a frame and its flat shows.
What moves the figure: points that are numbered as they come, and not by `only`, lie on one another, and are lost.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "resume_points_lost": ("==", 0.0),
    "resume_points_doubled": ("==", 0.0),
    "resume_chi2_off": ("<=", 0.05),
    "resume_shift_px": ("<=", 0.1),
}

SPEED = 10.0
TRIALS, LONG_TRIALS = 3, 20
FAULT = "SIM:machine:fault:beam_dump"
ROI = (768, 768, 512, 512)
BLANK = (0, 256, 0, 24)
"""Of frames of this region, binned by two: rows and columns beside the sample, from the first to before the last."""


def measure(*, long: bool) -> dict[str, float]:
    """Measure each beamline in another process, which decides once and for all where it looks for IOCs."""
    found: dict[str, float] = {}
    for beamline in ("txm", "nanoprobe"):
        with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
            environment = os.environ | client_environment(*ports)
            command = [sys.executable, __file__, beamline, *map(str, ports), folder, *(["--long"] if long else [])]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"scans of the {beamline} could not be gone on with:\n{done.stderr}")
        one: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        for key, value in one.items():
            found[key] = found.get(key, 0.0) + value  # those of the stacks are measured at one of the two
    return found


def _trials(
    beamline: str, ports: list[int], folder: Path, count: int, seed: int, plans: Sequence[str]
) -> dict[str, float]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "ioc"))
    import resume_plans
    import resume_trials as resuming

    resuming.ROI = ROI
    found: dict[str, Any] = {"resume_trials": 0.0, "resume_points_lost": 0.0, "resume_points_doubled": 0.0}
    ways, noise = resuming.WAYS, []
    for name in plans or (resume_plans.FULL_FIELD if beamline == "txm" else resume_plans.SCANNING):
        # within half an hour the sample drifts by micrometres, into the part that is blank: stacks get a new machine
        several = len(ways) if name == "xanes_stack" else count
        for first in range(0, count, several):
            options = Options(beamline=beamline, speed=SPEED, data=folder / f"{name}-{first}")
            with (
                simulated(options, ports=ports) as twin,
                closing(resuming.Trials(twin, seed + first, FAULT)) as trials,
            ):
                resuming.make_ready(trials.session)
                undisturbed = trials.undisturbed(name)
                if name == "xanes_stack" and not first:
                    again = trials.taken(name)
                    found["resume_chi2_undisturbed"] = resuming.noise_between(again, undisturbed, blank=BLANK)[0]
                    found["resume_chi2_no_blank"] = resuming.noise_between(again, undisturbed)[0]
                for number in range(first, min(first + several, count)):
                    tried = trials.interrupted(name, ways[number % len(ways)])
                    told = [tried.what, tried.lost, tried.doubled]
                    found["resume_trials"] += 1
                    found["resume_points_lost"] += tried.lost
                    found["resume_points_doubled"] += tried.doubled
                    if name == "xanes_stack":
                        noise.append(resuming.noise_between(tried.run, undisturbed, blank=BLANK))
                        told.append(noise[-1])
                    print(*told, file=sys.stderr, flush=True)
    if noise:
        found["resume_chi2_off"] = max(abs(chi2 - 1) for chi2, _ in noise)
        found["resume_shift_px"] = max(shift for _, shift in noise)
    return found


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("beamline")
    parser.add_argument("ports", nargs=3, type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--plans", nargs="+", default=())
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), "big") if given.seed is None else given.seed
    print(f"seed {seed}", file=sys.stderr)
    count = given.trials or (LONG_TRIALS if given.long else TRIALS)
    print(json.dumps(_trials(given.beamline, given.ports, given.folder, count, seed, given.plans)))


if __name__ == "__main__":
    _main()
