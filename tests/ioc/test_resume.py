"""Scans of the simulated TXM that were aborted or killed, or lost the beam: nothing lost, and nothing taken twice."""

import secrets
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from conftest import Simulate
from resume_trials import LONG_S, WAYS, Trials, make_ready

from whiteline.analysis.live.kinds import kind_of
from whiteline.analysis.runs import find_run
from whiteline.analysis.runs.projections import projections_of
from whiteline.plans import fly_tomography

PROJECTIONS, ANGLE = 100, 120.0


@pytest.fixture(scope="module")
def trials(simulate: Simulate, tag: str) -> Iterator[Trials]:
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    one = Trials(simulate("txm", speed=20.0), seed, f"{tag}SIM:machine:fault:beam_dump")
    make_ready(one.session)
    yield one
    one.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_stack_that_is_interrupted_is_whole_when_it_was_gone_on_with(trials: Trials, way: str) -> None:
    undisturbed, tried = trials.undisturbed("xanes_stack"), trials.interrupted("xanes_stack", way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    run = tried.run
    assert run.completeness.whole
    np.testing.assert_allclose(run.energies, undisturbed.energies, atol=0.05)
    np.testing.assert_allclose(run.stream("flat").numbers("energy"), undisturbed.energies, atol=0.05)
    assert run.frames.readable().all()
    assert run.flats.readable().all()
    np.testing.assert_allclose(
        [frame.mean() for frame in run.frames], [frame.mean() for frame in undisturbed.frames], rtol=0.05
    )


@pytest.mark.parametrize("way", WAYS)
def test_tiles_that_are_interrupted_are_all_there_when_they_were_gone_on_with(trials: Trials, way: str) -> None:
    undisturbed, tried = trials.undisturbed("mosaic"), trials.interrupted("mosaic", way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    run = tried.run
    assert run.completeness.whole
    assert len(run.points) == 6
    for axis in ("sample_x", "sample_y"):
        np.testing.assert_allclose(run.points.numbers(axis), undisturbed.points.numbers(axis), atol=0.05)
    assert run.frames.readable().all()


@pytest.mark.parametrize("way", WAYS)
def test_a_tomography_that_is_interrupted_is_whole_when_it_was_gone_on_with(trials: Trials, way: str) -> None:
    trials.undisturbed("fly_tomography")
    tried = trials.interrupted("fly_tomography", way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    assert tried.run.completeness.whole
    assert kind_of(tried.run) == "tomography"
    assert projections_of(tried.run).frames.shape[0] == 50


@pytest.mark.parametrize("way", WAYS)
def test_turns_at_several_energies_are_all_there_when_they_were_gone_on_with(trials: Trials, way: str) -> None:
    from whiteline.beamline.resuming.members import members_of

    undisturbed, tried = trials.undisturbed("xanes_tomography"), trials.interrupted("xanes_tomography", way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    runs = [one.run for one in members_of(tried.run, trials.session.store.catalog)]
    wanted = [one.run for one in members_of(undisturbed, trials.session.store.catalog)]
    assert len(runs) == len(wanted) == 2
    for run, other in zip(runs, wanted, strict=True):
        assert run.completeness.whole
        np.testing.assert_allclose(run.energies_of("primary"), other.energies_of("primary"), atol=0.05)
        np.testing.assert_allclose(
            run.points.read("sample_rotation"), other.points.read("sample_rotation"), atol=0.02
        )  # fmt: skip


def test_a_turn_that_is_aborted_is_gone_on_with_from_its_first_missing_angle(trials: Trials) -> None:
    session = trials.session
    devices, engine, uids, told = session.devices, session.engine, list[str](), list[str]()

    def interfere(name: str, document: dict[str, Any]) -> None:
        if name == "start":
            uids.append(document["uid"])
        elif name == "descriptor" and document["name"] == "fly":
            told.append(document["uid"])
        elif name == "stream_datum" and document["descriptor"] in told:
            told.clear()
            threading.Timer(0.0, engine.request_pause).start()

    token = engine.subscribe(interfere)
    with pytest.raises(RunEngineInterrupted):
        engine(
            fly_tomography(
                devices.camera_triggered, devices.sample.rotation, capture=devices.capture, energy=devices.energy,
                sample=devices.sample, shutter=devices.fast_shutter, exposure_s=1.0, stop=ANGLE,
                projections=PROJECTIONS, flat_frames=3, dark_frames=3,
            )
        )  # fmt: skip
    engine.abort()
    engine.unsubscribe(token)
    session.store.wait(LONG_S)
    first = find_run(session.store.catalog, uids[0])
    there = len(first.fly)
    print(f"{there} of {PROJECTIONS} projections before the abort")
    assert 0 < there < PROJECTIONS
    np.testing.assert_array_equal(first.fly.lines, np.arange(1, there + 1))
    engine(session.resume(uids[0]))
    session.store.wait(LONG_S)
    both = find_run(session.store.catalog, uids[0])
    assert both.completeness.whole
    assert [len(one.fly) for one in both.parts] == [there, PROJECTIONS - there]
    frames, pulses = both.fly.taken_frames("camera")
    np.testing.assert_array_equal(pulses, np.arange(PROJECTIONS))
    wanted = ANGLE / PROJECTIONS * (np.arange(PROJECTIONS) + 0.5)
    np.testing.assert_allclose(both.points.read("sample_rotation"), wanted, atol=0.02)
    assert frames.readable().all()
    np.testing.assert_allclose(both.points.read("energy"), both.energies_of("primary"))
    light = both.fly.read("incident_counts").ravel()
    np.testing.assert_allclose(light, np.median(light), rtol=0.05)
