"""The sample held against its drift: where it stood at each frame; what is not believed moves nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeBeamline
from test_calibration_focus import events, run

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.live.fake import FakeLive
from whiteline.plans import xanes_stack
from whiteline.plans.drift import DriftCorrection

ENERGIES = [8330.0 + 2 * number for number in range(8)]
PIXEL_UM = 0.02
STEP_UM = 0.03
"""By which the sample drifts with each exposure: more than five pixels over the scan."""


class Drifting:
    """A beamline whose sample drifts a little with each exposure, and a live analysis that sees it."""

    def __init__(self, rng: np.random.Generator, directions: tuple[int, int] = (1, 1)) -> None:
        self.line = FakeBeamline()
        angle = rng.uniform(0, 2 * np.pi)
        self.per_exposure = STEP_UM * np.array([np.sin(angle), np.cos(angle)])
        self.directions = np.array(directions)
        self.change: Callable[[int], dict[str, Any]] = lambda number: {}
        self.live = FakeLive(shift=self.told)

    def off(self, exposure: Any, number: int) -> Any:
        """Return where the sample is, less where its axes stood at first (y, x) [µm]."""
        return np.array([exposure.y + 2.0, exposure.x - 3.0]) + number * self.per_exposure

    @property
    def frames(self) -> list[tuple[int, Any]]:
        """Exposures with the sample in the beam, with their numbers."""
        return [(n, one) for n, one in enumerate(self.line.world.exposures) if one.sample_in and one.open]

    def told(self, number: int) -> dict[str, Any]:
        """Say what the shift of the newest frame is."""
        at, newest = self.frames[-1]
        first_at, first = self.frames[0]
        moved = self.directions * (self.off(newest, at) - self.off(first, first_at))
        y, x = moved / PIXEL_UM
        told = {"y": y, "x": x, "y_um": moved[0], "x_um": moved[1], "error_y": 0.02, "error_x": 0.02}
        return {"trusted": 1, "confidence": 0.9} | told | self.change(number)

    def held_within(self) -> float:
        """Return how far the sample was off at most [µm]."""
        first_at, first = self.frames[0]
        return max(float(np.hypot(*(self.off(one, at) - self.off(first, first_at)))) for at, one in self.frames)


def stack(drifting: Drifting, **more: Any) -> Any:
    line = drifting.line
    given = {"shift": drifting.live.shift, "image_directions": tuple(drifting.directions.tolist())} | more
    return xanes_stack(
        line.camera, line.energy, ENERGIES, sample=line.sample, shutter=line.shutter, exposure_s=0.1, **given
    )


@pytest.mark.parametrize("directions", [(1, 1), (-1, 1), (1, -1)])
def test_a_drifting_sample_is_held(seed: int, directions: tuple[int, int]) -> None:
    drifting = Drifting(np.random.default_rng(seed), directions)
    _, documents = run(stack(drifting))
    free = Drifting(np.random.default_rng(seed), directions)
    run(stack(free, shift=None))
    assert free.held_within() > 10 * STEP_UM
    assert drifting.held_within() < 5 * STEP_UM
    corrected = events(documents, "drift")
    assert len(corrected) == len(ENERGIES) - 1
    assert not any(one["drift_reason"] for one in corrected)
    total = [one["drift_corrected_y"] for one in corrected]
    np.testing.assert_allclose(total, np.cumsum([one["drift_step_y"] for one in corrected]), atol=1e-12)
    # where the sample had been outside, a frame has told where it came back to
    assert len(events(documents, "look")) == len(ENERGIES) // 2
    assert len(events(documents, "live_shift")) == len(corrected)
    # and the axes are back where the scan began
    assert drifting.line.world.positions["x"] == 3.0
    assert drifting.line.world.positions["y"] == -2.0


def test_each_place_is_held_by_its_own_shift(seed: int) -> None:
    drifting = Drifting(np.random.default_rng(seed))
    moved = {0: 0.2, 1: -0.1}
    line = drifting.line

    def told(_: int) -> dict[str, Any]:
        place = 0 if line.world.positions["x"] < 5 else 1
        off = line.world.positions["x"] - (0.0, 10.0)[place] + moved[place]
        return {"y": 0.0, "y_um": 0.0, "x": off / PIXEL_UM, "x_um": off, "trusted": 1, "confidence": 0.9}

    live = FakeLive(shift=told)
    _, documents = run(stack(drifting, shift=live.shift, positions=[(0.0, 0.0), (10.0, 0.0)]))
    last = {one["position_index"]: one["drift_corrected_x"] for one in events(documents, "drift")}
    assert last == pytest.approx({place: -by for place, by in moved.items()})


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        ({"trusted": 0}, {}, "not to be believed"),
        ({"confidence": 0.2}, {"least_confidence": 0.5}, "is below 0.50"),
        ({"y_um": float("nan")}, {}, "not known in µm"),
        ({"y_um": 30.0, "y": 1500.0}, {}, "more than 20 um"),
        ({"y_um": 19.0, "y": 950.0}, {"limit": 1}, "sample_y"),
    ],
)
def test_what_is_not_believed_moves_nothing_and_says_so(
    seed: int, change: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    drifting = Drifting(np.random.default_rng(seed))
    drifting.change = lambda _: change
    if more.pop("limit", 0):
        drifting.line.sample.y.limits = (-3.0, -1.0)
    _, documents = run(stack(drifting, **more))
    assert len({(one.x, one.y) for _, one in drifting.frames}) == 1
    corrected = events(documents, "drift")
    assert len(corrected) == len(ENERGIES) - 1
    assert all(reason in one["drift_reason"] for one in corrected)
    assert len(events(documents, "primary")) == len(ENERGIES)


@pytest.mark.parametrize("silent", [False, True])
def test_a_live_analysis_that_fails_does_not_end_the_scan(seed: int, silent: bool) -> None:
    drifting = Drifting(np.random.default_rng(seed))
    live = FakeLive(
        failing={} if silent else {"shift": "the disk is full"}, silent=["shift"] if silent else (), timeout_s=0.05
    )
    _, documents = run(stack(drifting, shift=live.shift))
    why = [one["drift_reason"] for one in events(documents, "drift")]
    assert len(why) == len(ENERGIES) - 1
    assert all(("was not known after" if silent else "the disk is full") in one for one in why)
    assert len(events(documents, "primary")) == len(ENERGIES)


def test_a_wrong_direction_is_noticed_and_taken_back(seed: int) -> None:
    drifting = Drifting(np.random.default_rng(seed))
    drifting.per_exposure *= 3  # so that the first shift is one that nobody takes for noise
    _, documents = run(stack(drifting, image_directions=(-1, -1)))
    reasons = [one["drift_reason"] for one in events(documents, "drift")]
    assert "the image moves the other way" in reasons[-1]
    assert drifting.line.world.exposures[-2].x == pytest.approx(3.0)
    wrong = next(number for number, one in enumerate(reasons) if one)
    assert wrong <= 2


def test_what_cannot_be_is_refused_beforehand() -> None:
    line = FakeBeamline()
    part = FakeLive().shift
    with pytest.raises(ValueError, match="image_directions"):
        DriftCorrection(part, line.sample, image_directions=(1, 0))
    with pytest.raises(OutOfRange, match="least_confidence"):
        DriftCorrection(part, line.sample, least_confidence=2.0)
    with pytest.raises(TypeError, match=r"sample\.y"):
        DriftCorrection(part, object())
