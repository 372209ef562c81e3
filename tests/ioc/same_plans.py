"""Calls of plans that are the same on every beamline: only the descriptions differ."""

import time
from typing import Any

import numpy as np
from ca_client import Channels

from whiteline.analysis.runs import Run, open_run

ENERGIES = [8330.0, 8345.0, 8360.0]
LONG_S = 60.0


def ready(devices: Any, ca: Channels) -> Any:
    """Return devices of which the photon shutter is open, and the counters know their dark rates."""
    from bluesky import RunEngine
    from bluesky import plan_stubs as bps

    ca.put("FE:shutter:command", "Open")
    chambers = {"gains": {"incident": 1e8}, "dark_rates": {"incident": {1e8: 10.0}}}

    def prepare() -> Any:
        yield from bps.mv(devices.energy, ENERGIES[0])
        yield from bps.configure(devices.counters, chambers)

    RunEngine(context_managers=[])(prepare())
    return devices


def taken(plan: Any) -> list[Run]:
    """Run a plan, and open its runs."""
    from bluesky import RunEngine

    documents: list[list[tuple[str, dict[str, Any]]]] = []

    def keep(name: str, document: dict[str, Any]) -> None:
        if name == "start":
            documents.append([])
        documents[-1].append((name, document))

    RunEngine(context_managers=[])(plan, keep)
    return [open_run(one) for one in documents]


def judge_tidy(devices: Any) -> None:
    """Assert that nothing is left open, off or staged."""
    devices.fast_shutter.trigger().wait(LONG_S)
    assert devices.fast_shutter.status.get() == "Closed"
    assert devices.mono.feedback.is_on


def judge_all(devices: Any) -> None:
    """Take a spectrum, a tuning, a map and a series, and assert that each is what it should be."""
    from whiteline.plans import raster, time_series, tune, xanes

    counters, shutter = devices.counters, devices.fast_shutter
    (spectrum,) = taken(xanes([counters], devices.energy, ENERGIES, dwell_s=0.5, shutter=shutter))
    assert spectrum.completeness.whole
    np.testing.assert_allclose(spectrum.energies, ENERGIES, atol=0.05)
    dark_counts = 50.0
    assert (spectrum.points.numbers("counters_incident_counts") > dark_counts).all()
    judge_tidy(devices)

    (curve,) = taken(
        tune(
            [counters], devices.mono.fine_pitch, span=240.0, points=25, dwell_s=0.2, shutter=shutter,
            feedback=devices.mono.feedback,
        )
    )  # fmt: skip
    assert curve.stream("tuned").read("tuned_reason")[0] == ""
    counts = curve.points.numbers("counters_incident_counts")
    assert counts.min() < 0.2 * counts.max()
    judge_tidy(devices)

    here = devices.sample.x.position, devices.sample.y.position
    (map_,) = taken(
        raster(
            [counters], devices.sample.x, devices.sample.y, fast_range=(-1.0, 1.0, 3), slow_range=(0.0, 1.0, 2),
            dwell_s=0.2, shutter=shutter,
        )
    )  # fmt: skip
    assert map_.raster_shape == (2, 3)
    np.testing.assert_allclose(map_.points.numbers("sample_x"), [-1, 0, 1] * 2, atol=0.1)
    np.testing.assert_allclose(map_.points.numbers("sample_y"), [0] * 3 + [1] * 3, atol=0.1)
    assert np.isfinite(map_.map_of("counters_incident_counts")).all()
    np.testing.assert_allclose((devices.sample.x.position, devices.sample.y.position), here, atol=0.1)
    judge_tidy(devices)

    arguments = {
        "detectors": [counters], "energy": devices.energy, "energies": ENERGIES[:2], "dwell_s": 0.2, "shutter": shutter,
    }  # fmt: skip
    times, began = [0.0, 2.0], time.time()
    runs = taken(time_series("xanes", arguments, times_s=times))
    assert [run.start["group_index"] for run in runs] == [0, 1]
    assert len({run.start["group"] for run in runs}) == 1
    assert [run.start["series"]["due_s"] for run in runs] == times
    # however late the machine makes them, none begins before it is due, and it is told how late it was
    for run, due in zip(runs, times, strict=True):
        assert run.start["time"] >= began + due + run.start["series"]["late_s"] - 0.05
    assert all(run.completeness.whole for run in runs)
    judge_tidy(devices)
