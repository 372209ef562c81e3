"""A spectrum whose energy does not halt: each point has the energy of its own angle, and what follows is put back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky.utils import FailedStatus
from fly_fakes import HC_OVER_2D, FlyBeamline
from running import taken

from whiteline.analysis.checks import OutOfRange
from whiteline.plans import fly_xanes

START, STOP, POINTS = 8300.0, 8360.0, 31


@pytest.fixture
def line(tmp_path: Path) -> FlyBeamline:
    line = FlyBeamline(tmp_path)
    line.world.signal = lambda world: world.energy - 8000.0
    return line


def of(line: FlyBeamline, **different: Any) -> Any:
    arguments: dict[str, Any] = {
        "energy_range": (START, STOP, POINTS), "capture": line.capture, "sweep": line.sweep, "dwell_s": 0.05,
        "shutter": line.shutter, **different,
    }  # fmt: skip
    return fly_xanes([line.fly_fluorescence], line.energy, **arguments)


def energy_of(angle: Any) -> Any:
    """Return the energy of a Bragg angle [eV]."""
    return HC_OVER_2D / np.sin(np.radians(angle))


def test_each_point_has_the_energy_of_its_angle(line: FlyBeamline) -> None:
    before = line.state()
    (run,) = taken(of(line))
    energies = energy_of(run.fly.read("bragg_mean"))[0]
    assert energies[0] == pytest.approx(START, abs=1e-6)
    assert energies[-1] == pytest.approx(STOP, abs=1e-6)
    np.testing.assert_allclose(run.points.read("capture_Ni_Ka"), energies - 8000.0)
    # the energy axis stands meanwhile, and must not be taken for the energy of a point
    assert "primary" not in run.streams
    assert run.stream("before").read("energy")[0] == START
    assert run.start["energies"][0] == START
    assert (run.start["element"], run.start["edge"]) == ("Ni", "K")
    assert run.completeness.planned == POINTS
    assert not run.completeness.missing.size
    assert line.sweep.calls["kickoff"] == line.sweep.calls["complete"] == 1
    assert all(one.open for one in line.capture.flown)
    assert line.state() == before
    assert line.world.energy == pytest.approx(8200.0)


def test_repeats_go_both_ways_and_the_energy_ends_where_it_is_told_to(line: FlyBeamline) -> None:
    (run,) = taken(of(line, repeats=3, both_ways=True, return_to=8310.0))
    energies = energy_of(run.fly.read("bragg_mean"))
    assert energies.shape == (3, POINTS)
    assert (np.diff(energies[0]) > 0).all()
    np.testing.assert_allclose(energies[1], energies[0][::-1])
    np.testing.assert_allclose(energies[2], energies[0])
    assert run.completeness.planned == 3 * POINTS
    assert line.world.energy == pytest.approx(8310.0)


def test_a_sweep_that_fails_is_taken_again_from_its_beginning(line: FlyBeamline) -> None:
    line.capture.fault = lambda attempt: "trajectory" if attempt == 0 else ""
    (run,) = taken(of(line))
    assert len(run.fly) == 1
    assert line.sweep.calls["prepare"] == 2
    line.capture.fault = lambda attempt: "trajectory"
    before = line.state()
    with pytest.raises(FailedStatus) as raised:
        taken(of(line))
    assert "the axis has stopped in the line" in str(raised.value.__cause__)
    assert line.state() == before
    assert line.world.energy == pytest.approx(8200.0)


@pytest.mark.parametrize(
    ("different", "kind", "says"),
    [
        ({"energy_range": (8.3, 8.36, 31)}, OutOfRange, "keV"),
        ({"energy_range": (8300.0, 8300.0, 31)}, ValueError, "from one energy to another"),
        ({"energy_range": (8300.0, 8360.0)}, ValueError, "must be .start, stop, points."),
        ({"energy_range": (8300.0, 8360.0, 1)}, OutOfRange, "number of points of energy_range"),
        ({"energy_range": (8300.0, 13000.0, 31)}, ValueError, "energy 13000 eV must lie between"),
        ({"dwell_s": 1e-4}, OutOfRange, "rate of fluorescence"),
        ({"repeats": 0}, OutOfRange, "repeats"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_message(
    line: FlyBeamline, different: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        next(of(line, **different))


def test_what_follows_must_be_able_to(line: FlyBeamline) -> None:
    with pytest.raises(TypeError, match="sweep = counters cannot play this part"):
        next(of(line, sweep=line.counters))
