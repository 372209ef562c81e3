"""Any axis: counts stand at the places where they were taken, and the axis is back where it stood."""

import math

import numpy as np
import pytest
from fakes import FakeBeamline
from running import taken

from whiteline.analysis.checks import OutOfRange
from whiteline.plans import scan_axis


def test_an_edge_is_where_it_is_and_the_axis_goes_back(seed: int) -> None:
    line = FakeBeamline()
    edge = float(np.random.default_rng(seed).uniform(-1.0, 1.0))
    home = line.sample.x.position
    line.world.signal = lambda world: 1.0 + math.tanh((world.positions["x"] - home - edge) / 0.2)
    (run,) = taken(
        scan_axis(
            [line.counters], line.sample.x, start=-3.0, stop=3.0, points=61, relative=True, dwell_s=0.1,
            shutter=line.shutter,
        )
    )  # fmt: skip
    points = run.stream()
    where, counted = points.numbers(line.sample.x.name), points.numbers("counters_incident")
    assert len(points) == 61
    assert where[0] == pytest.approx(home - 3.0)
    assert where[-1] == pytest.approx(home + 3.0)
    assert np.interp(1.0, counted, where) == pytest.approx(home + edge, abs=0.02)
    assert line.sample.x.position == pytest.approx(home)
    assert line.world.shutter == "Closed"
    assert line.counters.dwell.value == 0.25


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"points": 1}, OutOfRange, "points"),
        ({"points": 2.5}, OutOfRange, "points"),
        ({"stop": 1e6}, ValueError, "sample_x"),
        ({"stop": math.nan}, OutOfRange, "stop"),
        ({"dwell_s": 0.0}, OutOfRange, "dwell"),
        ({"relative": True, "start": -1e6}, ValueError, "sample_x"),
    ],
)
def test_what_cannot_be_moves_nothing(wrong: dict[str, object], error: type[Exception], sentence: str) -> None:
    line = FakeBeamline()
    home = line.sample.x.position
    given = {"start": -1.0, "stop": 1.0, "points": 3, **wrong}
    with pytest.raises(error, match=sentence):
        taken(scan_axis([line.counters], line.sample.x, shutter=line.shutter, **given))
    assert line.sample.x.position == home
    assert not line.world.exposures
