"""The score of runs other than those of the demonstration: a raster that is stepped, and what cannot be scored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate

from whiteline.analysis import energies
from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated

POINTS = energies.by_regions([(-100, -20, 40), (-15, 30, 4), (40, 160, 40)], relative_to=8333.0)
SIDE, STEP_UM, DWELL_S = 6, 0.6, 0.003
BESIDE_UM = 0.8, -0.5
"""By how much the middle of the maps lies beside that of the particle (x, y): a map that is mirrored is another."""
STILL = [
    ("walk_nm = 2.0, creep_nm_per_s = 5.0", "walk_nm = 0.0, creep_nm_per_s = 0.0"),
    ("drift_urad_per_h = 0.5", "drift_urad_per_h = 0.0"),
]
"""A sample that does not drift: maps of so few pixels cannot be brought onto one another."""


@pytest.fixture(scope="module")
def scanning(simulate: Simulate) -> Simulated:
    seed = int(np.random.default_rng().integers(2**31))
    print(f"seed of the twin: {seed}")
    return simulate("nanoprobe", STILL, speed=100.0, clock="frames", seed=seed)


@pytest.fixture(scope="module")
def devices(scanning: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    from whiteline.beamline.build import build

    built = keep(build(scanning.beamline))
    ca.put("FE:shutter:command", "Open")
    chambers = {"gains": {"incident": 1e8}, "dark_rates": {"incident": {1e8: 10.0}}}
    built.counters.change(chambers).wait(60.0)
    built.fluorescence.change({"lines": ["Ni_Ka"], "checked_energy": 8400.0}).wait(60.0)
    return built


def taken(plan: Any) -> Any:
    """Run a plan, and return its run."""
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder

    builder, engine = RunBuilder(), RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine(plan)
    return builder.run()


@pytest.fixture(scope="module")
def raster(scanning: Simulated, devices: Any) -> Any:
    """Beside the largest particle; lines run downwards, so that nothing rests on rows that ascend."""
    from whiteline.plans import raster_stack

    centre = physics.nanoprobe(scanning.beamline).sample.bodies[0].outline.centre
    x, y = (beside - float(one) for beside, one in zip(BESIDE_UM, centre, strict=False))
    half = STEP_UM * (SIDE - 1) / 2
    return taken(
        raster_stack(
            [devices.fluorescence, devices.counters], devices.energy, POINTS, devices.sample.x, devices.sample.y,
            fast_range=(x - half, x + half, SIDE), slow_range=(y + half, y - half, SIDE), dwell_s=DWELL_S, snake=True,
            shutter=devices.fast_shutter,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def truth(scanning: Simulated, raster: Any) -> Path:
    from whiteline.beamline.score.asking import keep_truth

    return keep_truth(scanning.beamline, raster)


def test_a_raster_that_is_stepped_is_scored(raster: Any, truth: Path) -> None:
    from whiteline.beamline.score.scoring import score_run

    scored = score_run(raster, truth)
    card = scored.card
    print(card)
    assert (card.energies, card.pixels, card.frames_lost) == (len(POINTS), SIDE**2, 0)
    assert card.particle_pixels > 10
    # where the map says that there is nickel, there is
    jump, true = scored.results.map("edge jump").value, scored.truth.jumps.sum(axis=0)
    right, *wrong = (
        np.corrcoef(one.ravel(), true.ravel())[0, 1] for one in (jump, jump[::-1], jump[:, ::-1], jump[::-1, ::-1])
    )
    assert right > 0.98
    assert max(wrong) < right - 0.02
    # the fractions of two species are one number, and a root mean square of few numbers scatters
    scatter = 1 / np.sqrt(2 * card.valid_pixels)
    assert card.fraction_rms <= (1.15 + 3.5 * scatter) * card.fraction_bound
    assert card.fraction_pull_rms == pytest.approx(1.0, abs=0.1 + 3.5 * scatter)
    assert card.defocus_max_dof <= 0.05
    assert card.drift_residual_px <= 0.1
    # half height is learnt from many pixels: where they are too few, the card says so, and is not met
    assert np.isnan(card.edge_bias_eV)
    assert not card.met


def test_the_score_of_a_stepped_raster_sees_what_is_wrong(raster: Any, truth: Path) -> None:
    from whiteline.analysis.runs import Run
    from whiteline.beamline.score.scoring import score_run

    primary = raster.streams["primary"]

    def told(by: float) -> Any:
        points = tuple(replace(one, data={**one.data, "energy": one.data["energy"] + by}) for one in primary.points)
        streams = {**raster.streams, "primary": replace(primary, points=points)}
        return Run(raster.start, raster.stop, streams, raster.discarded, raster.path_map)

    right, wrong = (score_run(told(by), truth).card for by in (0.0, 2.0))
    assert wrong.fraction_rms > 3 * right.fraction_rms
    assert wrong.fraction_rms > 1.3 * wrong.fraction_bound


def test_a_raster_that_was_aborted_is_scored_as_far_as_it_goes(scanning: Simulated, raster: Any) -> None:
    from whiteline.analysis.runs import Run
    from whiteline.beamline.score.asking import keep_truth
    from whiteline.beamline.score.scoring import score_run

    maps = 14
    primary = raster.streams["primary"]
    streams = {**raster.streams, "primary": replace(primary, points=primary.points[: maps * SIDE**2])}
    start = {**raster.start, "uid": f"{raster.uid}-aborted"}
    short = Run(start, {**raster.stop, "exit_status": "abort"}, streams, (), raster.path_map)
    card = score_run(short, keep_truth(scanning.beamline, short)).card
    print(card)
    assert card.energies == maps
    assert card.frames_lost == (len(POINTS) - maps) * SIDE**2
    assert card.fraction_rms < 4 * card.fraction_bound
    assert card.defocus_max_dof <= 0.05
    assert card.drift_residual_px <= 0.1
    assert not card.met


def test_a_raster_at_one_energy_has_no_score(scanning: Simulated, devices: Any) -> None:
    from whiteline.beamline.score.asking import keep_truth
    from whiteline.beamline.score.truth import NoTruth
    from whiteline.plans.raster import raster as step_map

    run = taken(
        step_map(
            [devices.fluorescence, devices.counters], devices.sample.x, devices.sample.y, fast_range=(0, 1, 2),
            slow_range=(0, 1, 2), dwell_s=0.1, shutter=devices.fast_shutter,
        )
    )  # fmt: skip
    with pytest.raises(NoTruth, match="over an edge"):
        keep_truth(scanning.beamline, run)
