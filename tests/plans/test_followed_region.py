"""A map that follows its sample from energy to energy, by what the maps themselves show."""

import itertools
from typing import Any

import numpy as np
import pytest
from fakes import FakeBeamline
from test_calibration_focus import events, run

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.live.fake import FakeLive
from whiteline.plans import raster_stack

ENERGIES = [8330.0, 8340.0, 8350.0, 8360.0]
STEP = 0.1


class Wandering:
    """A sample that moves by some tenths of a micrometre from energy to energy, and what is told of it."""

    def __init__(
        self, rng: np.random.Generator, fast: tuple[float, float, int], slow: tuple[float, float, int]
    ) -> None:
        self.line = FakeBeamline()
        self.at = dict(zip(ENERGIES, np.cumsum(rng.normal(0, 0.2, (len(ENERGIES), 2)), axis=0), strict=True))
        self.fast, self.slow = fast, slow
        self.change: dict[str, Any] = {}
        self.live = FakeLive(shift=self.told)

    def corner(self, energy: float) -> Any:
        """Return where the map of an energy began (x, y) [µm]."""
        first = next(one for one in self.line.world.exposures if one.energy == energy)
        return np.array([first.x, first.y])

    def told(self, _: int) -> dict[str, Any]:
        """Say how far the content of the newest map has moved, pixel by pixel."""
        energy = self.line.world.energy
        first, moved = self.at[ENERGIES[0]], self.at[energy]
        off = (moved - first) - (self.corner(energy) - self.corner(ENERGIES[0]))
        x, y = (value * (1 if one[1] > one[0] else -1) for value, one in zip(off, (self.fast, self.slow), strict=True))
        told = {"y": y / STEP, "x": x / STEP, "y_um": y, "x_um": x, "trusted": 1, "confidence": 0.9}
        return told | {"error_y": 0.001, "error_x": 0.001} | self.change


def scan(sample: Wandering, **more: Any) -> Any:
    line = sample.line
    given = {"shift": sample.live.shift} | more
    return raster_stack(
        [line.fluorescence], line.energy, ENERGIES, line.sample.x, line.sample.y, fast_range=sample.fast,
        slow_range=sample.slow, dwell_s=0.1, shutter=line.shutter, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fast", "slow"), [((0.0, 0.4, 5), (5.0, 5.2, 3)), ((0.4, 0.0, 5), (5.0, 5.2, 3)), ((0.0, 0.4, 5), (5.2, 5.0, 3))]
)
def test_each_map_is_where_the_sample_was_at_the_energy_before(seed: int, fast: Any, slow: Any) -> None:
    sample = Wandering(np.random.default_rng(seed), fast, slow)
    _, documents = run(scan(sample))
    for before, energy in itertools.pairwise(ENERGIES):
        wanted = sample.corner(ENERGIES[0]) + sample.at[before] - sample.at[ENERGIES[0]]
        np.testing.assert_allclose(sample.corner(energy), wanted, atol=1e-9)
    corrected = events(documents, "drift")
    assert len(corrected) == len(ENERGIES) - 1
    assert not any(one["drift_reason"] for one in corrected)
    assert len(events(documents, "primary")) == len(ENERGIES) * 15


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


def test_a_confidence_that_cannot_be_is_refused() -> None:
    sample = Wandering(np.random.default_rng(0), (0.0, 0.4, 5), (5.0, 5.2, 3))
    with pytest.raises(OutOfRange, match="least_confidence"):
        next(scan(sample, least_confidence=1.5))
