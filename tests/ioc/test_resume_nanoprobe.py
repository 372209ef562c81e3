"""Maps of the simulated nanoprobe that were aborted or killed, or lost the beam: nothing is lost, or taken twice."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import Simulate
from resume_trials import WAYS, Trials, make_ready


@pytest.fixture(scope="module")
def trials(simulate: Simulate, tag: str) -> Iterator[Trials]:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    one = Trials(simulate("nanoprobe", speed=5.0), seed, f"{tag}SIM:machine:fault:beam_dump")
    make_ready(one.session)
    yield one
    one.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("plan", "key"),
    [
        ("raster", "fluorescence_live_fraction"),
        ("raster_stack", "fluorescence_live_fraction"),
        ("fly_raster", "capture_incident_rate"),
        ("fly_raster_stack", "capture_incident_rate"),
    ],
)
def test_a_map_that_is_interrupted_is_whole_when_it_was_gone_on_with(
    trials: Trials, plan: str, way: str, key: str
) -> None:
    undisturbed, tried = trials.undisturbed(plan), trials.interrupted(plan, way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    assert tried.run.completeness.whole
    for axis, unit in (("sample_x", 0.05), ("sample_y", 0.05), ("energy", 0.05)):
        np.testing.assert_allclose(tried.run.map_of(axis), undisturbed.map_of(axis), atol=unit)
    assert np.isfinite(tried.run.map_of(key)).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("plan", "device", "points"), [("xanes", "counters", 12), ("fly_xanes", "capture", 400)])
def test_a_spectrum_that_is_interrupted_is_whole_when_it_was_gone_on_with(
    trials: Trials, plan: str, device: str, points: int, way: str
) -> None:
    undisturbed, tried = trials.undisturbed(plan), trials.interrupted(plan, way)
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    assert tried.run.completeness.whole
    keys = f"{device}_transmitted_counts", f"{device}_incident_counts"
    whole, wanted = (one.spectrum(*keys) for one in (tried.run, undisturbed))
    assert np.isfinite(whole.absorption).sum() == whole.energies.size == points
    np.testing.assert_allclose(whole.energies, wanted.energies, atol=0.05)
    np.testing.assert_allclose(whole.absorption, wanted.absorption, atol=0.1)
