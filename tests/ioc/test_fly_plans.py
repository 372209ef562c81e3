"""Fly scans of the simulated nanoprobe: the same map as by steps, and nothing lost but what was not flown."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from flying_session import BEFORE, PIXELS
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize

from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated

SESSION = Path(__file__).with_name("flying_session.py")
FAST = "NANO:shutter:"
ENERGY = 8360.0
STILL = [
    ("walk_nm = 2.0, creep_nm_per_s = 5.0", "walk_nm = 0.0, creep_nm_per_s = 0.0"),
    ("drift_urad_per_h = 0.5", "drift_urad_per_h = 0.0"),
]
"""A sample that does not drift between the two maps."""

NI_KA = slice(735, 760)
"""Bins of 10 eV around the line, all elements."""

PITCH_UM, STEP_UM = 0.05, 0.125
FLOWN, STEPPED = (26, 20), (9, 7)
FLOWN_S, STEPPED_S = 0.05, 0.005

FEWEST = 10.0
"""Counts of a pixel that is compared: with fewer, their variance is not known well enough."""

Numbers = NDArray[np.float64]


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("nanoprobe", STILL, speed=20.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    from whiteline.beamline.build import build

    built = keep(build(twin.beamline))
    ca.put("FE:shutter:command", "Open")
    built.energy.set(ENERGY).wait(120.0)
    return built


def taken(plan: Any) -> Any:
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder

    builder, engine = RunBuilder(), RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine(plan)
    return builder.run()


def span(centre: float, pitch: float, points: int) -> tuple[float, float, int]:
    half = pitch * (points - 1) / 2
    return centre - half, centre + half, points


def test_a_fly_scan_shows_what_a_step_scan_shows(twin: Simulated, devices: Any) -> None:
    """Poisson noise is all that is left when the shift between them was measured, which is a part of a pixel."""
    from whiteline.plans import fly_raster, raster

    centre = physics.nanoprobe(twin.beamline).sample.bodies[0].outline.centre
    x, y = -float(centre[0]) + 0.3, -float(centre[1]) + 0.3  # within a particle, beside its middle
    common = {"shutter": devices.fast_shutter, "snake": True, "energy": devices.energy}
    axes = devices.sample.x, devices.sample.y
    flown = taken(
        fly_raster(
            [devices.fluorescence_triggered], *axes, capture=devices.capture, dwell_s=FLOWN_S,
            fast_range=span(x, PITCH_UM, FLOWN[0]), slow_range=span(y, PITCH_UM, FLOWN[1]), **common,
        )
    )  # fmt: skip
    stepped = taken(
        raster(
            [devices.fluorescence], *axes, dwell_s=STEPPED_S,
            fast_range=span(x, STEP_UM, STEPPED[0]), slow_range=span(y, STEP_UM, STEPPED[1]), **common,
        )
    )  # fmt: skip
    spectra, pulses = flown.fly.taken_frames("fluorescence")
    assert len(pulses) == FLOWN[0] * FLOWN[1]
    counts = np.asarray(spectra)[:, :, NI_KA].sum((1, 2)).reshape(FLOWN[::-1]).astype(float)
    rate = counts / flown.fly.gate_s()  # a stage that shakes makes gates of different length
    rate_variance = counts / flown.fly.gate_s() ** 2
    for one in (rate, rate_variance):
        one[1::2] = one[1::2, ::-1]
    steps = np.array([frame[:, NI_KA].sum() for frame in stepped.stack("fluorescence_spectra")])
    order = np.arange(STEPPED[0] * STEPPED[1]).reshape(STEPPED[::-1])
    order[1::2] = order[1::2, ::-1]
    seen = steps[order].astype(float)
    rows, columns = (
        (np.arange(n) - (n - 1) / 2) * STEP_UM / PITCH_UM + (m - 1) / 2
        for n, m in zip(STEPPED[::-1], FLOWN[::-1], strict=True)
    )

    def chi2(shift: Any) -> float:
        at = np.meshgrid(rows + shift[0], columns + shift[1], indexing="ij")
        expected = STEPPED_S * map_coordinates(rate, at, order=1)
        # the flown map has noise of its own: less where it is interpolated between pixels
        squares = np.prod([(1 - part) ** 2 + part**2 for part in (np.mod(one, 1.0) for one in at)], axis=0)
        variance = expected + STEPPED_S**2 * squares * map_coordinates(rate_variance, at, order=1)
        there = expected > FEWEST
        return float(np.mean((seen - expected)[there] ** 2 / variance[there]))

    best = minimize(chi2, [0.1, -0.1], method="Nelder-Mead")
    print(f"shift {best.x * PITCH_UM * 1e3} nm, chi2 {best.fun:.3f}, counts {seen.min():.0f} to {seen.max():.0f}")
    assert seen.max() > 1.2 * seen.min()
    assert np.abs(best.x).max() < 0.5
    assert best.fun == pytest.approx(1.0, abs=4 * np.sqrt(2 / seen.size))
    for aside in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        assert chi2(best.x + aside) > best.fun + 4 * np.sqrt(2 / seen.size)


def test_an_element_is_counted_while_it_flies_as_its_spectra_have_it(twin: Simulated, devices: Any) -> None:
    """Two counts of the same expectation, whose noise is drawn apart; without its lines the box counts none."""
    from whiteline.plans import fly_raster

    centre = physics.nanoprobe(twin.beamline).sample.bodies[0].outline.centre
    x, y = -float(centre[0]), -float(centre[1])

    def flown() -> Any:
        return taken(
            fly_raster(
                [devices.fluorescence_triggered], devices.sample.x, devices.sample.y, capture=devices.capture,
                fast_range=span(x, PITCH_UM, 24), slow_range=span(y, PITCH_UM, 4), dwell_s=0.02, snake=True,
                energy=devices.energy, shutter=devices.fast_shutter,
            )
        )  # fmt: skip

    devices.fluorescence.set_regions([("Ni", "Ka")], ENERGY).wait(60.0)
    (region,) = devices.fluorescence.line_regions
    run = flown()
    spectra, pulses = run.fly.taken_frames("fluorescence")
    whole = np.asarray(spectra)
    assert len(pulses) == 24 * 4
    for column, held in (
        ("Ni_Ka_counts", whole[:, :, region.first : region.beyond].sum((1, 2), dtype=float)),
        ("fluorescence_events", whole.sum((1, 2), dtype=float)),
    ):
        counted = run.fly.read(column).ravel()
        assert held.sum() > 1e4
        assert counted.sum() == pytest.approx(held.sum(), abs=5 * np.sqrt(2 * held.sum()))
        assert (counted - held).std() == pytest.approx(np.sqrt((counted + held).mean()), rel=0.5)
    assert run.lines == ("capture_Ni_Ka",)
    live = run.points.read("capture_Ni_Ka_counts") / run.points.read("capture_Ni_Ka")
    rate = run.fly.read("fluorescence_events") / run.fly.gate_s() / whole.shape[1]
    dead_s = float(devices.fluorescence.dead_time.get())
    np.testing.assert_allclose(live, np.exp(-rate * dead_s / live.reshape(rate.shape)).ravel(), rtol=1e-9)
    devices.fluorescence.set_regions([], ENERGY).wait(60.0)
    assert flown().lines == ()


def test_lines_so_far_are_there_after_a_kill_and_the_machine_closes_the_shutter(
    twin: Simulated, devices: Any, ca: Channels
) -> None:
    from whiteline.analysis.runs import open_run
    from whiteline.beamline.store.writing import open_store
    from whiteline.plans import fly_raster

    process = subprocess.Popen(
        [sys.executable, str(SESSION), str(twin.options.beamline), str(twin.folder)],
        env=os.environ | twin.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "flying"
        assert ca.get(f"{FAST}status", as_string=True) == "Open"
    finally:
        process.kill()
        process.wait()
    process.stdout.close()
    ca.wait(f"{FAST}status", lambda value: value == 0)
    with open_store(twin.beamline) as store:  # it takes up what the session has left behind
        (uid,) = store.catalog
        run = open_run(store.catalog[uid])
    x = run.fly.read("x_mean")
    assert x.shape == (BEFORE, PIXELS)
    assert np.isfinite(x).all()
    # the next one takes the box and the axis as they are
    again = taken(
        fly_raster(
            [], devices.sample.x, devices.sample.y, capture=devices.capture, dwell_s=0.02,
            fast_range=(-0.5, 0.5, 20), slow_range=(0.0, 0.1, 2), snake=True, shutter=devices.fast_shutter,
        )
    )  # fmt: skip
    assert np.isfinite(again.fly.read("x_mean")).all()
    assert ca.get("NANO:sample:fine:x.VELO") == 1000.0


@pytest.mark.parametrize("way", ["stop", "abort"])
def test_a_fly_scan_that_is_ended_anywhere_leaves_the_beamline_as_it_was(devices: Any, ca: Channels, way: str) -> None:
    from twin_trials import ended_at

    from whiteline.plans import fly_raster

    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    source = np.random.default_rng(seed)

    def plan() -> Any:
        return fly_raster(
            [devices.fluorescence_triggered], devices.sample.x, devices.sample.y, capture=devices.capture,
            fast_range=(-0.5, 0.5, 20), slow_range=(0.0, 0.4, 5), dwell_s=0.2, snake=True,
            shutter=devices.fast_shutter,
        )  # fmt: skip

    before = [axis.position for axis in (devices.sample.x, devices.sample.y)]
    for _ in range(3):
        number, after_s = int(source.integers(20, 130)), float(source.uniform(0.0, 0.1))
        ended_at(plan, way, number, after_s)
        what = f"{way} {after_s:.3f} s after message {number}"
        assert ca.get(f"{FAST}status", as_string=True) == "Closed", what
        assert ca.get("NANO:capture:State_RBV", as_string=True) not in ("Armed", "Running"), what
        assert ca.get("NANO:capture:Capture_RBV", as_string=True) == "Closed", what
        assert ca.get("NANO:sample:fine:x.VELO") == 1000.0, what
        assert ca.get("NANO:fluorescence:det1:TriggerMode_RBV", as_string=True) == "Internal", what
        assert ca.get("NANO:fluorescence:det1:Acquire_RBV") == 0, what
        after = [axis.position for axis in (devices.sample.x, devices.sample.y)]
        assert after == pytest.approx(before, abs=0.03), what
