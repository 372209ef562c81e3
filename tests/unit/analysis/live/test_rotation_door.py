"""The axis of rotation as a plan learns it: by the newest frame and the last one half a turn away, or why not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making_runs import Document, Made
from numpy.typing import NDArray

from whiteline.analysis.live import LiveXanes

SHAPE, COLUMN = (160, 180), 84.3
KEY = "sample_rotation"


class Turned(Made):
    """A run whose every second frame is taken half a turn on, about an axis in a column."""

    angles = (0.0, 180.0, 0.0)
    flipped = False

    def frame(self, index: int | None, kind: str) -> NDArray[np.uint16]:
        self.flipped = kind == "sample" and self.angles[index or 0] == 180.0
        return super().frame(index, kind)

    def _placed(self, *of: Any) -> NDArray[np.float64]:
        image = super()._placed(*of)
        return image[:, ::-1] if self.flipped else image

    def shown(self, index: int) -> Iterator[Document]:
        """A point with its angle."""
        for name, document in self.point("sample", index):
            if name == "event":
                more = {KEY: self.angles[index]}
                yield name, {**document, "data": document["data"] | more, "timestamps": document["timestamps"] | more}
            else:
                yield name, document

    def begun(self) -> Iterator[Document]:
        """What comes before the first point; the descriptor tells of the angle."""
        angle = {KEY: {"source": "x", "dtype": "number", "shape": [], "units": "deg"}}
        for name, document in self.begin():
            primary = name == "descriptor" and document["name"] == "primary"
            yield name, {**document, "data_keys": document["data_keys"] | angle} if primary else document
        yield from self.point("dark")
        yield from self.point("flat", 0)


@pytest.fixture
def live() -> Iterator[LiveXanes]:
    one = LiveXanes(wait_for_file_s=0.05)
    yield one
    one.close()


def made(folder: Path, seed: int, **md: Any) -> Turned:
    # the mirrored image has moved by W − 1 − 2c, and drifts a little from frame to frame
    shift = SHAPE[1] - 1 - 2 * COLUMN
    return Turned(folder, [8400.0] * 3, seed, SHAPE, drift=np.array([(0, 0), (0.4, shift), (0, 0)]), md=md)


def test_the_axis_is_found_by_the_last_frame_half_a_turn_away(live: LiveXanes, tmp_path: Path, seed: int) -> None:
    run = made(tmp_path, seed, roles={"rotation": KEY, "energy": "energy"})
    for pair in (*run.begun(), *run.shown(0)):
        live(*pair)
    assert "no frame was taken half a turn away from frame 1" in str(live.rotation.trigger().exception(30))
    for index, rise in ((1, 0.4), (2, -0.4)):
        for pair in run.shown(index):
            live(*pair)
        assert live.rotation.trigger().exception(30) is None
        found = {key.removeprefix("live_rotation_"): one["value"] for key, one in live.rotation.read().items()}
        assert found["trusted"] == 1
        assert found["reason"] == ""
        assert found["column"] == pytest.approx(COLUMN, abs=0.05)
        assert 0 < found["error"] < 0.05
        assert found["rise"] == pytest.approx(rise, abs=0.1)
        assert found["off_um"] == pytest.approx((COLUMN - (SHAPE[1] - 1) / 2) * 0.04, abs=0.002)
        assert abs(found["tilt_mrad"]) < 5 * found["tilt_error_mrad"] + 0.5
        assert (found["frame"], found["partner"], found["angle"]) == (index + 1, index, run.angles[index])
    run.handle.close()


def test_a_run_that_does_not_name_the_rotation_is_told_so(live: LiveXanes, tmp_path: Path, seed: int) -> None:
    run = made(tmp_path, seed)
    for pair in (*run.begun(), *run.shown(0), *run.shown(1)):
        live(*pair)
    assert "the angle was not recorded; name its data key as roles.rotation" in str(
        live.rotation.trigger().exception(30)
    )
    run.handle.close()
