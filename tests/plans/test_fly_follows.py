"""A fly raster stack that follows its sample: lines where it was at the energy before, and maps that say so."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fly_fakes import FlyBeamline
from interrupting import Kept, devices_of, parts
from running import taken
from test_calibration_focus import events, run

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.live.fake import FakeLive
from whiteline.analysis.runs import find_run
from whiteline.analysis.runs.fly_maps import followed
from whiteline.analysis.runs.pulses import require_pulses
from whiteline.beamline.resuming import resumption_of
from whiteline.plans import fly_raster_stack

ENERGIES = [8330.0, 8340.0, 8350.0, 8360.0]
PIXEL = 0.1


class Wandering:
    """A sample that moves by some tenths of a micrometre from energy to energy, and what is told of it.

    Maps are put onto a grid that ascends, whichever way they are flown.
    """

    def __init__(self, rng: np.random.Generator, fast: Any, slow: Any, folder: Path | None = None) -> None:
        self.line, self.fast, self.slow = FlyBeamline(folder), fast, slow
        self.at = dict(zip(ENERGIES, np.cumsum(rng.normal(0, 0.2, (len(ENERGIES), 2)), axis=0), strict=True))
        self.change: dict[str, Any] = {}
        self.live = FakeLive(shift=self.told)

    def corner(self, energy: float) -> Any:
        """Return where the first line of the map of an energy began (x, y) [µm]."""
        first = next(one for one in self.line.capture.flown if one.energy == energy)
        return np.array([first.line.first, first.y])

    def told(self, _: int) -> dict[str, Any]:
        """Say how far the content of the newest map lies beside that of the first, in their regions."""
        energy, first = self.line.world.energy, ENERGIES[0]
        x, y = (self.at[energy] - self.at[first]) - (self.corner(energy) - self.corner(first))
        told = {"y": y / PIXEL, "x": x / PIXEL, "y_um": y, "x_um": x, "trusted": 1, "confidence": 0.9}
        return told | {"error_y": 0.001, "error_x": 0.001} | self.change


def scan(sample: Wandering, **more: Any) -> Any:
    line = sample.line
    given = {"shift": sample.live.shift} | more
    return fly_raster_stack(
        [], line.energy, ENERGIES, line.sample.x, line.sample.y, capture=line.capture, fast_range=sample.fast,
        slow_range=sample.slow, dwell_s=0.1, shutter=line.shutter, **given,
    )  # fmt: skip


RANGES = [((0.0, 0.4, 5), (5.0, 5.2, 3)), ((0.4, 0.0, 5), (5.0, 5.2, 3)), ((0.0, 0.4, 5), (5.2, 5.0, 3))]


@pytest.mark.parametrize(("fast", "slow"), RANGES)
def test_each_map_is_where_the_sample_was_at_the_energy_before(seed: int, fast: Any, slow: Any) -> None:
    sample = Wandering(np.random.default_rng(seed), fast, slow)
    _, documents = run(scan(sample))
    for before, energy in itertools.pairwise(ENERGIES):
        wanted = sample.corner(ENERGIES[0]) + sample.at[before] - sample.at[ENERGIES[0]]
        np.testing.assert_allclose(sample.corner(energy), wanted, atol=1e-9)
    assert not any(one["drift_reason"] for one in events(documents, "drift"))
    assert len(events(documents, "drift")) == len(ENERGIES) - 1
    for energy, told in zip(ENERGIES, events(documents, "primary"), strict=True):
        moved = sample.corner(energy) - sample.corner(ENERGIES[0])
        assert [told["region_x"], told["region_y"]] == pytest.approx(moved, abs=1e-9)
    assert len(sample.line.capture.flown) == len(ENERGIES) * 3


def test_its_maps_lie_on_one_another(seed: int, tmp_path: Path) -> None:
    """Whatever the region, a map of the same content is the same: the sample is at rest in its region."""
    sample = Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3), tmp_path)

    def content(world: Any) -> float:
        x, y = (world.positions[name] for name in "xy")
        by = moved.get(world.energy, np.zeros(2))
        return 1000.0 + 300.0 * (x - by[0]) + 700.0 * (y - by[1])

    first = sample.at[ENERGIES[0]]
    moved = {energy: sample.at[before] - first for before, energy in itertools.pairwise(ENERGIES)}
    sample.line.world.signal = content
    (found,) = taken(scan(sample))
    maps = [found.binned("Ni_Ka", plane=number).counts(0) for number in range(len(ENERGIES))]
    assert all(one.valid.all() for one in maps)
    for one in maps[1:]:
        np.testing.assert_allclose(one.value, maps[0].value)


def test_what_is_not_believed_or_out_of_reach_moves_nothing(seed: int) -> None:
    sample = Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3))
    sample.change = {"confidence": 0.3}
    _, documents = run(scan(sample, least_confidence=0.5))
    assert all("below 0.50" in one["drift_reason"] for one in events(documents, "drift"))
    assert len({tuple(sample.corner(energy)) for energy in ENERGIES}) == 1

    sample = Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3))
    sample.change = {"x_um": 10.0, "x": 100.0}
    sample.line.sample.x.limits = (-1.0, 5.0)
    _, documents = run(scan(sample))
    assert all("sample_x" in one["drift_reason"] for one in events(documents, "drift"))
    assert all(one["region_x"] == 0.0 for one in events(documents, "primary"))


def test_it_begins_where_an_earlier_run_has_found_the_sample(seed: int) -> None:
    here, there = (Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3)) for _ in range(2))
    run(scan(here))
    run(scan(there, drifted=(0.3, -0.2)))
    first = ENERGIES[0]
    np.testing.assert_allclose(there.corner(first) - here.corner(first), [-0.2, 0.3], atol=1e-9)


def test_without_a_shift_nothing_is_asked_nor_told(seed: int) -> None:
    sample = Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3))
    _, documents = run(scan(sample, shift=None))
    assert sample.live.triggers["shift"] == 0
    assert not any("region_x" in one for one in events(documents, "primary"))


def test_what_cannot_be_is_refused() -> None:
    sample = Wandering(np.random.default_rng(0), (0.0, 0.4, 5), (5.0, 5.2, 3))
    with pytest.raises(OutOfRange, match="least_confidence"):
        next(scan(sample, least_confidence=1.5))
    with pytest.raises(ValueError, match="sample_y"):
        next(scan(sample, drifted=(1e4, 0.0)))


def test_a_map_that_broke_off_is_gone_on_with_where_the_sample_had_drifted_to(tmp_path: Path, seed: int) -> None:
    sample, catalog = Wandering(np.random.default_rng(seed), (0.0, 0.4, 5), (5.0, 5.2, 3), tmp_path), Kept()
    documents = run(scan(sample))[1]
    there = [sample.corner(energy) for energy in ENERGIES]
    first_of_third = next(n for n, (name, one) in enumerate(documents) if name == "stream_datum" and line_in(one) == 7)
    broken = [one for one in documents[:first_of_third] if one[0] != "stop"]
    catalog.keep(broken)
    before = len(sample.line.capture.flown)
    also = [*parts(sample.line), sample.live.shift]
    catalog.keep(run(resumption_of(catalog[0], devices=devices_of(sample.line), also=also).plan())[1])
    again = [(one.line.first, one.energy) for one in sample.line.capture.flown[before:]]
    assert again[0] == pytest.approx((there[2][0], ENERGIES[2]))
    both = find_run(catalog, catalog[0].uid)
    assert both.completeness.whole
    y, x = followed(require_pulses(both.points))
    moved = np.array([one - there[0] for one in there[:3]])
    np.testing.assert_allclose(np.stack([x, y], axis=1).reshape(4, 3, 2)[:3, 0], moved, atol=1e-9)


def line_in(datum: dict[str, Any]) -> int:
    return int(datum["seq_nums"]["stop"]) - 1
