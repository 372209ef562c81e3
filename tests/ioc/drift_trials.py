"""A stack of a drifting sample on the simulated TXM, held in place or not, compared with where it truly was."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WALK = ("walk_nm = 2.0", "walk_nm = 10.0")
"""Edit of the description: a random walk of five pixels of 20 nm within a hundred seconds."""

ROI, BINNING = (512, 512, 1024, 1024), 2
FRAMES = 3


@dataclass(frozen=True, eq=False)
class Held:
    """How a stack went.

    Parameters
    ----------
    measured_px : ndarray of float64, shape (E, 2)
        Shift of each frame against the first (y, x), as the live analysis has measured it.
    true_px : ndarray of float64, shape (E, 2)
        As it truly was.
    drift_px : ndarray of float64, shape (E, 2)
        Drift of the sample on its stage.
    documents : list
        Of the run.
    """

    measured_px: NDArray[np.float64]
    true_px: NDArray[np.float64]
    drift_px: NDArray[np.float64]
    documents: list[tuple[str, dict[str, Any]]]

    @property
    def residual_px(self) -> float:
        """RMS over frames of (correction of the stage + shift that is left, as measured) − true shift, per axis [px].

        The correction moves the sample by exactly what the stage truly did, so it is the error of what is left.
        """
        return float(np.sqrt(np.mean(np.square(self.measured_px - self.true_px))))

    @property
    def drifted_px(self) -> float:
        """How far the sample has drifted on its stage, at most [px]."""
        return float(np.hypot(*self.drift_px.T).max())

    @property
    def farthest_px(self) -> float:
        """How far the sample was from where it was at first, at most [px]."""
        return float(np.hypot(*self.true_px.T).max())


def hold_trial(devices: Any, truth: Any, energies: list[float], *, hold: bool, **more: Any) -> Held:
    """Take a stack; `truth` returns the exposures so far by field, `more` is for the plan."""
    from bluesky import RunEngine

    from whiteline.analysis.live import LiveXanes
    from whiteline.plans.xanes_stack import xanes_stack

    live = LiveXanes(stage=("sample_y", "sample_x"))
    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine(context_managers=[])
    engine.subscribe(live)
    engine.subscribe(lambda name, document: documents.append((name, json.loads(json.dumps(document, default=list)))))
    try:
        engine(
            xanes_stack(
                devices.camera,
                devices.energy,
                energies,
                sample=devices.sample,
                shutter=devices.fast_shutter,
                exposure_s=0.2,
                frames=FRAMES,
                darks="none",
                shift=live.shift if hold else None,
                **more,
            )
        )
        results = live.wait(120.0)
    finally:
        live.close()
    assert results.pixel_um is not None
    streams = {one["uid"]: one["name"] for name, one in documents if name == "descriptor"}
    order = [streams[one["descriptor"]] for name, one in documents if name == "event"]
    exposed = [stream for stream in order if stream in ("primary", "flat", "dark", "look") for _ in range(FRAMES)]
    found = {key: value[-len(exposed) :] for key, value in truth().items()}
    mine = np.array([one == "primary" for one in exposed])

    def by_energy(name: str) -> NDArray[np.float64]:
        values = np.stack([found[f"{name}_{axis}"][mine] for axis in ("y", "x")], axis=-1)
        means = values.reshape(-1, FRAMES, 2).mean(axis=1)
        return (means - means[0]) / (1e3 * (results.pixel_um or np.nan))

    measured = np.array([[one.shift_y, one.shift_x] for one in results.frames])
    return Held(measured, by_energy("sample") - by_energy("field"), by_energy("drift"), documents)
