"""The demonstration as `whiteline demo` runs it, on several seeds: how right it is, and how long it takes.

Each seed is another sample, other hidden errors of energy and focus, other drift and noise. The largest of all seeds is
given for each figure, the fraction as a ratio to its Cramér–Rao bound, which is its reference in the same run. What
moves the figures: energies that read 2 eV too high, frames that are not brought back, and a wrong reference, each in
tests/ioc/test_demo.py.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOALS = {
    "demo_fraction_over_bound": ("<=", 1.3),
    "demo_pull_rms_least": (">=", 0.9),
    "demo_pull_rms_most": ("<=", 1.15),
    "demo_edge_bias_eV": ("<=", 0.05),
    "demo_defocus_dof": ("<=", 0.05),
    "demo_drift_residual_px": ("<=", 0.1),
    "demo_valid_share": (">=", 0.5),
    "demo_frames_lost": ("==", 0.0),
    "demo_s": ("<=", 120.0),
}

SEEDS, LONG_SEEDS = 2, 10


def measure(*, long: bool) -> dict[str, float]:
    """Run one demonstration after the other, the first as it is by default."""
    found = [_demonstrated(seed) for seed in range(1, 1 + (LONG_SEEDS if long else SEEDS))]

    def worst(key: str) -> float:
        return max(abs(float(one[key])) if one[key] is not None else float("inf") for one in found)

    pulls = [float(one["fraction_pull_rms"]) for one in found]
    return {
        "demo_fraction_over_bound": max(one["fraction_rms"] / one["fraction_bound"] for one in found),
        "demo_fraction_rms": worst("fraction_rms"),
        "demo_pull_rms_least": min(pulls),
        "demo_pull_rms_most": max(pulls),
        "demo_edge_bias_eV": worst("edge_bias_eV"),
        "demo_edge_rms_eV": worst("edge_rms_eV"),
        "demo_defocus_dof": worst("defocus_max_dof"),
        "demo_drift_residual_px": worst("drift_residual_px"),
        "demo_valid_share": min(one["valid_pixels"] / one["particle_pixels"] for one in found),
        "demo_frames_lost": worst("frames_lost"),
        "demo_scan_s": worst("scan_s"),
        "demo_s": worst("seconds"),
    }


def _demonstrated(seed: int) -> dict[str, Any]:
    code = "from whiteline.beamline.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        command = [sys.executable, "-c", code, "demo", "--seed", str(seed), "--out", folder, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if not done.stdout.rstrip().endswith("}"):
            raise RuntimeError(f"the demonstration of seed {seed} did not come to its end:\n{done.stdout}{done.stderr}")
        catalog = Path(folder) / "demo-txm" / "data" / "catalog"
        scored = subprocess.run(
            [sys.executable, "-c", code, "score", "-1", "--catalog", str(catalog), "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        card: dict[str, Any] = json.loads(scored.stdout.splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**card, **found, "seconds": seconds}


if __name__ == "__main__":
    for name, value in measure(long="--long" in sys.argv).items():
        print(f"{name:28} {value:10.4g}")
