"""Fluorescence lines that a capture box counts: corrected for dead time, honest errors, a region that follows."""

from pathlib import Path

import numpy as np
import pytest
from fly_runs import FlyRun
from flying import Flown
from test_fly_runs import UNITS, line_of, md_of

from whiteline.analysis.deadtime import counted_rate
from whiteline.analysis.live import analyse
from whiteline.analysis.live.fly_lines import scatter_over_poisson
from whiteline.analysis.runs import open_run

ELEMENTS, DEAD_TIME_S = 4.0, 2.5e-7
COUNTED = {"capture_dead_time": DEAD_TIME_S, "capture_elements": ELEMENTS}
EVENTS = {**UNITS, "fluorescence_events": "counts"}


def busy_line(flown: Flown, line: int, per_s: float) -> dict[str, np.ndarray]:
    """The columns of a line on which each element is hit so often; half of it is Ni Ka, times what the sample gives."""
    rate = per_s * flown.expected[line] / flown.counts
    seen = flown.source.poisson(counted_rate(rate, DEAD_TIME_S) * ELEMENTS * flown.gate_s)
    return line_of(flown, line) | {
        "Ni_Ka_counts": flown.source.binomial(seen, 0.5).astype(float), "fluorescence_events": seen.astype(float),
    }  # fmt: skip


@pytest.mark.parametrize("told", [True, False])
def test_a_busy_detector_is_corrected_where_it_tells_its_dead_time(seed: int, tmp_path: Path, told: bool) -> None:
    flown, per_s = Flown(seed, lines=12, pulses=40, lag_s=0.0, vibration_um=0.0, counts=2000.0), 1e6
    run = FlyRun(tmp_path, md_of(flown), EVENTS, 40, configuration=COUNTED if told else {})
    documents = [*run.begin()]
    for line in range(12):
        documents += run.fly(busy_line(flown, line, per_s))
    documents += run.end()
    arrived = 0.5 * per_s * ELEMENTS * flown.gate_s * flown.expected / flown.counts
    opened = open_run(documents)
    raw, corrected = (opened.points.read(key).reshape(12, 40) for key in ("capture_Ni_Ka_counts", "capture_Ni_Ka"))
    if not told:
        np.testing.assert_array_equal(raw, corrected)
        assert opened.fly.windows == ()
        return
    assert opened.lines == ("capture_Ni_Ka",)
    assert (raw / arrived).mean() == pytest.approx(np.exp(-per_s * DEAD_TIME_S), rel=0.05)
    assert (corrected / arrived).mean() == pytest.approx(1.0, abs=0.01)
    found = analyse(documents).map("capture_Ni_Ka")
    # per incident beam, brought to the median of it
    truth = arrived / flown.beam * np.median(flown.beam)
    truth[1::2] = truth[1::2, ::-1]
    pulls = ((found.value - truth) / found.error)[found.valid]
    assert found.valid.mean() > 0.9
    assert abs(pulls.mean()) < 0.3
    assert 0.85 < pulls.std() < 1.3


@pytest.mark.parametrize("factor", [0.01, 1.0, 30.0])
def test_the_scatter_of_a_beam_says_how_well_it_is_known(seed: int, factor: float) -> None:
    """Of a current that is turned into counts, a count is worth more photons than one, or fewer."""
    source = np.random.default_rng(seed)
    mean, gates = 1e5, np.full((20, 200), 1e-3)
    slow = 1 + 0.05 * np.sin(np.arange(200) / 30)
    counts = mean * slow + np.sqrt(factor * mean) * source.standard_normal((20, 200))
    counts[3, 7] = np.nan
    found = np.median(scatter_over_poisson(counts, gates))
    assert found == pytest.approx(factor, rel=0.2, abs=0.02)
    assert np.isnan(scatter_over_poisson(np.zeros((2, 200)), gates[:2])).all()


def test_maps_that_followed_the_sample_lie_on_one_another(seed: int, tmp_path: Path) -> None:
    """Positions stay what they were; only the grid of each map goes with its region."""
    moved = [(0.0, 0.0), (0.31, -0.17), (0.48, -0.4)]
    md = md_of(Flown(seed, lines=6, pulses=30))
    md |= {"shape": [3, 6, 30], "extents": [[8330.0, 8350.0], *md["extents"]], "snaking": [False, False, True]}
    run = FlyRun(tmp_path, md, UNITS, 30, moved=True)
    documents, row = [*run.begin()], 0
    for number, (y, x) in enumerate(moved):
        documents += run.energy(8330.0 + 10 * number, (y, x))
        flown = Flown(seed, lines=6, pulses=30, lag_s=0.0, vibration_um=0.0)
        for line in range(6):
            columns = line_of(flown, line, row=row)
            for axis, by in (("x", x), ("y", y)):
                for part in ("mean", "start", "end"):
                    columns[f"{axis}_{part}"] = columns[f"{axis}_{part}"] + by
            documents += run.fly(columns)
            row += 1
    documents += run.end()
    found, opened = analyse(documents), open_run(documents)
    assert found.planes is not None
    assert np.isfinite(found.planes.value).mean() > 0.95
    for plane in range(3):
        assert (opened.binned("Ni_Ka", plane=plane).coverage > 0).mean() > 0.95
        np.testing.assert_allclose(found.planes.value[plane], found.planes.value[0], rtol=1e-4)
    x = opened.points.read("sample_fine_x").reshape(3, -1)
    assert (x[2] - x[0]).mean() == pytest.approx(-0.4, abs=1e-9)
