"""Scans of the simulated TXM that were aborted or killed, or lost the beam: nothing lost, and nothing taken twice."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import Simulate
from resume_trials import WAYS, Trials, make_ready


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


def test_a_tomography_that_is_aborted_is_whole_when_it_was_gone_on_with(trials: Trials) -> None:
    trials.undisturbed("fly_tomography")
    tried = trials.interrupted("fly_tomography", "abort")
    print(tried.what)
    assert (tried.lost, tried.doubled) == (0, 0), tried.what
    assert tried.run.completeness.whole
